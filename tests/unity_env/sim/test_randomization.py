"""Environment parameters: each one does to the physics what its description says, in its own row and episode."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from mlagents_envs.base_env import ActionTuple
from mlagents_envs.exception import UnityActionException

from tests.helpers import difference, make_rows, sampler, sim_of
from tests.pair import LEFT, PAIR, PUCK_M_S
from unity_env import UnityVectorEnv
from unity_env.settings import Sampler
from unity_env.sim.description import common_parameters
from unity_env.sim.env import SimEnv

Array = np.ndarray
STILL = np.zeros((3, 6), np.float32)
pytestmark = pytest.mark.usefixtures("pair_task")


def uniform(low: float, high: float) -> Sampler:
    return sampler("uniform", min_value=low, max_value=high)


def gaussian(mean: float, st_dev: float) -> Sampler:
    return sampler("gaussian", mean=mean, st_dev=st_dev)


def arms(rows: int = 3, **parameters: float | Sampler) -> UnityVectorEnv:
    return arms_with(parameters, rows)


def arms_with(parameters: Mapping[str, float | Sampler], rows: int = 3) -> UnityVectorEnv:
    env = make_rows("arm_reach", rows, parameters=parameters)
    env.reset(seed=0)
    return env


def pairs(rows: int, **parameters: float | Sampler) -> SimEnv:
    env = SimEnv(PAIR, rows, 0, 1, parameters)
    env.reset()
    return env


def values_of(env: UnityVectorEnv) -> Mapping[str, Array]:
    return sim_of(env)._randomization.values


def test_masses_and_inertias_of_the_robots_are_scaled_and_of_nothing_else() -> None:
    nominal, scaled = pairs(2).task, pairs(2, mass_scale=1.5).task
    plain = nominal.model
    for row in range(2):
        model = scaled.batch.get_model(row)
        for body in range(model.nbody):
            factor = 1.5 if plain.body(body).name.startswith(("left/", "right/")) else 1.0
            assert model.body_mass[body] == pytest.approx(factor * plain.body_mass[body])
            np.testing.assert_allclose(model.body_inertia[body], factor * plain.body_inertia[body])
        assert model.body_subtreemass[0] == pytest.approx(model.body_mass.sum())
        assert (model.dof_invweight0[:12] < plain.dof_invweight0[:12]).all()


def sunk(**parameters: float) -> float:
    """How far the tool sinks from 0.4 s to 1 s without commands, m, mean over rows."""
    env = arms_with(parameters, 8)
    rest = np.zeros((8, 6), np.float32)
    heights = [env.step(rest)[4]["signals"]["tool_pos"][:, 2] for _ in range(25)]
    return float(np.mean(heights[10] - heights[-1]))


def test_a_controller_that_knows_the_nominal_mass_holds_that_only() -> None:
    light, nominal, heavy = sunk(mass_scale=0.6), sunk(), sunk(mass_scale=1.6)
    assert light < -0.02
    assert abs(nominal) < 1e-3
    assert heavy > 0.02


def test_stronger_drives_yield_less() -> None:
    weak, strong = (sunk(mass_scale=1.05, drive_gain_scale=scale) for scale in (0.5, 1.5))
    assert weak / strong == pytest.approx(3.0, rel=0.15)  # a velocity drive yields with torque / gain


def test_gains_of_all_drives_are_scaled() -> None:
    scaled, nominal = (sim_of(env).task.batch.get_model(1) for env in (arms(drive_gain_scale=1.3), arms()))
    np.testing.assert_allclose(scaled.actuator_gainprm, 1.3 * nominal.actuator_gainprm)
    np.testing.assert_allclose(scaled.actuator_biasprm, 1.3 * nominal.actuator_biasprm)
    assert (scaled.actuator_forcerange == nominal.actuator_forcerange).all()


def test_sliding_friction_of_all_surfaces_is_scaled_and_no_other() -> None:
    scaled, nominal = (pairs(2, **p).task.batch.get_model(1) for p in ({"friction_scale": 0.4}, {}))
    np.testing.assert_allclose(scaled.geom_friction[:, 0], 0.4 * nominal.geom_friction[:, 0])
    np.testing.assert_array_equal(scaled.geom_friction[:, 1:], nominal.geom_friction[:, 1:])


def test_a_puck_slides_as_far_as_its_friction_lets_it() -> None:
    for scale in (0.5, 1.0, 1.5):
        env = pairs(2, friction_scale=scale)
        position = env.task.batch.bind("qpos")[:, 12]
        start = position.copy()
        for _ in range(20):
            env.step()
        friction = scale * 1.0  # MuJoCo's default coefficient
        np.testing.assert_allclose(position - start, PUCK_M_S**2 / (2 * friction * 9.81), rtol=0.1)


def steps_of(env: UnityVectorEnv, count: int, seed: int = 1) -> list[Any]:
    rng = np.random.default_rng(seed)
    shape = env.action_space.shape
    assert shape is not None
    return [env.step(rng.uniform(-1, 1, shape).astype(np.float32)) for _ in range(count)]


def test_noise_is_normal_as_described_and_on_the_observation_alone() -> None:
    clean, noisy = steps_of(arms(50), 90), steps_of(arms(50, sensor_noise=2.0), 90)
    for one, other in zip(clean, noisy, strict=True):
        assert difference(one[1:4], other[1:4]) == ""
        assert difference(one[4]["signals"], other[4]["signals"]) == ""
    error = np.array([other[0] - one[0] for one, other in zip(clean, noisy, strict=True)])
    start = 0
    for part in sim_of(arms()).task.roles[0].sensors["observation"]:
        values = error[:, :, start : start + part.size]
        start += part.size
        assert values.std() == pytest.approx(2.0 * part.noise, rel=0.02), part.name
        assert abs(values.mean()) <= 0.05 * part.noise, part.name
    seen = error[:, :, :6] / (2.0 * 0.005)
    assert np.mean(np.abs(seen) > 1.96) == pytest.approx(0.05, abs=0.01)
    for neighbours in (seen[1:] * seen[:-1], seen[:, 1:] * seen[:, :-1], seen[..., 1:] * seen[..., :-1]):
        assert abs(neighbours.mean()) < 0.03  # of one step, row or component says nothing of the next


def test_noise_never_leaves_the_bounds_of_what_it_is_added_to() -> None:
    env = arms(50, sensor_noise=3.0)
    task = sim_of(env).task
    task.batch.bind("mocap_pos")[:, 0] = 1.2
    obs, *_ = env.step(np.zeros((50, 6), np.float32))
    assert env.observation_space.contains(obs)
    assert (obs[:, 15:18] == np.float32(1.2)).any()


def test_a_terminal_observation_is_noisy_too() -> None:
    clean, noisy = steps_of(arms(), 100)[-1], steps_of(arms(sensor_noise=1.0), 100)[-1]
    assert clean[3].all()
    assert (clean[4]["final_obs"] != noisy[4]["final_obs"]).any(axis=1).all()
    assert difference(clean[4]["final_info"], noisy[4]["final_info"]) == ""


@pytest.mark.parametrize("latency", [0, 1, 2])
def test_latency_delays_what_reaches_the_drives_by_whole_periods(latency: int) -> None:
    env = arms(action_latency=latency)
    control = sim_of(env).task.batch.bind("ctrl")
    scale = sim_of(env).task.model.actuator_ctrlrange[:, 1]
    rng = np.random.default_rng(0)
    for age in (*range(100), *range(20)):  # an episode, and the begin of the next one, with nothing commanded yet
        if age == 0:
            sent = [np.zeros((3, 6), np.float32)] * latency
        sent.append(rng.uniform(-1, 1, (3, 6)).astype(np.float32))
        obs, *_ = env.step(sent[-1])
        if age < 99:
            np.testing.assert_allclose(control, sent[age] * scale, rtol=1e-6)
            assert (obs[:, 21:27] == sent[-1]).all()  # last_action is what was commanded, not what arrived


def test_latency_may_differ_from_row_to_row() -> None:
    env = arms(40, action_latency=sampler("multirangeuniform", intervals=[[0.0, 0.4], [1.6, 2.0]]))
    periods = np.rint(values_of(env)["action_latency"])
    assert set(periods) == {0, 2}
    control = sim_of(env).task.batch.bind("ctrl")
    env.step(np.ones((40, 6), np.float32))
    assert ((control > 0).all(axis=1) == (periods == 0)).all()
    assert ((control == 0).all(axis=1) == (periods == 2)).all()


def test_pushes_come_at_their_rate_with_their_force_from_all_sides() -> None:
    env = pairs(64, push_scale=1.5)
    force = env.task.batch.bind("xfrc_applied")
    bodies = [env.task.model.body(f"{name}/elbow").id for name in ("left", "right")]
    pushes = []
    for age in range(2000):
        env._randomization.push(env._random, env._episode, np.full(64, age))
        pushes.append(force[:, bodies].copy())
    assert np.count_nonzero(np.delete(force, bodies, axis=1)) == 0
    given = np.array(pushes)  # (steps, rows, robots, 6)
    happened = np.abs(given).max(axis=-1) > 0
    rate = happened.mean(axis=(0, 1)) / 0.04
    np.testing.assert_allclose(rate, 0.5, rtol=0.08)  # 2560 of each are expected, give or take 50
    assert happened.all(axis=-1).mean() < 2 * 0.02**2  # the two robots are not pushed together
    assert np.count_nonzero(given[..., 2:]) == 0
    x, y = given[happened][:, 0], given[happened][:, 1]
    np.testing.assert_allclose(np.hypot(x, y), 1.5 * 20.0)
    quarters = np.histogram(np.arctan2(y, x), bins=4, range=(-np.pi, np.pi))[0] / happened.sum()
    np.testing.assert_allclose(quarters, 0.25, atol=0.03)


def test_a_push_moves_the_arm_that_it_hits_and_no_other() -> None:
    env = arms(64, push_scale=3.0)
    still = np.zeros((64, 6), np.float32)
    force = sim_of(env).task.batch.bind("xfrc_applied")
    *_, infos = env.step(still)
    hit = np.abs(force).max(axis=(1, 2)) > 0
    speed = np.abs(infos["signals"]["joint_vel"]).max(axis=1)
    assert hit.any()
    assert speed[hit].min() > 0.02
    assert speed[~hit].max() < 1e-3


def test_new_parameters_hold_for_episodes_that_begin_later() -> None:
    env = arms(3)
    task = sim_of(env).task
    task.memory["held_steps"][1] = 12  # one more step at its goal, and row 1 has solved the task
    task.batch.bind("mocap_pos")[1, 0] = task.measure(np.array([1]))["RobotArm"]["tool_pos"]
    env.set_parameters({"mass_scale": 1.5, "goal_distance": 0.3})
    _, _, terminated, _, _ = env.step(STILL)
    assert terminated.tolist() == [False, True, False]
    assert values_of(env)["mass_scale"].tolist() == [1.0, 1.5, 1.0]
    assert values_of(env)["goal_distance"].tolist() == [1.5, 0.3, 1.5]
    masses = [float(task.batch.get_model(row).body("arm/shoulder").mass[0]) for row in range(3)]
    assert masses[1] == pytest.approx(1.5 * masses[0])
    assert masses[2] == masses[0]


def test_parameters_that_are_left_out_go_back_to_their_defaults() -> None:
    env = arms(mass_scale=1.5, friction_scale=0.5, drive_gain_scale=0.7, sensor_noise=1.0, push_scale=3.0)
    plain = arms()
    env.set_parameters({})
    assert difference(env.reset(seed=4), plain.reset(seed=4)) == ""
    assert difference(steps_of(env, 30), steps_of(plain, 30)) == ""


def test_a_gaussian_is_cut_off_at_the_described_range() -> None:
    env = arms(200, mass_scale=gaussian(1.0, 2.0))
    scale = values_of(env)["mass_scale"]
    assert (scale.min(), scale.max()) == (0.5, 2.0)
    assert 20 < ((scale > 0.5) & (scale < 2.0)).sum() < 180


def test_means_are_told_of_what_was_drawn_since_they_were_asked_for() -> None:
    env = arms(100, mass_scale=uniform(0.8, 1.2), friction_scale=1.5)
    env.sampled_means()
    env.reset()
    drawn = values_of(env)["mass_scale"].copy()
    env.step(np.zeros((100, 6), np.float32))
    assert env.sampled_means() == {"mass_scale": pytest.approx(drawn.mean())}
    assert env.sampled_means() == {}


@pytest.mark.parametrize("name", sorted(common_parameters()))
def test_each_parameter_may_be_at_either_end_of_its_range_and_not_beyond(name: str) -> None:
    low, high = common_parameters()[name].range
    inside: list[float | Sampler] = [low, high, uniform(low, high)]
    beyond: list[float | Sampler] = [low - 0.01, high + 0.01, uniform(low, high + 0.01), gaussian(high + 0.01, 0.0)]
    for value in inside:
        env = arms_with({name: value})
        for _ in range(3):
            obs, *_ = env.step(STILL)
        assert np.isfinite(obs).all()
    for value in beyond:
        with pytest.raises(ValueError, match=f"environment parameter {name}: .* is outside its range"):
            arms_with({name: value})


def test_an_unknown_parameter_is_refused_with_the_nearest_name_and_changes_nothing() -> None:
    env = arms(mass_scale=1.5)
    with pytest.raises(ValueError, match=r"mass_scal: .*did you mean mass_scale"):
        env.set_parameters({"friction_scale": 0.5, "mass_scal": 1.0})
    env.reset()
    assert set(values_of(env)["mass_scale"]) == {1.5}
    assert set(values_of(env)["friction_scale"]) == {1.0}


def test_an_agent_without_an_action_takes_the_first_choice_or_stands_still() -> None:
    env = pairs(2)
    control = env.task.batch.bind("ctrl")
    env.set_actions(LEFT, ActionTuple(continuous=np.ones((2, 6), np.float32)))
    env.step()
    assert (control[:, :6] > 0).all()
    assert (control[:, 6:] == np.array([0.75, 0, 0, 0, 0, 0])).all()  # half of the base's 1.5 rad/s
    env.step()
    assert (control[:, :6] == 0).all()


@pytest.mark.parametrize("agent", [-1, 0, 4])
def test_an_agent_of_another_behavior_is_not_taken_for_one_of_its_own(agent: int) -> None:
    env = SimEnv("playroom", 2, 0, 1)
    env.reset()
    drive = ActionTuple(continuous=np.ones((1, 2), np.float32))
    with pytest.raises(IndexError, match=rf"MobileRobot: agent {agent} is none of its own, which are 2 \.\. 3"):
        env.set_action_for_agent("MobileRobot", agent, drive)
    env.set_action_for_agent("MobileRobot", 3, drive)


@pytest.mark.parametrize("choice", [-1, 9])
def test_a_choice_that_does_not_exist_is_refused(choice: int) -> None:
    env = SimEnv("mobile_goal_discrete", 2, 0, 1)
    env.reset()
    with pytest.raises(UnityActionException, match=r"outside 0 \.\. size - 1 of its branch \(9\)"):
        env.set_actions("MobileRobot", ActionTuple(discrete=np.array([[0], [choice]], np.int32)))


@pytest.mark.parametrize("parameters", [{"sensor_noise": 1.0}, {"action_latency": 2.0}, {"push_scale": 3.0}])
def test_what_is_done_in_every_step_begins_and_ends_with_the_parameter(parameters: dict[str, float]) -> None:
    env = arms()
    plain = steps_of(env, 90)
    for wanted in (parameters, {}):
        sim_of(env).set_parameters(wanted)
        env.reset(seed=0)
        steps = steps_of(env, 90)
        assert difference(steps, steps_of(arms_with(wanted), 90)) == ""
        assert (difference(steps, plain) == "") == (wanted == {})
