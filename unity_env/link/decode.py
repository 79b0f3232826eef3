"""Agents' records -> DecisionSteps and TerminalSteps, a whole batch with a handful of numpy calls.

Equal, bit for bit, to `mlagents_envs.rpc_utils.steps_from_proto`, except where that one lets something pass that
cannot be right (a changed shape) or says less when it refuses (NaN without agent or component). Images may also
be channels-first, as Unity's package sends them since 3.0: the client 0.28.0 refuses those.
"""

from collections.abc import Sequence
from operator import attrgetter
from typing import Any

import numpy as np
from mlagents_envs.base_env import BehaviorSpec, DecisionSteps, TerminalSteps

from unity_env.link.errors import NonFiniteError, ObservationShapeError
from unity_env.link.sensors import SensorReader, all_finite, name_non_finite

Array = np.ndarray

_RECORD = np.dtype(
    [
        ("id", np.int32),
        ("group_id", np.int32),
        ("done", np.bool_),
        ("max_step_reached", np.bool_),
        ("reward", np.float32),
        ("group_reward", np.float32),
    ]
)
_record = attrgetter(*_RECORD.names or ())


class BehaviorDecoder:
    """Reads the records of one behavior's agents.

    Args:
        behavior: name, for error messages.
        spec: what the behavior announced.
    """

    def __init__(self, behavior: str, spec: BehaviorSpec) -> None:
        self._behavior = behavior
        self._spec = spec
        self._sensors = [
            SensorReader(f"behavior {behavior}, sensor {sensor.name or index}", tuple(sensor.shape))
            for index, sensor in enumerate(spec.observation_specs)
        ]
        self._branches = spec.action_spec.discrete_branches
        self._no_terminals = TerminalSteps.empty(spec)

    def decode(self, agents: Sequence[Any]) -> tuple[DecisionSteps, TerminalSteps]:
        """Split records into those of agents that want an action and of agents whose episode ended.

        Args:
            agents: AgentInfoProtos of `messages.ShallowMessage`, in the order in which the player sent them.

        Returns:
            Fresh, writable arrays; row order is the order of `agents`.

        Raises:
            ObservationShapeError: an observation differs in shape from the specification.
            NonFiniteError: NaN or infinity in a vector observation or a reward.
            MalformedMessageError: an observation that cannot be read.
        """
        agents = list(agents)
        if not agents:
            return DecisionSteps.empty(self._spec), self._no_terminals
        records = np.fromiter(map(_record, agents), _RECORD, len(agents))
        ids, rewards, group_rewards = records["id"], records["reward"], records["group_reward"]
        self._check_rewards(rewards, group_rewards, ids)
        obs = self._observations(agents, ids)
        ended = records["done"]
        if not np.count_nonzero(ended):
            mask = self._action_mask(agents)
            return DecisionSteps(obs, rewards, ids, mask, records["group_id"], group_rewards), self._no_terminals
        going = ~ended
        left = records[going]
        decisions = DecisionSteps(
            [sensor[going] for sensor in obs],
            left["reward"],
            left["id"],
            self._action_mask([agent for agent in agents if not agent.done]),
            left["group_id"],
            left["group_reward"],
        )
        over = records[ended]
        terminals = TerminalSteps(
            [sensor[ended] for sensor in obs],
            over["reward"],
            over["max_step_reached"],
            over["id"],
            over["group_id"],
            over["group_reward"],
        )
        return decisions, terminals

    def _observations(self, agents: Sequence[Any], ids: Array) -> list[Array]:
        rows = [agent.observations for agent in agents]
        fewest = min(map(len, rows))
        if fewest < len(self._sensors):
            agent = ids[[len(row) for row in rows].index(fewest)]
            raise ObservationShapeError(
                f"behavior {self._behavior}, agent {agent}: {fewest} observations, announced were {len(self._sensors)}"
            )
        return [sensor.read([row[index] for row in rows], ids) for index, sensor in enumerate(self._sensors)]

    def _action_mask(self, deciding: Sequence[Any]) -> list[Array] | None:
        """Return an (N, branch size) array per branch, True = unavailable; without a mask an agent may do anything."""
        if not self._branches or not deciding:
            return None
        size = sum(self._branches)
        masks = [agent.action_mask for agent in deciding]
        rows = [bytes(mask) if len(mask) == size else bytes(size) for mask in masks]
        table = np.frombuffer(bytearray().join(rows), dtype=np.bool_).reshape(len(rows), size)
        return np.split(table, np.cumsum(self._branches)[:-1], axis=1)

    def _check_rewards(self, rewards: Array, group_rewards: Array, ids: Array) -> None:
        for values, name in ((rewards, "reward"), (group_rewards, "group reward")):
            if not all_finite(values):
                raise NonFiniteError(name_non_finite(values, ids, f"behavior {self._behavior}, {name}"))
