"""Environments whose every step a test writes down by hand."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from mlagents_envs.base_env import (
    ActionSpec,
    ActionTuple,
    BaseEnv,
    BehaviorSpec,
    DecisionSteps,
    DimensionProperty,
    ObservationSpec,
    ObservationType,
    TerminalSteps,
)

Array = np.ndarray


def vector_sensor(name: str, size: int) -> ObservationSpec:
    return ObservationSpec((size,), (DimensionProperty.NONE,), ObservationType.DEFAULT, name)


def spec_of(*sensors: tuple[str, int], action: ActionSpec | None = None) -> BehaviorSpec:
    """A behavior with these vector sensors, by default with two continuous actions."""
    return BehaviorSpec(
        [vector_sensor(name, size) for name, size in sensors], action or ActionSpec.create_continuous(2)
    )


@dataclass(frozen=True)
class Report:
    """What one agent reports: sensor i is filled with the number obs + 100 * i."""

    agent: int
    obs: float
    reward: float = 0.0
    interrupted: bool = False


@dataclass(frozen=True)
class Message:
    """One step of Unity: decision requests and ended episodes, in the order in which they come."""

    decisions: Sequence[Report] = ()
    terminals: Sequence[Report] = ()
    masks: Sequence[Array] | None = None


@dataclass
class ScriptedUnity(BaseEnv):  # type: ignore[misc]  # mlagents_envs has no type information
    """A BaseEnv that plays messages; the first one answers every reset."""

    spec: BehaviorSpec
    messages: Sequence[Message]
    behavior: str = "Robot"
    others: Sequence[str] = ()
    known_after_reset: bool = True
    sent: list[ActionTuple] = field(default_factory=list)
    seeds: list[int] = field(default_factory=list)
    closed: bool = False
    _at: int = 0
    _was_reset: bool = False

    @property
    def behavior_specs(self) -> Mapping[str, BehaviorSpec]:
        if self.known_after_reset and not self._was_reset:
            return {}
        return dict.fromkeys([self.behavior, *self.others], self.spec)

    def reset(self) -> None:
        self._at, self._was_reset = 0, True

    def step(self) -> None:
        self._at += 1

    def close(self) -> None:
        self.closed = True

    def set_actions(self, behavior_name: str, action: ActionTuple) -> None:
        assert behavior_name == self.behavior
        message = self.messages[self._at]
        self.spec.action_spec._validate_action(action, len(message.decisions), behavior_name)
        self.sent.append(action)

    def set_action_for_agent(self, behavior_name: str, agent_id: int, action: ActionTuple) -> None:
        raise NotImplementedError

    def get_steps(self, behavior_name: str) -> tuple[DecisionSteps, TerminalSteps]:
        assert behavior_name == self.behavior
        message = self.messages[self._at]
        masks = None if message.masks is None else list(message.masks)
        some, ended = message.decisions, message.terminals
        return (
            DecisionSteps(*self._common(some), self._ids(some), masks, *self._groups(some)),
            TerminalSteps(
                *self._common(ended),
                np.array([report.interrupted for report in ended], dtype=bool),
                self._ids(ended),
                *self._groups(ended),
            ),
        )

    def _common(self, reports: Sequence[Report]) -> tuple[list[Array], Array]:
        obs = [
            np.array([np.full(sensor.shape, report.obs + 100 * index) for report in reports], np.float32).reshape(
                len(reports), *sensor.shape
            )
            for index, sensor in enumerate(self.spec.observation_specs)
        ]
        return obs, np.array([report.reward for report in reports], dtype=np.float32)

    @staticmethod
    def _ids(reports: Sequence[Report]) -> Array:
        return np.array([report.agent for report in reports], dtype=np.int32)

    @staticmethod
    def _groups(reports: Sequence[Report]) -> tuple[Array, Array]:
        return np.zeros(len(reports), dtype=np.int32), np.zeros(len(reports), dtype=np.float32)


@dataclass(frozen=True)
class Row:
    """What one row of `ScriptedRows` does in a step; `final` are the signals of the episode that ended."""

    signals: Mapping[str, Sequence[float]]
    reward: float = 0.0
    terminated: bool = False
    truncated: bool = False
    final: Mapping[str, Sequence[float]] | None = None
    valid: bool = True


class ScriptedRows(VectorEnv[Any, Any, Array]):
    """A SAME_STEP vector environment that plays steps over and over; the first one answers the reset."""

    metadata = {"autoreset_mode": AutoresetMode.SAME_STEP}  # noqa: RUF012

    def __init__(self, steps: Sequence[Sequence[Row]], action_size: int = 1, *, any_action: bool = False) -> None:
        self.num_envs = len(steps[0])
        self.single_observation_space = spaces.Box(-np.inf, np.inf, (1,), np.float32)
        self.single_action_space = spaces.Box(-1, 1, (action_size,), np.float32)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self._steps = steps
        self._any_action = any_action
        self._at = 0
        self.seed: int | None = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        del options
        self._at, self.seed = 0, seed
        return self._obs(), self._infos()

    def step(self, actions: Any) -> tuple[Any, Array, Array, Array, dict[str, Any]]:
        assert self._any_action or np.asarray(actions).shape == self.action_space.shape
        self._at = 1 if self._at + 1 == len(self._steps) else self._at + 1
        rows = self._steps[self._at]
        return (
            self._obs(),
            np.array([row.reward for row in rows], dtype=np.float32),
            np.array([row.terminated for row in rows]),
            np.array([row.truncated for row in rows]),
            self._infos(),
        )

    def _obs(self) -> Array:
        return np.full((self.num_envs, 1), self._at, dtype=np.float32)

    def _infos(self) -> dict[str, Any]:
        rows = self._steps[self._at]
        infos: dict[str, Any] = {
            "signals": {name: np.array([row.signals[name] for row in rows]) for name in rows[0].signals},
            "valid": np.array([row.valid for row in rows]),
        }
        ended = np.array([row.final is not None for row in rows])
        if ended.any():
            infos["_final_info"] = infos["_final_obs"] = ended
            infos["final_obs"] = self._obs()
            infos["final_info"] = {"signals": {name: _finals(rows, name) for name in rows[0].signals}}
        return infos


def _finals(rows: Sequence[Row], name: str) -> Array:
    return np.array([[0.0] * len(row.signals[name]) if row.final is None else row.final[name] for row in rows])
