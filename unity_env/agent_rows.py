"""AgentRows: keeps the agents of one behavior in the rows of a vector environment."""

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
from mlagents_envs.base_env import ActionTuple, BehaviorSpec, DecisionSteps, TerminalSteps

from unity_env.settings import SignalSlice
from unity_env.spaces import (
    Layouts,
    action_space,
    action_tuple,
    observation_space,
    observed_sensors,
    signal_views,
)

Array = np.ndarray
StepResult = tuple[Any, Array, Array, Array, dict[str, Any]]
NO_AGENT = np.iinfo(np.int64).min
NO_ROW = -1

log = logging.getLogger(__name__)


class AgentRows:
    """Turns what the agents of a behavior report into gymnasium's arrays, and back.

    ML-Agents reports agents in any order and number: an agent may skip a step, end its episode and ask for
    its next decision in one message, vanish, or come back under another id. A row belongs to an agent until
    the agent has ended and another one needs the row. A row's transition runs from a decision request to the
    agent's next report, however many steps lie between; `infos` says which rows are where:

    - `valid`: a transition ended in this step; in other rows reward and flags are zero and nothing was learned;
    - `requesting`: the agent waits for an action; actions for other rows are not sent;
    - `action`: the action that led to the row's transition.

    Args:
        name: behavior name, for messages.
        spec: of the behavior.
        layouts: sensor name -> component names.
        rows: number of rows; None takes the number of agents in the first message.
        signals: further signals, as parts of the observed sensors.

    Attributes:
        signals: signal name -> (index of its sensor, where in it).
        sensors: what every sensor last said, signals included, (N, *shape) each.
        final_sensors: likewise at the end of the episodes that ended last, zeros in the other rows.

    Raises:
        ValueError: a layout or a signal that does not fit the sensors.
    """

    def __init__(
        self,
        name: str,
        spec: BehaviorSpec,
        layouts: Layouts,
        rows: int | None,
        signals: Mapping[str, SignalSlice] | None = None,
    ) -> None:
        self.name, self.spec = name, spec
        self.signals = signal_views(spec, layouts, signals or {})
        self.single_observation_space = observation_space(spec, layouts)
        self.single_action_space = action_space(spec.action_spec)
        self._observed = observed_sensors(spec)
        self._wanted_rows = rows
        self.num_rows = 0
        self._overflowed = False

    def begin(self, decisions: DecisionSteps) -> tuple[Any, dict[str, Any]]:
        """Give rows to the agents of the first message after a reset; returns observations and infos."""
        self.num_rows = self._wanted_rows or self.num_rows or len(decisions)
        self._agent_ids = np.full(self.num_rows, NO_AGENT, dtype=np.int64)
        self._ids_in_order: Array | None = None
        self._row_of: dict[int, int] = {}
        self._idle = np.ones(self.num_rows, dtype=bool)
        self._acted = np.zeros(self.num_rows, dtype=bool)
        self.sensors = [np.zeros((self.num_rows, *sensor.shape), np.float32) for sensor in self.spec.observation_specs]
        self.final_sensors: list[Array] = []
        self._pending_reward = np.zeros(self.num_rows, np.float32)
        self._rew = np.zeros(self.num_rows, np.float32)
        self._valid = np.zeros(self.num_rows, dtype=bool)
        self._action: Any = None
        self._take_decisions(decisions)
        self._pending_reward[:] = 0.0  # ML-Agents' reset leaves the rewards of the aborted episodes standing
        return self._observation(self.sensors), self._infos(np.zeros(self.num_rows, dtype=bool))

    def now(self) -> StepResult:
        """Return where the rows stand, as a step in which no transition ended."""
        none = np.zeros(self.num_rows, dtype=bool)
        rew = np.zeros(self.num_rows, np.float32)
        return self._observation(self.sensors), rew, none, none.copy(), self._infos(none.copy())

    def no_action(self) -> Any:
        """Return zero actions for all rows."""
        zeros = self.spec.action_spec.empty_action(self.num_rows)
        if self.spec.action_spec.continuous_size and self.spec.action_spec.discrete_size:
            return {"continuous": zeros.continuous, "discrete": zeros.discrete}
        return zeros.discrete if self.spec.action_spec.discrete_size else zeros.continuous

    def send(self, actions: Any) -> ActionTuple:
        """Pick the actions that agents have asked for, in the order in which they asked."""
        rows = self._request_rows
        self._action = self._effective(actions)
        wanted = action_tuple(self.spec.action_spec, actions)
        if isinstance(rows, slice):
            self._acted[:] = True
            return wanted
        known = rows >= 0
        self._acted[rows[known]] = True
        picked = self.spec.action_spec.empty_action(len(rows))
        picked.continuous[known] = wanted.continuous[rows[known]]
        picked.discrete[known] = wanted.discrete[rows[known]]
        return picked

    def receive(self, decisions: DecisionSteps, terminals: TerminalSteps) -> StepResult:
        """Turn one message into observations, rewards, two end flags and infos."""
        self._rew = np.zeros(self.num_rows, np.float32)
        self._valid = np.zeros(self.num_rows, dtype=bool)
        terminated = np.zeros(self.num_rows, dtype=bool)
        truncated = np.zeros(self.num_rows, dtype=bool)
        final: dict[str, Any] = {}
        if len(terminals):
            rows, first = self._rows_of_ended(terminals)
            self._complete(rows, terminals.reward[first])
            truncated[rows] = terminals.interrupted[first]
            terminated[rows] = ~terminals.interrupted[first]
            final = self._final_infos(rows, [sensor[first] for sensor in terminals.obs]) if len(rows) else {}
        self._take_decisions(decisions)
        return self._observation(self.sensors), self._rew, terminated, truncated, self._infos(self._valid) | final

    def state_dict(self) -> dict[str, Any]:
        """What the next steps depend on, while every agent waits for an action."""
        return {"pending_reward": self._pending_reward.copy()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where `state_dict` was taken; call after `begin` with that moment's decisions."""
        self._pending_reward = np.array(state["pending_reward"])

    def _rows_of_ended(self, terminals: TerminalSteps) -> tuple[Array, Array]:
        """Return the rows whose transition ends, and the index of each one's record: its agent's first."""
        first: dict[int, int] = {}
        for index, agent in enumerate(terminals.agent_id.tolist()):
            row = self._row_of.get(agent)
            if row is None:
                continue
            self._idle[row] = True
            if self._acted[row]:
                first.setdefault(row, index)
        return np.array(list(first), dtype=np.int64), np.array(list(first.values()), dtype=np.int64)

    def _complete(self, rows: Array | slice, reward: Array) -> None:
        """End the transitions of `rows`."""
        self._rew[rows] = self._pending_reward[rows] + reward
        self._pending_reward[rows] = 0.0
        self._valid[rows] = True
        self._acted[rows] = False

    def _take_decisions(self, decisions: DecisionSteps) -> None:
        rows = self._rows_for(decisions.agent_id)
        self._request_rows = rows
        reward, obs, masks = decisions.reward, decisions.obs, decisions.action_mask
        if not isinstance(rows, slice) and (rows < 0).any():
            known = rows >= 0
            rows, reward, obs = rows[known], reward[known], [sensor[known] for sensor in obs]
            masks = None if masks is None else [mask[known] for mask in masks]
        acted = self._acted[rows]
        if acted.all():
            self._complete(rows, reward)
        else:
            self._pending_reward[rows] += np.where(acted, np.float32(0), reward)
            self._complete(np.arange(self.num_rows)[rows][acted], reward[acted])
        self._requesting = np.zeros(self.num_rows, dtype=bool)
        self._requesting[rows] = True
        self._idle[rows] = False
        if isinstance(rows, slice):
            self.sensors = list(obs)  # every environment makes new arrays for every message
        else:
            self.sensors = [_with_rows(mine, rows, sensor) for mine, sensor in zip(self.sensors, obs, strict=True)]
        self._masks = None if masks is None else [self._spread(mask, rows) for mask in masks]

    def _rows_for(self, agent_ids: Array) -> Array | slice:
        """Return each agent's row, giving idle rows to new agents; -1 where there is none left."""
        if agent_ids is self._ids_in_order:
            return slice(None)
        if len(agent_ids) == self.num_rows and (agent_ids == self._agent_ids).all():
            # whoever made the array read-only sends it again as it is
            self._ids_in_order = None if agent_ids.flags.writeable else agent_ids
            return slice(None)
        self._ids_in_order = None
        agents = agent_ids.tolist()
        known = [self._row_of[agent] for agent in agents if agent in self._row_of]
        self._idle[known] = False  # before new agents look for a row: an agent may end and go on in one message
        return np.array([self._row_for(agent) for agent in agents], dtype=np.int64)

    def _row_for(self, agent: int) -> int:
        if agent in self._row_of:
            return self._row_of[agent]
        free = np.flatnonzero(self._idle)
        if len(free) == 0:
            self._warn_of_overflow(agent)
            return NO_ROW
        row = int(free[0])
        self._row_of.pop(int(self._agent_ids[row]), None)
        self._row_of[agent], self._agent_ids[row], self._idle[row] = row, agent, False
        return row

    def _warn_of_overflow(self, agent: int) -> None:
        if not self._overflowed:
            log.warning(
                "%s: agent %d has no row, all %d are taken; until one is free it, and any other such agent, gets "
                "zero actions",
                self.name, agent, self.num_rows,
            )  # fmt: skip
        self._overflowed = True

    def _effective(self, actions: Any) -> Any:
        """Return, per row, the action that its agent is acting on."""
        everyone = isinstance(self._request_rows, slice) or self._requesting.all()
        if self._action is None or everyone:
            return (
                {name: np.array(part) for name, part in actions.items()}
                if isinstance(actions, dict)
                else np.array(actions)
            )
        if isinstance(actions, dict):
            return {name: self._carried(part, self._action[name]) for name, part in actions.items()}
        return self._carried(actions, self._action)

    def _carried(self, new: Array, old: Array) -> Array:
        return np.where(self._requesting.reshape(-1, *[1] * (np.ndim(new) - 1)), new, old)

    def _spread(self, mask: Array, rows: Array | slice) -> Array:
        spread = np.zeros((self.num_rows, mask.shape[1]), dtype=bool)
        spread[rows] = mask
        return spread

    def _observation(self, sensors: list[Array]) -> Any:
        if len(self._observed) == 1:
            return sensors[next(iter(self._observed.values()))]
        return {name: sensors[index] for name, index in self._observed.items()}

    def _infos(self, valid: Array) -> dict[str, Any]:
        infos: dict[str, Any] = {"valid": valid, "requesting": self._requesting}
        if self._action is not None:
            infos["action"] = self._action
        if self.signals:
            infos["signals"] = self._named_signals(self.sensors)
        if self._masks is not None:
            infos["action_mask"] = self._masks
        return infos

    def _final_infos(self, rows: Array, obs: list[Array]) -> dict[str, Any]:
        full = [np.zeros_like(sensor) for sensor in self.sensors]
        for mine, sensor in zip(full, obs, strict=True):
            mine[rows] = sensor
        self.final_sensors = full
        mask = np.zeros(self.num_rows, dtype=bool)
        mask[rows] = True
        final: dict[str, Any] = {"final_obs": self._observation(full), "_final_obs": mask, "_final_info": mask.copy()}
        if self.signals:
            final["final_info"] = {"signals": self._named_signals(full)}
        return final

    def _named_signals(self, sensors: list[Array]) -> dict[str, Array]:
        return {name: sensors[index][:, where] for name, (index, where) in self.signals.items()}


def _with_rows(old: Array, rows: Array, new: Array) -> Array:
    """Return a copy of `old` with `new` in its rows."""
    changed = old.copy()
    changed[rows] = new
    return changed
