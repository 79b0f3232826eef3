"""What an episode depends on: not on other rows, not on threads; and a saved state has all of it."""

import numpy as np
import pytest
from gymnasium.vector.utils import batch_space

from benchmarks.determinism import digest, everything_randomized
from tests.helpers import difference, leaves, sim_of
from tests.unity_env.contract import (
    LIMIT,
    Case,
    Policy,
    each_case,
    each_randomization,
    full_speed,
    levels,
    random_actions,
    roll,
)
from unity_env import UnityVectorEnv
from unity_env.spaces import action_space, action_tuple

Array = np.ndarray
pytestmark = [each_case, pytest.mark.usefixtures("pair_task")]


def act_everywhere(env: UnityVectorEnv, rng: np.random.Generator, other: np.random.Generator) -> None:
    """Let all behaviors of the scene act at random: row 0 by `rng`, the other rows by `other`."""
    sim = sim_of(env)
    for name, spec in sim.behavior_specs.items():
        space = batch_space(action_space(spec.action_spec), sim.num_areas)
        assert space.shape is not None
        at = np.concatenate([rng.random((1, space.shape[1])), other.random((sim.num_areas - 1, space.shape[1]))])
        sim.set_actions(name, action_tuple(spec.action_spec, levels(action_space(spec.action_spec), at)))


@each_randomization
def test_a_row_does_not_feel_what_the_other_rows_do(case: Case, randomized: bool) -> None:
    calm, wild = (case.make(4, randomized=randomized) for _ in range(2))
    rngs = [(np.random.default_rng(0), np.random.default_rng(seed)) for seed in (1, 2)]
    for env in (calm, wild):
        env.reset(seed=6)
    for t in range(2 * LIMIT + 10):
        told = []
        for env, (rng, other) in zip((calm, wild), rngs, strict=True):
            act_everywhere(env, rng, other)
            sim_of(env).step()
            decisions, terminals = sim_of(env).get_steps(case.behavior)
            first = np.flatnonzero(terminals.agent_id == decisions.agent_id[0])
            told.append([sensor[0] for sensor in decisions.obs] + [sensor[first] for sensor in terminals.obs])
            told[-1] += [decisions.reward[0], terminals.reward[first], terminals.interrupted[first]]
        assert difference(*told) == "", t


def test_a_row_is_the_same_whatever_the_number_of_rows(case: Case) -> None:
    alone, among = case.make(1), case.make(5)
    first, _ = alone.reset(seed=6)
    second, _ = among.reset(seed=6)
    rng = np.random.default_rng(0)
    for t in range(LIMIT + 20):
        assert first[0].tobytes() == second[0].tobytes(), t
        action = random_actions(rng, t, among)
        first, second = alone.step(action[:1])[0], among.step(action)[0]


@each_randomization
def test_a_rows_kth_episode_starts_the_same_whatever_its_policy_did(case: Case, randomized: bool) -> None:
    """It is a function of the seed, the row, its number and the environment parameters."""

    def starts(policy: Policy) -> list[list[bytes]]:
        env = case.make(3, randomized=randomized)
        obs, _ = env.reset(seed=8)
        rng = np.random.default_rng(0)
        drawn = sim_of(env)._randomization.values
        found = [[row.tobytes()] for row in obs]
        for t in range(2 * LIMIT + 2):
            obs, _, terminated, truncated, _ = env.step(policy(rng, t, env))
            for row in np.flatnonzero(terminated | truncated):
                found[row].append(obs[row].tobytes() + b"".join(values[row].tobytes() for values in drawn.values()))
        return [row[:3] for row in found]

    assert min(len(row) for row in starts(random_actions)) == 3
    assert starts(random_actions) == starts(full_speed)


@each_randomization
@pytest.mark.parametrize("steps", [0, 73])
def test_a_saved_state_continues_bit_for_bit_in_a_fresh_environment(case: Case, steps: int, randomized: bool) -> None:
    env = case.make(5, randomized=randomized)
    roll(env, steps)
    state = env.state_dict()
    assert state is not None
    fresh = case.make(5, seed=12345, threads=2, randomized=randomized)
    fresh.load_state_dict(state)
    rng = np.random.default_rng(5)
    for t in range(LIMIT + 20):
        action = random_actions(rng, t, env)
        assert difference(env.step(action), fresh.step(action)) == "", t


def test_restoring_a_state_returns_that_moments_observations_and_signals(case: Case) -> None:
    env = case.make(3)
    obs, _, _, _, infos = roll(env, 73)[-1]
    state = env.state_dict()
    assert state is not None
    restored_obs, restored_infos = case.make(3, seed=9).load_state_dict(state)
    assert difference(obs, restored_obs) == ""
    assert difference(infos["signals"], restored_infos["signals"]) == ""


def test_a_saved_state_does_not_change_while_the_environment_goes_on(case: Case) -> None:
    env = case.make(2)
    roll(env, 50)
    state = env.state_dict()
    before = [(path, np.array(value)) for path, value in leaves(state)]
    roll(env, 50)
    assert difference([(path, np.array(value)) for path, value in leaves(state)], before) == ""


def test_all_that_a_scene_tells_has_the_same_sha256_twice_and_for_two_threads(case: Case) -> None:
    """The short form of benchmarks/determinism.py."""
    first, again, threaded = (digest(case.task, 60, threads, 3, everything_randomized()) for threads in (1, 1, 2))
    assert first == again == threaded
    assert digest(case.task, 60, 1, 3, {}) != first
