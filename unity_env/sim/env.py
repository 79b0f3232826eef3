"""The embedded simulation as an ML-Agents environment: one behavior, an agent per row."""

from collections.abc import Mapping
from typing import Any

import mujoco
import numpy as np
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

from unity_env.sim.episode_random import EpisodeRandom
from unity_env.sim.tasks import TASKS, Task
from unity_env.sim.tasks.task import ALL_ROWS, Rows
from unity_env.spaces import SensorLayout

_STATE_FIELDS = (
    "time", "qpos", "qvel", "act", "qacc_warmstart", "ctrl", "qfrc_applied", "xfrc_applied", "eq_active",
    "mocap_pos", "mocap_quat",
)  # fmt: skip


class SimEnv(BaseEnv):  # type: ignore[misc]  # mlagents_envs has no type information
    """`num_areas` copies of a task, each with one agent whose id is its row.

    Behaves as a Unity scene does whose agents decide at every control period: an agent that ends its episode
    sends a terminal record and, in the same step, the first decision of its next episode. The episode k of
    row i is a function of (seed, i, k) alone, whatever the policy did before.

    Args:
        task_name: a key of `unity_env.sim.tasks.TASKS`.
        num_areas: number of rows.
        seed: seeds every start state.
        threads: simulation threads, 0 for all cores; results do not depend on it.

    Raises:
        ValueError: unknown task, or a number of areas below 1.
    """

    def __init__(self, task_name: str, num_areas: int = 64, seed: int = 0, threads: int = 0) -> None:
        if task_name not in TASKS:
            raise ValueError(f"sim:{task_name}: unknown task, known are {', '.join(sorted(TASKS))}")
        if num_areas < 1:
            raise ValueError(f"num_areas: {num_areas} is below 1")
        self.task: Task = TASKS[task_name](num_areas, threads)
        self.num_areas = num_areas
        self._random = EpisodeRandom(seed)
        self._substeps = self.task.robot.control.substeps
        self._episode_steps = round(self.task.description.episode_s / self.task.robot.control.period_s)
        self._sensors = {"observation": self.task.observation, "signals": self.task.signals}
        self._agent_ids = _read_only(np.arange(num_areas, dtype=np.int32))
        self._no_group = _read_only(np.zeros(num_areas, dtype=np.int32))
        self._no_group_reward = _read_only(np.zeros(num_areas, dtype=np.float32))
        self._age = np.zeros(num_areas, dtype=np.int64)
        self._episode = np.zeros(num_areas, dtype=np.int64)
        self._action = np.zeros((num_areas, self.task.robot.action_size), dtype=np.float32)
        self._spec = self._behavior_spec()
        self._decisions = DecisionSteps.empty(self._spec)
        self._terminals = self._no_terminals = TerminalSteps.empty(self._spec)

    @property
    def behavior_specs(self) -> Mapping[str, BehaviorSpec]:
        """Behavior name -> specification."""
        return {self.task.behavior: self._spec}

    @property
    def layouts(self) -> Mapping[str, Mapping[str, SensorLayout]]:
        """Behavior name -> sensor name -> its components in order."""
        return {self.task.behavior: {name: SensorLayout(parts) for name, parts in self._sensors.items()}}

    def reseed(self, seed: int) -> None:
        """Let the episodes after the next reset depend on `seed`."""
        self._random = EpisodeRandom(seed)
        self._episode[:] = 0

    def reset(self) -> None:
        """Start a new episode in every row."""
        self._begin_episodes(np.arange(self.num_areas))
        self._decisions = self._decision_steps(self._sense(ALL_ROWS), np.zeros(self.num_areas, np.float32))
        self._terminals = TerminalSteps.empty(self._spec)

    def step(self) -> None:
        """Advance every row by one control period."""
        self.task.act(np.clip(self._action, -1.0, 1.0))
        self.task.batch.step(nstep=self._substeps, stage=mujoco.mjtStage.mjSTAGE_VEL)
        self._age += 1
        terminated = self.task.after_physics()
        ended = terminated | (self._age >= self._episode_steps)
        obs = self._sense(ALL_ROWS)
        reward = self.task.success().astype(np.float32)
        self._terminals = self._no_terminals
        if ended.any():
            rows = np.flatnonzero(ended)
            self._terminals = self._terminal_steps(rows, obs, reward, ~terminated[rows])
            self._begin_episodes(rows)
            for sensor, restarted in zip(obs, self._sense(rows), strict=True):
                sensor[rows] = restarted
            reward[rows] = 0.0
        self._decisions = self._decision_steps(obs, reward)
        self._action[:] = 0.0

    def get_steps(self, behavior_name: str) -> tuple[DecisionSteps, TerminalSteps]:
        """Return the decision requests and the ended episodes of the last step."""
        self._check_behavior(behavior_name)
        return self._decisions, self._terminals

    def set_actions(self, behavior_name: str, action: ActionTuple) -> None:
        """Set the next action of every agent, (num_areas, size) in [-1, 1]; values beyond are clipped."""
        self._check_behavior(behavior_name)
        self._spec.action_spec._validate_action(action, self.num_areas, behavior_name)
        self._action[:] = action.continuous

    def set_action_for_agent(self, behavior_name: str, agent_id: int, action: ActionTuple) -> None:
        """Set the next action of one agent, (1, size)."""
        self._check_behavior(behavior_name)
        self._spec.action_spec._validate_action(action, 1, behavior_name)
        self._action[agent_id] = action.continuous[0]

    def close(self) -> None:
        """Nothing to release: the threads end with the object."""

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next steps depend on, as arrays."""
        batch = self.task.batch
        return {
            "seed": self._random.seed,
            "age": self._age.copy(),
            "episode": self._episode.copy(),
            "physics": {name: np.array(batch.bind(name)) for name in _STATE_FIELDS},
            "sensors": [sensor.copy() for sensor in self._decisions.obs],
            "memory": {name: value.copy() for name, value in self.task.memory.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue exactly where `state_dict` was taken."""
        self._random = EpisodeRandom(state["seed"])
        self._age[:] = state["age"]
        self._episode[:] = state["episode"]
        for name in _STATE_FIELDS:
            self.task.batch.bind(name)[:] = state["physics"][name]
        for name, value in self.task.memory.items():
            value[:] = state["memory"][name]
        self.task.batch.forward(stage=mujoco.mjtStage.mjSTAGE_VEL)
        sensors = [np.array(sensor) for sensor in state["sensors"]]
        self._decisions = self._decision_steps(sensors, np.zeros(self.num_areas, np.float32))
        self._terminals = TerminalSteps.empty(self._spec)

    def _begin_episodes(self, rows: np.ndarray) -> None:
        self.task.batch.reset(ids=rows, stage=mujoco.mjtStage.mjSTAGE_NONE)
        self.task.reset(rows, (self._random.at(row, self._episode[row]) for row in rows))
        self.task.batch.forward(ids=rows, stage=mujoco.mjtStage.mjSTAGE_VEL)
        self._age[rows] = 0
        self._episode[rows] += 1

    def _sense(self, rows: Rows) -> list[np.ndarray]:
        components = self.task.components(rows)
        return [
            np.concatenate([components[part.name] for part in parts], axis=1, dtype=np.float32)
            for parts in self._sensors.values()
        ]

    def _decision_steps(self, obs: list[np.ndarray], reward: np.ndarray) -> DecisionSteps:
        return DecisionSteps(obs, reward, self._agent_ids, None, self._no_group, self._no_group_reward)

    def _terminal_steps(
        self, rows: np.ndarray, obs: list[np.ndarray], reward: np.ndarray, interrupted: np.ndarray
    ) -> TerminalSteps:
        return TerminalSteps(
            [sensor[rows] for sensor in obs],
            reward[rows],
            interrupted,
            self._agent_ids[rows],
            self._no_group[rows],
            self._no_group_reward[rows],
        )

    def _behavior_spec(self) -> BehaviorSpec:
        sensors = [
            ObservationSpec(
                (sum(part.size for part in parts),), (DimensionProperty.NONE,), ObservationType.DEFAULT, name
            )
            for name, parts in self._sensors.items()
        ]
        return BehaviorSpec(sensors, ActionSpec.create_continuous(self.task.robot.action_size))

    def _check_behavior(self, name: str) -> None:
        if name != self.task.behavior:
            raise KeyError(f"unknown behavior {name}, this scene has {self.task.behavior}")


def _read_only(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array
