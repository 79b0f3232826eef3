"""What every behavior of every task of the embedded simulation must keep, for one row and for several."""

import warnings
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space

from tests.helpers import difference, leaves, make_rows, sim_of
from tests.unity_env.contract import (
    LIMIT,
    Case,
    Policy,
    bang_bang,
    corners,
    each_case,
    each_randomization,
    each_row_count,
    full_speed,
    random_actions,
    roll,
    shape_of,
    zeros,
)
from unity_env import UnityGymEnv, UnityVectorEnv
from unity_env.sim.env import SimEnv

Array = np.ndarray
pytestmark = [each_case, pytest.mark.usefixtures("pair_task")]


@each_row_count
def test_shapes_dtypes_and_spaces_are_what_gymnasium_expects(case: Case, rows: int) -> None:
    env = case.make(rows)
    obs, infos = env.reset(seed=0)
    single = env.single_observation_space
    assert isinstance(single, spaces.Box)
    assert env.num_envs == rows
    assert env.observation_space == batch_space(single, rows)
    assert env.action_space == batch_space(env.single_action_space, rows)
    assert (obs.shape, obs.dtype) == ((rows, *single.shape), np.float32)
    obs, rew, terminated, truncated, infos = env.step(zeros(env))
    assert (obs.shape, obs.dtype) == ((rows, *single.shape), np.float32)
    assert rew.shape == terminated.shape == truncated.shape == infos["valid"].shape == (rows,)
    assert rew.dtype == np.float32
    assert terminated.dtype == truncated.dtype == infos["valid"].dtype == np.bool_
    assert infos["valid"].all()


@each_row_count
def test_signals_come_under_their_described_names_and_sizes(case: Case, rows: int) -> None:
    env = case.make(rows)
    _, at_reset = env.reset(seed=0)
    *_, after = env.step(zeros(env))
    described = {part.name: (rows, part.size) for part in case.role.sensors["signals"]}
    for infos in (at_reset, after):
        assert {name: value.shape for name, value in infos["signals"].items()} == described
    assert "success" in described


def test_actions_are_the_unit_box_or_the_choices_that_are_described(case: Case) -> None:
    space, role = case.make(1).single_action_space, case.role
    if role.choices:
        assert isinstance(space, spaces.MultiDiscrete)
        assert space.nvec.tolist() == [len(values) for values in role.choices]
    else:
        assert isinstance(space, spaces.Box)
        assert space.shape == (role.command_size,)
        assert (space.low == -1).all()
        assert (space.high == 1).all()


def test_autoreset_mode_is_declared_same_step(case: Case) -> None:
    assert case.make(1).metadata["autoreset_mode"] is AutoresetMode.SAME_STEP


@pytest.mark.parametrize("policy", [random_actions, bang_bang, corners, full_speed])
def test_everything_sensed_is_finite_and_inside_its_bounds(case: Case, policy: Policy) -> None:
    env = make_rows(case.task, 5, behavior=case.behavior)
    obs, infos = env.reset(seed=1)
    rng = np.random.default_rng(2)
    limits = {part.name: part.limit for part in case.role.sensors["signals"]}
    for t in range(250):
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


def test_an_action_that_is_not_finite_is_refused_and_nothing_moves(case: Case) -> None:
    if case.role.choices:
        return  # they are whole numbers
    env, undisturbed = make_rows(case.task, 3, behavior=case.behavior), make_rows(case.task, 3, behavior=case.behavior)
    env.reset(seed=1)
    undisturbed.reset(seed=1)
    for wrong in (np.nan, np.inf):
        actions = zeros(env)
        actions[1, 0] = wrong
        with pytest.raises(ValueError, match=r"^actions: row 1 is not finite: \["):
            env.step(actions)
    np.testing.assert_equal(env.step(zeros(env))[:4], undisturbed.step(zeros(env))[:4])


@pytest.mark.parametrize("policy", [random_actions, full_speed])
def test_the_signals_that_are_said_to_end_an_episode_do(case: Case, policy: Policy) -> None:
    env = make_rows(case.task, 5, behavior=case.behavior)
    env.reset(seed=1)
    rng = np.random.default_rng(2)
    for t in range(150):
        _, _, terminated, _, infos = env.step(policy(rng, t, env))
        for name in case.role.task.ends:
            assert (infos["signals"][name] == 0).all(), (t, name)  # of the next episode already
            if "final_info" in infos:
                last = infos["final_info"]["signals"][name][:, 0] * infos["_final_info"]
                assert terminated[last > 0].all(), (t, name)


@each_row_count
def test_a_seed_fixes_every_bit(case: Case, rows: int) -> None:
    assert difference(roll(case.make(rows, seed=1), 70), roll(case.make(rows, seed=2), 70)) == ""


def test_another_seed_gives_another_start(case: Case) -> None:
    env = case.make(3)
    first, _ = env.reset(seed=1)
    second, _ = env.reset(seed=2)
    assert (np.abs(first - second).max(axis=1) > 0).all()


def test_rows_start_differently_and_so_do_successive_episodes(case: Case) -> None:
    env = case.make(3)
    first, _ = env.reset(seed=1)
    second, _ = env.reset()
    starts = [row.tobytes() for row in (*first, *second)]
    assert len(set(starts)) == 6


@each_randomization
def test_results_do_not_depend_on_the_number_of_threads(case: Case, randomized: bool) -> None:
    one, two = (case.make(7, threads=threads, randomized=randomized) for threads in (1, 2))
    assert difference(roll(one, 80), roll(two, 80)) == ""


def test_a_seeded_reset_in_mid_episode_starts_over_completely(case: Case) -> None:
    fresh, used = case.make(3), case.make(3)
    roll(used, 57, seed=99)
    assert difference(roll(fresh, 70), roll(used, 70)) == ""


def test_successive_results_share_no_memory(case: Case) -> None:
    results = roll(case.make(3), 2 * LIMIT)
    arrays = [(step, path, a) for step, r in enumerate(results) for path, a in leaves(r) if isinstance(a, Array)]
    for step, path, array in arrays:
        for later, later_path, other in arrays:
            if step < later <= step + 3:
                assert not np.shares_memory(array, other), (step, path, later, later_path)


def test_what_was_returned_never_changes_afterwards(case: Case) -> None:
    env = case.make(3)
    rng = np.random.default_rng(0)
    kept: list[tuple[Any, Any]] = []
    for t in range(2 * LIMIT + 5):
        result = env.step(random_actions(rng, t, env))
        kept.append((result, [(path, np.array(value)) for path, value in leaves(result)]))
    assert any("final_obs" in result[4] for result, _ in kept)
    for result, before in kept:
        assert difference([(path, np.array(value)) for path, value in leaves(result)], before) == ""


def test_actions_of_the_caller_are_not_modified(case: Case) -> None:
    env = case.make(2)
    env.reset(seed=0)
    action = full_speed(np.random.default_rng(0), 0, env) * (1 if case.role.choices else 3)
    before = action.copy()
    env.step(action)
    assert (action == before).all()


def test_actions_beyond_the_box_count_as_its_edge(case: Case) -> None:
    if case.role.choices:
        pytest.skip("choices have no edge")
    inside, beyond = case.make(2), case.make(2)
    inside.reset(seed=0)
    beyond.reset(seed=0)
    edge = np.ones(shape_of(inside), dtype=np.float32)
    for _ in range(20):
        *one, infos = inside.step(edge)
        *other, other_infos = beyond.step(5.0 * edge)
        assert difference(one, other) == ""
        assert difference(infos["signals"], other_infos["signals"]) == ""


def test_the_last_action_is_what_was_commanded(case: Case) -> None:
    where = case.role.layouts["observation"].slices.get("last_action")
    if where is None:
        pytest.skip("it is not observed")
    env = case.make(3)
    env.reset(seed=0)
    rng = np.random.default_rng(0)
    for t in range(5):
        action = random_actions(rng, t, env)
        obs, *_ = env.step(action)
        chosen = [values[action[:, branch]] for branch, values in enumerate(case.role.choices)]
        expected = np.concatenate(chosen, axis=1) if chosen else action
        assert (obs[:, where] == expected.astype(np.float32)).all()


def test_a_time_limit_truncates_after_the_described_number_of_decisions(case: Case) -> None:
    env = make_rows(case.task, 2, behavior=case.behavior)
    described = round(case.role.task.episode_s / case.role.robot.control.period_s)
    env.reset(seed=0)
    age = np.zeros(2, dtype=int)
    for _ in range(described):
        _, _, terminated, truncated, _ = env.step(zeros(env))
        age += 1
        assert (age[truncated] == described).all()
        age[terminated | truncated] = 0
    assert (age < described).all()


def test_an_episode_either_ends_or_is_cut_and_then_has_final_sensors(case: Case) -> None:
    env = case.make(5)
    env.reset(seed=0)
    cut = 0
    rng = np.random.default_rng(0)
    for t in range(2 * LIMIT):
        _, _, terminated, truncated, infos = env.step(random_actions(rng, t, env))
        assert not (terminated & truncated).any()
        assert ("final_obs" in infos) == bool((terminated | truncated).any())
        if "final_obs" in infos:
            assert (infos["_final_obs"] == (terminated | truncated)).all()
            assert (infos["_final_info"] == (terminated | truncated)).all()
        cut += int(truncated.sum())
    assert cut > 0


def test_the_final_observation_is_the_true_last_state(case: Case) -> None:
    env, endless = case.make(5), case.make(5)
    sim_of(endless)._episode_steps = 10**9
    env.reset(seed=4)
    endless.reset(seed=4)
    alone = np.ones(5, dtype=bool)  # rows in their first episode
    for _ in range(LIMIT):
        obs, _, terminated, truncated, infos = env.step(zeros(env))
        true_obs, _, _, _, true_infos = endless.step(zeros(env))
        alone &= ~terminated
    cut = np.flatnonzero(truncated & alone)
    assert len(cut)
    for row in cut:
        assert infos["final_obs"][row].tobytes() == true_obs[row].tobytes()
        assert infos["final_obs"][row].tobytes() != obs[row].tobytes()
        for name, value in infos["final_info"]["signals"].items():
            assert value[row].tobytes() == true_infos["signals"][name][row].tobytes(), name


def test_an_episode_start_senses_rest(case: Case) -> None:
    env = case.make(4)
    roll(env, 70, seed=1)
    _, infos = env.reset(seed=3)
    for name in {"joint_vel", "joint_torque", "last_action", "hold_time", "success"} & infos["signals"].keys():
        assert (infos["signals"][name] == 0).all(), name


def test_gymnasiums_own_checker_has_no_complaint(case: Case) -> None:
    env = SimEnv(case.task, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(UnityGymEnv(env, case.behavior, layouts=env.layouts[case.behavior]), skip_render_check=True)


def test_nothing_but_a_behavior_of_the_scene_is_accepted(case: Case) -> None:
    env = SimEnv(case.task, 1)
    with pytest.raises(KeyError, match="Nobody"):
        env.get_steps("Nobody")
    with pytest.raises(ValueError, match="Nobody"):
        UnityVectorEnv(env, "Nobody")


def test_areas_below_one_are_refused(case: Case) -> None:
    with pytest.raises(ValueError, match="num_areas"):
        SimEnv(case.task, 0)
