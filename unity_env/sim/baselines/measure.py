"""How well a hand-written controller does."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from mlagents_envs.base_env import ActionTuple, DecisionSteps, TerminalSteps

from unity_env.settings import Sampler
from unity_env.sim.baselines import BASELINES, Controller
from unity_env.sim.env import SimEnv
from unity_env.sim.role import Role

Array = np.ndarray
ROWS = 50
CONTROLLERS = ("scripted", "random")


@dataclass(frozen=True)
class Measured:
    """What the episodes of one behavior came to; arrays are (episodes,).

    Attributes:
        successes: bool.
        lengths: decisions.
        joint_successes: bool, of all robots of the scene together; None where there is but one.
    """

    successes: Array
    lengths: Array
    joint_successes: Array | None = None

    def summary(self) -> dict[str, float]:
        """Return the means."""
        means = {"success": float(self.successes.mean()), "length": float(self.lengths.mean())}
        if self.joint_successes is not None:
            means["joint_success"] = float(self.joint_successes.mean())
        return means


def measure(
    task: str,
    controller: str,
    episodes: int,
    seed: int,
    threads: int = 0,
    parameters: Mapping[str, float | Sampler] | None = None,
) -> dict[str, Measured]:
    """Run the same number of episodes in every row.

    Args:
        task: a key of `unity_env.sim.tasks.TASKS`.
        controller: one of CONTROLLERS.
        episodes: how many in all.
        seed: of the episodes, and of the random controller.
        threads: of the simulation, 0 for all cores.
        parameters: of the environment, see `SimEnv.set_parameters`.

    Returns:
        behavior -> what was measured.

    Raises:
        ValueError: unknown task, or a task without a scripted controller.
    """
    env = SimEnv(task, min(ROWS, episodes), seed, threads, parameters)
    controllers = _controllers(env, controller, seed)
    records = {role.behavior: _Record(role, env.num_areas, episodes) for role in env.task.roles}
    env.reset()
    while not all(record.complete for record in records.values()):
        for behavior, record in records.items():
            command = controllers[behavior](read_components(record.role, env.get_steps(behavior)[0]))
            env.set_actions(behavior, as_action(record.role, command))
        env.step()
        for behavior, record in records.items():
            record.count(env.get_steps(behavior)[1])
    return {behavior: record.measured() for behavior, record in records.items()}


def read_components(role: Role, decisions: DecisionSteps) -> dict[str, Array]:
    """Return what both sensors say, component -> (rows, size); the policy's view of what both have."""
    parts = zip(reversed(decisions.obs), reversed(role.layouts.values()), strict=True)
    return {name: sensor[:, where] for sensor, layout in parts for name, where in layout.slices.items()}


def as_action(role: Role, command: Array) -> ActionTuple:
    """Turn commands, (N, command_size) in [-1, 1], into a behavior's action; choices are the nearest ones."""
    if not role.choices:
        return ActionTuple(continuous=command.astype(np.float32))
    ends = np.cumsum([values.shape[1] for values in role.choices])[:-1]
    parts = np.split(command, ends, axis=1)
    chosen = [
        np.square(part[:, None] - values).sum(axis=2).argmin(axis=1)
        for part, values in zip(parts, role.choices, strict=True)
    ]
    return ActionTuple(discrete=np.stack(chosen, axis=1).astype(np.int32))


def _controllers(env: SimEnv, controller: str, seed: int) -> Mapping[str, Controller]:
    if controller == "scripted":
        if env.task.name not in BASELINES:
            raise ValueError(f"{env.task.name} has no scripted controller; there are those of {', '.join(BASELINES)}")
        return BASELINES[env.task.name](env)
    rng = np.random.default_rng(seed)

    def at_random(role: Role) -> Controller:
        return lambda components: rng.uniform(-1.0, 1.0, (len(components["success"]), role.command_size))

    return {role.behavior: at_random(role) for role in env.task.roles}


class _Record:
    """The episodes of one behavior so far, the same number in every row."""

    def __init__(self, role: Role, rows: int, episodes: int) -> None:
        self.role = role
        self._episodes = episodes
        self._ended: list[list[tuple[bool, bool, int]]] = [[] for _ in range(rows)]  # success, joint success, length
        self._age = np.zeros(rows, dtype=np.int64)
        self._per_row = -(-episodes // rows)
        signals = role.layouts["signals"].slices
        self._success = signals["success"].start
        self._joint = signals["joint_success"].start if "joint_success" in signals else None

    @property
    def complete(self) -> bool:
        """Whether every row has had its episodes."""
        return min(len(ended) for ended in self._ended) >= self._per_row

    def count(self, terminals: TerminalSteps) -> None:
        """Take in a step's ended episodes."""
        self._age += 1
        rows = terminals.agent_id % len(self._age)
        solved = terminals.obs[1][:, [self._success, self._success if self._joint is None else self._joint]] > 0
        for row, (success, joint_success) in zip(rows.tolist(), solved.tolist(), strict=True):
            self._ended[row].append((success, joint_success, int(self._age[row])))
        self._age[rows] = 0

    def measured(self) -> Measured:
        """Return the first episodes of every row."""
        ended = np.array([of[: self._per_row] for of in self._ended])  # (rows, episodes of each, 3)
        successes, joint_successes, lengths = ended.swapaxes(0, 1).reshape(-1, 3)[: self._episodes].T
        joint = None if self._joint is None else joint_successes.astype(bool)
        return Measured(successes.astype(bool), lengths, joint)
