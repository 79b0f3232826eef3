"""The agents of one behavior: what they command, what they report."""

from collections.abc import Mapping
from operator import itemgetter
from typing import Any

import numpy as np
from mlagents_envs.base_env import ActionTuple, DecisionSteps, TerminalSteps
from mlagents_envs.exception import UnityActionException

from unity_env.sim.role import Role

Array = np.ndarray
MAX_LATENCY = 2


class RoleAgents:
    """One agent per row for a role.

    Args:
        role: the robot's part in the task.
        num_rows: agents.
        first_id: of row 0; the ids of the others follow.

    Attributes:
        decisions: requests of the last step.
        terminals: episodes that ended in the last step.
    """

    def __init__(self, role: Role, num_rows: int, first_id: int) -> None:
        self.role = role
        self._num_rows = num_rows
        self._ids = _read_only(np.arange(first_id, first_id + num_rows, dtype=np.int32))
        self._no_group = _read_only(np.zeros(num_rows, dtype=np.int32))
        self._no_group_reward = _read_only(np.zeros(num_rows, dtype=np.float32))
        self._no_terminals = TerminalSteps.empty(role.spec)
        self._in_order = [itemgetter(*(part.name for part in parts)) for parts in role.sensors.values()]
        observed = role.sensors["observation"]
        self._noise = np.repeat([part.noise for part in observed], [part.size for part in observed])
        self._bounds = role.layouts["observation"].bounds()
        self._idle = _read_only(role.command(role.spec.action_spec.empty_action(num_rows)))
        self._command = self._idle
        self._history = np.zeros((MAX_LATENCY + 1, num_rows, role.command_size))
        self.decisions = DecisionSteps.empty(role.spec)
        self.terminals = self._no_terminals

    def set_actions(self, action: ActionTuple) -> None:
        """Set the next action of every agent; continuous values beyond [-1, 1] are clipped."""
        self._check(action, self._num_rows)
        self._command = self.role.command(action)

    def set_action(self, agent_id: int, action: ActionTuple) -> None:
        """Set the next action of one agent.

        Raises:
            IndexError: the behavior has no such agent.
        """
        self._check(action, 1)
        first, last = self._ids[0], self._ids[-1]
        if not first <= agent_id <= last:
            raise IndexError(f"{self.role.behavior}: agent {agent_id} is none of its own, which are {first} .. {last}")
        self._command = self._command.copy()
        self._command[agent_id - first] = self.role.command(action)[0]

    def _check(self, action: ActionTuple, count: int) -> None:
        spec = self.role.spec.action_spec
        spec._validate_action(action, count, self.role.behavior)
        if spec.discrete_size and not ((action.discrete >= 0) & (action.discrete < spec.discrete_branches)).all():
            sizes = ", ".join(str(size) for size in spec.discrete_branches)
            raise UnityActionException(f"{self.role.behavior}: a choice outside 0 .. size - 1 of its branch ({sizes})")

    def take_command(self, latency: Array | None) -> Array:
        """Return what reaches the drives in this step, (num_rows, command_size).

        Agents that were given no action act on zeros: on the first of their choices where they choose.

        Args:
            latency: (num_rows,) int, control periods; None while no row has any. Older commands are not kept then:
                a row's latency changes with its episode, which begins without any.
        """
        if latency is not None:
            self._history[1:] = self._history[:-1]
        self._history[0] = self._command
        self._command = self._idle
        delayed: Array = self._history[0] if latency is None else self._history[latency, np.arange(self._num_rows)]
        return delayed

    def forget(self, rows: Array) -> None:
        """Let new episodes begin in some rows: nothing was commanded yet."""
        self._history[:, rows] = 0.0

    def sense(
        self, components: dict[str, Array], success: Array, rows: Array | slice, noise: Array | None
    ) -> list[Array]:
        """Put the sensors together, (rows, size) float32 each.

        Args:
            components: what the task measured in these rows.
            success: (num_rows,) bool.
            rows: which.
            noise: standard normal numbers times the rows' noise level, (rows, size of `observation`).
        """
        known = components | {"last_action": self._history[0, rows], "success": success[rows, None]}
        observation, signals = [np.concatenate(pick(known), axis=1, dtype=np.float32) for pick in self._in_order]
        if noise is not None:
            observation += (noise * self._noise).astype(np.float32)
            np.clip(observation, *self._bounds, out=observation)
        return [observation, signals]

    @property
    def noisy_size(self) -> int:
        """Number of values that noise may reach."""
        return len(self._noise)

    def request(self, obs: list[Array], reward: Array) -> None:
        """Report a decision request of every agent, and no ended episode."""
        self.decisions = DecisionSteps(obs, reward, self._ids, None, self._no_group, self._no_group_reward)
        self.terminals = self._no_terminals

    def end(self, rows: Array, obs: list[Array], reward: Array, interrupted: Array) -> None:
        """Report that episodes ended in some rows, beside the last `request`."""
        self.terminals = TerminalSteps(
            [sensor[rows] for sensor in obs],
            reward[rows],
            interrupted,
            self._ids[rows],
            self._no_group[rows],
            self._no_group_reward[rows],
        )

    def state_dict(self) -> dict[str, Any]:
        """What the next steps depend on."""
        return {"history": self._history.copy(), "sensors": [sensor.copy() for sensor in self.decisions.obs]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where `state_dict` was taken."""
        self._history[:] = state["history"]
        self.request([np.array(sensor) for sensor in state["sensors"]], np.zeros(self._num_rows, np.float32))


def _read_only(array: Array) -> Array:
    array.flags.writeable = False
    return array
