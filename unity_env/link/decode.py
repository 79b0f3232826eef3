"""Agents' records -> DecisionSteps and TerminalSteps, a whole batch with a handful of numpy calls.

Equal, bit for bit, to `mlagents_envs.rpc_utils.steps_from_proto`, except where that one lets something pass that
cannot be right (a changed shape) or says less when it refuses (NaN without agent or component). Images may also
be channels-first, as Unity's package sends them since 3.0: the client 0.28.0 refuses those.
"""

from collections.abc import Callable, Sequence
from itertools import chain
from operator import attrgetter, itemgetter
from typing import Any

import numpy as np
from mlagents_envs.base_env import BehaviorSpec, DecisionSteps, TerminalSteps

from unity_env.link.errors import NonFiniteError, ObservationShapeError
from unity_env.link.sensors import SensorReader, all_finite, name_non_finite

Array = np.ndarray

_INTEGERS = tuple(map(attrgetter, ("id", "group_id", "done", "max_step_reached")))
_REWARDS = tuple(map(attrgetter, ("reward", "group_reward")))
_OBSERVATIONS = attrgetter("observations")


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
        ids, group_ids, done, interrupted = _columns(agents, _INTEGERS, np.int32)
        rewards = _columns(agents, _REWARDS, np.float32)
        if not all_finite(rewards):
            self._name_bad_reward(rewards, ids)
        rew, group_rew = rewards
        obs = self._observations(agents, ids)
        if not np.count_nonzero(done):
            decisions = DecisionSteps(obs, rew, ids, self._action_mask(agents), group_ids, group_rew)
            return decisions, self._no_terminals
        ended = done.astype(np.bool_)
        going = ~ended
        mask = self._action_mask([agent for agent in agents if not agent.done])
        decisions = DecisionSteps(
            [sensor[going] for sensor in obs], rew[going], ids[going], mask, group_ids[going], group_rew[going]
        )
        terminals = TerminalSteps(
            [sensor[ended] for sensor in obs],
            rew[ended],
            interrupted[ended].astype(np.bool_),
            ids[ended],
            group_ids[ended],
            group_rew[ended],
        )
        return decisions, terminals

    def _observations(self, agents: Sequence[Any], ids: Array) -> list[Array]:
        rows = list(map(_OBSERVATIONS, agents))
        counts = list(map(len, rows))
        fewest = min(counts)
        if fewest < len(self._sensors):
            raise ObservationShapeError(
                f"behavior {self._behavior}, agent {ids[counts.index(fewest)]}: {fewest} observations, "
                f"announced were {len(self._sensors)}"
            )
        return [sensor.read(list(map(itemgetter(index), rows)), ids) for index, sensor in enumerate(self._sensors)]

    def _action_mask(self, deciding: Sequence[Any]) -> list[Array] | None:
        """Return an (N, branch size) array per branch, True = unavailable; without a mask an agent may do anything."""
        if not self._branches or not deciding:
            return None
        size = sum(self._branches)
        masks = [agent.action_mask for agent in deciding]
        rows = [bytes(mask) if len(mask) == size else bytes(size) for mask in masks]
        table = np.frombuffer(bytearray().join(rows), dtype=np.bool_).reshape(len(rows), size)
        return np.split(table, np.cumsum(self._branches)[:-1], axis=1)

    def _name_bad_reward(self, rewards: Array, ids: Array) -> None:
        for values, name in zip(rewards, ("reward", "group reward"), strict=True):
            if not all_finite(values):
                raise NonFiniteError(name_non_finite(values, ids, f"behavior {self._behavior}, {name}"))


def _columns(agents: Sequence[Any], fields: Sequence[Callable[[Any], Any]], dtype: type[np.generic]) -> Array:
    """Return (fields, agents)."""
    values = chain.from_iterable([map(field, agents) for field in fields])
    return np.fromiter(values, dtype, len(fields) * len(agents)).reshape(len(fields), len(agents))
