"""The embedded simulation as an ML-Agents environment: a task in many rows, an agent per row and behavior."""

from collections.abc import Mapping
from typing import Any

import mujoco
import numpy as np
from mlagents_envs.base_env import ActionTuple, BaseEnv, BehaviorSpec, DecisionSteps, TerminalSteps

from unity_env.settings import Sampler
from unity_env.sim.agents import RoleAgents
from unity_env.sim.episode_random import EpisodeRandom
from unity_env.sim.randomization import Randomization
from unity_env.sim.role import shared_control
from unity_env.sim.tasks import TASKS, Task
from unity_env.sim.tasks.task import ALL_ROWS, Measured, Rows
from unity_env.spaces import SensorLayout

_STATE_FIELDS = (
    "time", "qpos", "qvel", "act", "qacc_warmstart", "ctrl", "qfrc_applied", "xfrc_applied", "eq_active",
    "mocap_pos", "mocap_quat",
)  # fmt: skip
_NOISE = 2  # purpose of random numbers

Sensed = dict[str, list[np.ndarray]]  # behavior -> its sensors, (rows, size) float32 each


class SimEnv(BaseEnv):  # type: ignore[misc]  # mlagents_envs has no type information
    """`num_areas` copies of a task, each with one agent per behavior.

    Behaves as a Unity scene does whose agents decide at every control period: an agent that ends its episode
    sends a terminal record and, in the same step, the first decision of its next episode. The episode k of
    row i is a function of (seed, i, k) and of the environment parameters, whatever the policy did before.

    Args:
        task_name: a key of `unity_env.sim.tasks.TASKS`.
        num_areas: number of rows.
        seed: seeds every start state.
        threads: simulation threads, 0 for all cores; results do not depend on it.
        parameters: environment parameters, see `set_parameters`.

    Raises:
        ValueError: unknown task, a number of areas below 1, or a parameter that does not fit.
    """

    def __init__(
        self,
        task_name: str,
        num_areas: int = 64,
        seed: int = 0,
        threads: int = 0,
        parameters: Mapping[str, float | Sampler] | None = None,
    ) -> None:
        if task_name not in TASKS:
            raise ValueError(f"sim:{task_name}: unknown task, known are {', '.join(sorted(TASKS))}")
        if num_areas < 1:
            raise ValueError(f"num_areas: {num_areas} is below 1")
        self.task: Task = TASKS[task_name](task_name, num_areas, threads)
        self.num_areas = num_areas
        self._random = EpisodeRandom(seed)
        self._randomization = Randomization(self.task)
        self._randomization.set(parameters or {})
        control, episode_s = shared_control(self.task.roles)
        self._substeps = control.substeps
        self._episode_steps = round(episode_s / control.period_s)
        self._age = np.zeros(num_areas, dtype=np.int64)
        self._episode = np.zeros(num_areas, dtype=np.int64)
        self._agents = {
            role.behavior: RoleAgents(role, num_areas, index * num_areas) for index, role in enumerate(self.task.roles)
        }

    @property
    def behavior_specs(self) -> Mapping[str, BehaviorSpec]:
        """Behavior name -> specification."""
        return {role.behavior: role.spec for role in self.task.roles}

    @property
    def layouts(self) -> Mapping[str, Mapping[str, SensorLayout]]:
        """Behavior name -> sensor name -> its components in order."""
        return {role.behavior: role.layouts for role in self.task.roles}

    def reseed(self, seed: int) -> None:
        """Let the episodes after the next reset depend on `seed`."""
        self._random = EpisodeRandom(seed)
        self._episode[:] = 0

    def set_parameters(self, parameters: Mapping[str, float | Sampler]) -> None:
        """Give environment parameters to the episodes that begin from now on; those left out get their default.

        Raises:
            ValueError: an unknown parameter, or a value outside its described range.
        """
        self._randomization.set(parameters)

    def push(self, row: int, robot: int, force_n: np.ndarray, periods: int = 1) -> None:
        """Push a robot by hand from the next step on, see `Randomization.push_by_hand`."""
        self._randomization.push_by_hand(row, robot, force_n, periods)

    def reset(self) -> None:
        """Start a new episode in every row."""
        self._begin_episodes(np.arange(self.num_areas))
        for behavior, obs in self._sense(ALL_ROWS, self.task.measure(ALL_ROWS), self.task.success()).items():
            self._agents[behavior].request(obs, np.zeros(self.num_areas, np.float32))

    def step(self) -> None:
        """Advance every row by one control period."""
        latency = self._randomization.latency
        self.task.act({behavior: agents.take_command(latency) for behavior, agents in self._agents.items()})
        self._randomization.push(self._random, self._episode, self._age)
        self.task.batch.step(nstep=self._substeps, stage=self.task.stage)
        self._age += 1
        measured = self.task.measure(ALL_ROWS)
        terminated, success = self.task.judge(measured), self.task.success()
        (ended,) = (terminated | (self._age >= self._episode_steps)).nonzero()
        sensed = self._sense(ALL_ROWS, measured, success)
        rewards = {behavior: solved.astype(np.float32) for behavior, solved in success.items()}
        for behavior, agents in self._agents.items():
            agents.request(sensed[behavior], rewards[behavior])
        if len(ended):
            self._end_episodes(ended, sensed, rewards, ~terminated[ended])

    def get_steps(self, behavior_name: str) -> tuple[DecisionSteps, TerminalSteps]:
        """Return the decision requests and the ended episodes of the last step."""
        agents = self._of(behavior_name)
        return agents.decisions, agents.terminals

    def set_actions(self, behavior_name: str, action: ActionTuple) -> None:
        """Set the next action of every agent; continuous values beyond [-1, 1] are clipped."""
        self._of(behavior_name).set_actions(action)

    def set_action_for_agent(self, behavior_name: str, agent_id: int, action: ActionTuple) -> None:
        """Set the next action of one agent, (1, size)."""
        self._of(behavior_name).set_action(agent_id, action)

    def close(self) -> None:
        """Nothing to release: the threads end with the object."""

    def sampled_means(self) -> dict[str, float]:
        """Return the mean of each sampled environment parameter over the episodes begun since the last call."""
        return self._randomization.sampled_means()

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next steps depend on, as arrays."""
        batch = self.task.batch
        return {
            "seed": self._random.seed,
            "age": self._age.copy(),
            "episode": self._episode.copy(),
            "parameters": self._randomization.state_dict(),
            "physics": {name: np.array(batch.bind(name)) for name in _STATE_FIELDS},
            "agents": {behavior: agents.state_dict() for behavior, agents in self._agents.items()},
            "memory": {name: value.copy() for name, value in self.task.memory.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue exactly where `state_dict` was taken, under the parameters of this environment."""
        self._random = EpisodeRandom(state["seed"])
        self._age[:] = state["age"]
        self._episode[:] = state["episode"]
        self._randomization.load_state_dict(state["parameters"])
        for name in _STATE_FIELDS:
            self.task.batch.bind(name)[:] = state["physics"][name]
        for name, value in self.task.memory.items():
            value[:] = state["memory"][name]
        self.task.batch.forward(stage=self.task.stage)
        for behavior, agents in self._agents.items():
            agents.load_state_dict(state["agents"][behavior])

    def _end_episodes(
        self, rows: np.ndarray, sensed: Sensed, rewards: dict[str, np.ndarray], interrupted: np.ndarray
    ) -> None:
        """Report the ends, and let the decision requests tell of the next episodes."""
        for behavior, agents in self._agents.items():
            agents.end(rows, sensed[behavior], rewards[behavior], interrupted)
        self._begin_episodes(rows)
        for behavior, restarted in self._sense(rows, self.task.measure(rows), self.task.success()).items():
            rewards[behavior][rows] = 0.0
            for sensor, values in zip(sensed[behavior], restarted, strict=True):
                sensor[rows] = values

    def _begin_episodes(self, rows: np.ndarray) -> None:
        self.task.batch.reset(ids=rows, stage=mujoco.mjtStage.mjSTAGE_NONE)
        rngs = (self._random.at(row, self._episode[row]) for row in rows)
        self.task.reset(rows, self._randomization.episodes(rows, rngs))
        self._randomization.apply(rows)
        if self.task.stage != mujoco.mjtStage.mjSTAGE_NONE:
            self.task.batch.forward(ids=rows, stage=self.task.stage)
        for agents in self._agents.values():
            agents.forget(rows)
        self._age[rows] = 0
        self._episode[rows] += 1

    def _sense(self, rows: Rows, measured: Measured, success: dict[str, np.ndarray]) -> Sensed:
        """Put the sensors together.

        Args:
            rows: which.
            measured: behavior -> component name -> (rows, size).
            success: behavior -> (num_rows,) bool.
        """
        components = self.task.components(rows, measured)
        return {
            behavior: agents.sense(components[behavior], success[behavior], rows, self._noise(agents, index, rows))
            for index, (behavior, agents) in enumerate(self._agents.items())
        }

    def _noise(self, agents: RoleAgents, index: int, rows: Rows) -> np.ndarray | None:
        level = self._randomization.noise_level
        if level is None:
            return None
        where = np.arange(self.num_areas)[rows], self._episode[rows], self._age[rows]
        normal = self._random.normal(*where, agents.noisy_size, _NOISE + 16 * index)
        noise: np.ndarray = level[rows, None] * normal
        return noise

    def _of(self, behavior: str) -> RoleAgents:
        if behavior not in self._agents:
            raise KeyError(f"unknown behavior {behavior}, this scene has {', '.join(self._agents)}")
        return self._agents[behavior]
