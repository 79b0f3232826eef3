"""What every task of the embedded simulation must keep, for one row and for several."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space

from tests.helpers import difference, leaves, make_rows, sim_of
from unity_env import UnityGymEnv, UnityVectorEnv
from unity_env.sim.env import SimEnv
from unity_env.sim.role import shared_control
from unity_env.sim.tasks import TASKS

Array = np.ndarray
Policy = Callable[[np.random.Generator, int, UnityVectorEnv], Array]

pytestmark = pytest.mark.parametrize("task", sorted(TASKS))
each_row_count = pytest.mark.parametrize("rows", [1, 7])


def shape_of(env: UnityVectorEnv) -> tuple[int, ...]:
    shape = env.action_space.shape
    assert shape is not None
    return shape


def as_actions(env: UnityVectorEnv, unit: Array) -> Array:
    """Numbers in [-1, 1] as actions of the environment: themselves, or choices in their order."""
    space = env.single_action_space
    if isinstance(space, spaces.MultiDiscrete):
        unit = np.minimum((unit + 1.0) / 2.0 * space.nvec, space.nvec - 1)
    return np.asarray(unit, dtype=space.dtype)


def random_actions(rng: np.random.Generator, _: int, env: UnityVectorEnv) -> Array:
    return as_actions(env, rng.uniform(-1, 1, shape_of(env)))


def bang_bang(rng: np.random.Generator, t: int, env: UnityVectorEnv) -> Array:
    """Full speed, the sense of every action switching at its own period."""
    size = shape_of(env)[1]
    period = 1 + np.arange(size) * 7
    sense = np.where((t // period) % 2 == 0, 1.0, -1.0) * rng.choice([-1.0, 1.0])
    return as_actions(env, np.broadcast_to(sense, shape_of(env)))


def full_speed(_: np.random.Generator, t: int, env: UnityVectorEnv) -> Array:
    """Against one end of every joint, then against the other."""
    return as_actions(env, np.full(shape_of(env), 1.0 if (t // 100) % 2 == 0 else -1.0))


def limit_of(env: UnityVectorEnv) -> int:
    control, episode_s = shared_control(sim_of(env).task.roles)
    return round(episode_s / control.period_s)


def roll(env: UnityVectorEnv, steps: int, seed: int = 3) -> list[Any]:
    """Results of reset and of so many random steps."""
    rng = np.random.default_rng(seed)
    return [env.reset(seed=11)] + [env.step(random_actions(rng, t, env)) for t in range(steps)]


@each_row_count
def test_shapes_dtypes_and_spaces_are_what_gymnasium_expects(task: str, rows: int) -> None:
    env = make_rows(task, rows)
    obs, infos = env.reset(seed=0)
    single = env.single_observation_space
    assert isinstance(single, spaces.Box)
    assert env.num_envs == rows
    assert env.observation_space == batch_space(single, rows)
    assert env.action_space == batch_space(env.single_action_space, rows)
    assert (obs.shape, obs.dtype) == ((rows, *single.shape), np.float32)
    obs, rew, terminated, truncated, infos = env.step(np.zeros(shape_of(env), np.float32))
    assert (obs.shape, obs.dtype) == ((rows, *single.shape), np.float32)
    assert rew.shape == terminated.shape == truncated.shape == infos["valid"].shape == (rows,)
    assert rew.dtype == np.float32
    assert terminated.dtype == truncated.dtype == infos["valid"].dtype == np.bool_
    assert infos["valid"].all()


@each_row_count
def test_signals_come_under_their_described_names_and_sizes(task: str, rows: int) -> None:
    env = make_rows(task, rows)
    _, at_reset = env.reset(seed=0)
    *_, after = env.step(np.zeros(shape_of(env), np.float32))
    described = {part.name: (rows, part.size) for part in sim_of(env).task.roles[0].sensors["signals"]}
    for infos in (at_reset, after):
        assert {name: value.shape for name, value in infos["signals"].items()} == described
    assert "success" in described


def test_action_space_is_the_unit_box_of_the_described_size_or_the_described_choices(task: str) -> None:
    env = make_rows(task, 1)
    space = env.single_action_space
    role = sim_of(env).task.roles[0]
    if role.choices:
        assert space == spaces.MultiDiscrete([len(values) for values in role.choices], dtype=np.int32)
        return
    assert isinstance(space, spaces.Box)
    assert space.shape == (role.command_size,)
    assert (space.low == -1).all()
    assert (space.high == 1).all()


def test_autoreset_mode_is_declared_same_step(task: str) -> None:
    assert make_rows(task, 1).metadata["autoreset_mode"] is AutoresetMode.SAME_STEP


@pytest.mark.parametrize("policy", [random_actions, bang_bang, full_speed])
@each_row_count
def test_everything_sensed_is_finite_and_inside_its_bounds(task: str, rows: int, policy: Policy) -> None:
    env = make_rows(task, rows)
    obs, infos = env.reset(seed=1)
    rng = np.random.default_rng(2)
    limits = {part.name: part.limit for part in sim_of(env).task.roles[0].sensors["signals"]}
    for t in range(500):
        assert env.observation_space.contains(obs), (t, obs)
        for name, (low, high) in limits.items():
            value = infos["signals"][name]
            assert ((value >= np.float32(low)) & (value <= np.float32(high))).all(), (t, name, value)
        obs, rew, _, _, infos = env.step(policy(rng, t, env))
        assert np.isfinite(rew).all()
        if "final_obs" in infos:
            ended = infos["_final_obs"]
            final = infos["final_obs"][ended]
            assert all(env.single_observation_space.contains(row) for row in final), (t, final)


@each_row_count
def test_a_seed_fixes_every_bit(task: str, rows: int) -> None:
    assert difference(roll(make_rows(task, rows, seed=1), 250), roll(make_rows(task, rows, seed=2), 250)) == ""


def test_another_seed_gives_another_start(task: str) -> None:
    env = make_rows(task, 3)
    first, _ = env.reset(seed=1)
    second, _ = env.reset(seed=2)
    assert (np.abs(first - second).max(axis=1) > 0).all()


def test_rows_start_differently_and_so_do_successive_episodes(task: str) -> None:
    env = make_rows(task, 3)
    first, _ = env.reset(seed=1)
    second, _ = env.reset()
    starts = [row.tobytes() for row in (*first, *second)]
    assert len(set(starts)) == 6


def test_results_do_not_depend_on_the_number_of_threads(task: str) -> None:
    one, two = (make_rows(task, 7, threads=threads) for threads in (1, 2))
    assert difference(roll(one, 250), roll(two, 250)) == ""


def test_a_seeded_reset_in_mid_episode_starts_over_completely(task: str) -> None:
    fresh, used = make_rows(task, 3), make_rows(task, 3)
    roll(used, 137, seed=99)
    assert difference(roll(fresh, 120), roll(used, 120)) == ""


def test_successive_results_share_no_memory(task: str) -> None:
    results = roll(make_rows(task, 3), 130)
    arrays = [(step, path, a) for step, r in enumerate(results) for path, a in leaves(r) if isinstance(a, Array)]
    for step, path, array in arrays:
        for later, later_path, other in arrays:
            if step < later <= step + 3:
                assert not np.shares_memory(array, other), (step, path, later, later_path)


def test_what_was_returned_never_changes_afterwards(task: str) -> None:
    env = make_rows(task, 3)
    rng = np.random.default_rng(0)
    kept: list[tuple[Any, Any]] = []
    for t in range(2 * limit_of(env) + 5):
        result = env.step(random_actions(rng, t, env))
        kept.append((result, [(path, np.array(value)) for path, value in leaves(result)]))
    assert any("final_obs" in result[4] for result, _ in kept)
    for result, before in kept:
        assert difference([(path, np.array(value)) for path, value in leaves(result)], before) == ""


def test_actions_of_the_caller_are_not_modified(task: str) -> None:
    env = make_rows(task, 2)
    env.reset(seed=0)
    action = np.full(shape_of(env), 3.0, dtype=env.single_action_space.dtype)
    env.step(action)
    assert (action == 3).all()


def test_actions_beyond_the_box_count_as_its_edge(task: str) -> None:
    inside, beyond = make_rows(task, 2), make_rows(task, 2)
    if not isinstance(inside.single_action_space, spaces.Box):
        pytest.skip("choices have no edge")
    inside.reset(seed=0)
    beyond.reset(seed=0)
    edge = np.ones(shape_of(inside), dtype=np.float32)
    for _ in range(20):
        *one, infos = inside.step(edge)
        *other, other_infos = beyond.step(5.0 * edge)
        assert difference(one, other) == ""
        assert difference(infos["signals"], other_infos["signals"]) == ""


def test_a_row_does_not_feel_what_the_other_rows_do(task: str) -> None:
    calm, wild = make_rows(task, 4), make_rows(task, 4)
    first, _ = calm.reset(seed=6)
    second, _ = wild.reset(seed=6)
    rng, noise = np.random.default_rng(0), np.random.default_rng(1)
    for t in range(3 * limit_of(calm) + 10):
        assert first[0].tobytes() == second[0].tobytes(), t
        action = random_actions(rng, t, calm)
        other = random_actions(noise, t, wild)
        other[0] = action[0]
        (first, r1, t1, c1, _), (second, r2, t2, c2, _) = calm.step(action), wild.step(other)
        assert (r1[0], t1[0], c1[0]) == (r2[0], t2[0], c2[0])


def test_a_row_is_the_same_whatever_the_number_of_rows(task: str) -> None:
    alone, among = make_rows(task, 1), make_rows(task, 5)
    first, _ = alone.reset(seed=6)
    second, _ = among.reset(seed=6)
    rng = np.random.default_rng(0)
    for t in range(limit_of(alone) + 20):
        assert first[0].tobytes() == second[0].tobytes(), t
        action = random_actions(rng, t, among)
        first, second = alone.step(action[:1])[0], among.step(action)[0]


def test_a_rows_kth_episode_starts_the_same_whatever_its_policy_did(task: str) -> None:
    def starts(policy: Policy) -> list[list[bytes]]:
        env = make_rows(task, 3)
        obs, _ = env.reset(seed=8)
        rng = np.random.default_rng(0)
        found = [[row.tobytes()] for row in obs]
        for t in range(3 * limit_of(env) + 3):
            obs, _, terminated, truncated, _ = env.step(policy(rng, t, env))
            for row in np.flatnonzero(terminated | truncated):
                found[row].append(obs[row].tobytes())
        return [row[:4] for row in found]

    assert min(len(row) for row in starts(random_actions)) == 4
    assert starts(random_actions) == starts(full_speed)


@each_row_count
def test_a_time_limit_truncates_after_the_described_number_of_decisions(task: str, rows: int) -> None:
    env = make_rows(task, rows)
    env.reset(seed=0)
    age = np.zeros(rows, dtype=int)
    cut = 0
    rng = np.random.default_rng(0)
    for t in range(3 * limit_of(env)):
        _, _, terminated, truncated, infos = env.step(random_actions(rng, t, env))
        age += 1
        assert not (terminated & truncated).any()
        assert (age[truncated] == limit_of(env)).all()
        assert ((age < limit_of(env)) | terminated | truncated).all()
        assert ("final_obs" in infos) == bool((terminated | truncated).any())
        if "final_obs" in infos:
            assert (infos["_final_obs"] == (terminated | truncated)).all()
            assert (infos["_final_info"] == (terminated | truncated)).all()
        cut += int(truncated.sum())
        age[terminated | truncated] = 0
    assert cut > 0


def test_the_final_observation_is_the_true_last_state(task: str) -> None:
    env, endless = make_rows(task, 5), make_rows(task, 5)
    sim_of(endless)._episode_steps = 10**9
    env.reset(seed=4)
    endless.reset(seed=4)
    rng = np.random.default_rng(0)
    for t in range(limit_of(env)):
        action = random_actions(rng, t, env)
        obs, _, _, truncated, infos = env.step(action)
        true_obs, _, _, _, true_infos = endless.step(action)
    assert truncated.any()
    for row in np.flatnonzero(truncated):
        assert infos["final_obs"][row].tobytes() == true_obs[row].tobytes()
        assert infos["final_obs"][row].tobytes() != obs[row].tobytes()
        for name, value in infos["final_info"]["signals"].items():
            assert value[row].tobytes() == true_infos["signals"][name][row].tobytes(), name


@each_row_count
def test_a_saved_state_continues_bit_for_bit_in_a_fresh_environment(task: str, rows: int) -> None:
    env = make_rows(task, rows)
    roll(env, 137)
    state = env.state_dict()
    assert state is not None
    fresh = make_rows(task, rows, seed=12345, threads=2)
    fresh.load_state_dict(state)
    rng = np.random.default_rng(5)
    for t in range(300):
        action = random_actions(rng, t, env)
        assert difference(env.step(action), fresh.step(action)) == "", t


def test_restoring_a_state_returns_that_moments_observations_and_signals(task: str) -> None:
    env = make_rows(task, 3)
    obs, _, _, _, infos = roll(env, 137)[-1]
    state = env.state_dict()
    assert state is not None
    restored_obs, restored_infos = make_rows(task, 3, seed=9).load_state_dict(state)
    assert difference(obs, restored_obs) == ""
    assert difference(infos["signals"], restored_infos["signals"]) == ""


def test_a_saved_state_does_not_change_while_the_environment_goes_on(task: str) -> None:
    env = make_rows(task, 2)
    roll(env, 50)
    state = env.state_dict()
    before = [(path, np.array(value)) for path, value in leaves(state)]
    roll(env, 50)
    assert difference([(path, np.array(value)) for path, value in leaves(state)], before) == ""


def test_an_episode_start_senses_rest(task: str) -> None:
    env = make_rows(task, 4)
    roll(env, 70, seed=1)
    _, infos = env.reset(seed=3)
    for name in {"joint_vel", "joint_torque", "last_action", "hold_time", "success"} & infos["signals"].keys():
        assert (infos["signals"][name] == 0).all(), name


def test_gymnasiums_own_checker_has_no_complaint(task: str) -> None:
    env = SimEnv(task, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(UnityGymEnv(env, layouts=env.layouts[env.task.roles[0].behavior]), skip_render_check=True)


def test_nothing_but_a_behavior_of_the_scene_is_accepted(task: str) -> None:
    env = SimEnv(task, 1)
    with pytest.raises(KeyError, match="Nobody"):
        env.get_steps("Nobody")
    with pytest.raises(ValueError, match="Nobody"):
        UnityVectorEnv(env, "Nobody")


def test_areas_below_one_are_refused(task: str) -> None:
    with pytest.raises(ValueError, match="num_areas"):
        SimEnv(task, 0)
