"""Every behavior of every task, and policies that act in it: what the contract's tests share."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from gymnasium import spaces

from benchmarks.determinism import everything_randomized
from tests.helpers import make_rows, sim_of
from tests.pair import LEFT, PAIR, RIGHT
from unity_env import UnityVectorEnv
from unity_env.sim.role import Role, all_roles, find_role
from unity_env.sim.tasks import TASKS

Array = np.ndarray
LIMIT = 50
Policy = Callable[[np.random.Generator, int, UnityVectorEnv], Array]


class Case(NamedTuple):
    """A behavior of a task."""

    task: str
    behavior: str

    @property
    def role(self) -> Role:
        return find_role(self.task, self.behavior)

    def make(self, rows: int, seed: int = 0, threads: int = 1, *, randomized: bool = False) -> UnityVectorEnv:
        """Rows whose episodes end after LIMIT decisions, so that many fit into a short test."""
        parameters = everything_randomized() if randomized else {}
        env = make_rows(self.task, rows, seed, threads, self.behavior, parameters)
        sim_of(env)._episode_steps = LIMIT
        return env


CASES = [Case(task, role.behavior) for task in sorted(TASKS) for role in all_roles()[task]]
CASES += [Case(PAIR, LEFT), Case(PAIR, RIGHT)]
each_case = pytest.mark.parametrize("case", CASES, ids="-".join)
each_randomization = pytest.mark.parametrize("randomized", [False, True], ids=["plain", "randomized"])
each_row_count = pytest.mark.parametrize("rows", [1, 7])


def levels(single: spaces.Space[Any], at: Array) -> Array:
    """Return actions at these parts, 0 to 1, of the ranges of one agent's actions."""
    if isinstance(single, spaces.MultiDiscrete):
        chosen: Array = np.minimum(at * single.nvec, single.nvec - 1).astype(np.int32)
        return chosen
    scaled: Array = (2.0 * at - 1.0).astype(np.float32)
    return scaled


def shape_of(env: UnityVectorEnv) -> tuple[int, ...]:
    shape = env.action_space.shape
    assert shape is not None
    return shape


def zeros(env: UnityVectorEnv) -> Array:
    """Stand still, or take the first of the choices."""
    return np.zeros(shape_of(env), env.action_space.dtype)


def random_actions(rng: np.random.Generator, _: int, env: UnityVectorEnv) -> Array:
    return levels(env.single_action_space, rng.random(shape_of(env)))


def bang_bang(_: np.random.Generator, t: int, env: UnityVectorEnv) -> Array:
    """Full speed, the sense of every action switching at its own period."""
    period = 1 + np.arange(shape_of(env)[1]) * 7
    return levels(env.single_action_space, np.broadcast_to(((t // period) % 2).astype(float), shape_of(env)))


def corners(_: np.random.Generator, t: int, env: UnityVectorEnv) -> Array:
    """One end or the other of every action, drawn anew every five steps."""
    return levels(env.single_action_space, np.random.default_rng(t // 5).integers(0, 2, shape_of(env)).astype(float))


def full_speed(_: np.random.Generator, t: int, env: UnityVectorEnv) -> Array:
    """Against one end of every joint, then against the other."""
    return levels(env.single_action_space, np.full(shape_of(env), 1.0 - (t // 100) % 2))


def idle(_: np.random.Generator, __: int, env: UnityVectorEnv) -> Array:
    return zeros(env)


def roll(env: UnityVectorEnv, steps: int, seed: int = 3) -> list[Any]:
    """Results of reset and of so many random steps."""
    rng = np.random.default_rng(seed)
    return [env.reset(seed=11)] + [env.step(random_actions(rng, t, env)) for t in range(steps)]
