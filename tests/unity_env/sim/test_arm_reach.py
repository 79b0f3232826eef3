"""arm_reach: goals, success, and that the goals can be reached."""

import mujoco
import numpy as np
import pytest

from tests.helpers import make_rows, sim_of
from unity_env import UnityVectorEnv
from unity_env.sim.description import load_description
from unity_env.sim.tasks.arm_reach import ArmReach

ARM = load_description("arm")
STILL = np.zeros((3, 6), np.float32)


@pytest.fixture(scope="module")
def goals() -> np.ndarray:
    task = ArmReach("arm_reach", 1, 1)
    rng = np.random.default_rng(0)
    return np.array([task.sample_goal(rng) for _ in range(1000)])


def test_every_goal_is_inside_the_described_ranges(goals: np.ndarray) -> None:
    ranges = ArmReach("arm_reach", 1, 1).parameters
    x, y, z = goals.T
    radius = np.sqrt(x**2 + y**2 + (z - 0.18) ** 2)
    azimuth, planar = np.arctan2(y, x), np.hypot(x, y)
    for value, (low, high) in (
        (radius, ranges.goal_radius_m),
        (azimuth, ranges.goal_azimuth_rad),
        (z, ranges.goal_height_m),
        (planar, (ranges.goal_clearance_m, np.inf)),
    ):
        assert value.min() >= low - 1e-9
        assert value.max() <= high + 1e-9


def test_goals_fill_their_ranges(goals: np.ndarray) -> None:
    x, y, z = goals.T
    radius = np.sqrt(x**2 + y**2 + (z - 0.18) ** 2)
    azimuth = np.arctan2(y, x)
    assert np.ptp(azimuth) > 3.9
    assert np.ptp(radius) > 0.35
    assert np.ptp(z) > 0.6
    assert abs(azimuth.mean()) < 0.15


def reach(model: mujoco.MjModel, data: mujoco.MjData, goal: np.ndarray, start: np.ndarray) -> float:
    """Damped least squares from a start pose; returns the distance that is left, m."""
    low, high = model.jnt_range.T
    data.qpos[:] = start
    jacobian = np.zeros((3, model.nv))
    tip = model.site("arm/tool_tip").id
    for _ in range(150):
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        error = goal - data.site_xpos[tip]
        if np.linalg.norm(error) < 1e-3:
            break
        mujoco.mj_jacSite(model, data, jacobian, None, tip)
        step = jacobian.T @ np.linalg.solve(jacobian @ jacobian.T + 1e-3 * np.eye(3), error)
        data.qpos[:] = np.clip(data.qpos + np.clip(step, -0.2, 0.2), low, high)
    return float(np.linalg.norm(goal - data.site_xpos[tip]))


def test_goals_can_be_reached_within_the_joint_limits(goals: np.ndarray) -> None:
    model = ArmReach("arm_reach", 1, 1).model
    data = mujoco.MjData(model)
    home = np.array(ARM.home_rad)
    starts = [home, home * [1, 0, 1, 1, 1, 1], home * [1, 3, -1, 1, -1, 1]]
    reached = [any(reach(model, data, goal, start) < 5e-3 for start in starts) for goal in goals[:200]]
    assert np.mean(reached) >= 0.99


def put_goal_at_the_tip(env: UnityVectorEnv, row: int) -> None:
    task = sim_of(env).task
    assert isinstance(task, ArmReach)
    task.batch.bind("mocap_pos")[row, 0] = task.measure(np.array([row]))["RobotArm"]["tool_pos"]


def test_holding_the_tip_at_the_goal_is_success_and_terminates() -> None:
    env = make_rows("arm_reach", 3)
    env.reset(seed=0)
    put_goal_at_the_tip(env, 1)
    steps = int(np.ceil(0.5 / 0.04))  # hold_s over the control period
    for _ in range(steps - 1):
        _, _, terminated, truncated, infos = env.step(STILL)
        assert not (terminated | truncated).any()
        assert not infos["signals"]["success"].any()
    assert infos["signals"]["hold_time"][1, 0] == pytest.approx((steps - 1) * 0.04)
    obs, rew, terminated, truncated, infos = env.step(STILL)
    assert terminated.tolist() == [False, True, False]
    assert not truncated.any()
    assert rew.tolist() == [0, 1, 0]
    final = {name: value[1] for name, value in infos["final_info"]["signals"].items()}
    assert final["success"] == 1
    assert final["hold_time"] == pytest.approx(steps * 0.04)
    assert final["goal_distance"] < 0.02
    assert infos["signals"]["success"][1] == infos["signals"]["hold_time"][1] == 0
    assert infos["final_obs"][1].tolist() != obs[1].tolist()


def test_success_in_the_last_step_before_the_time_limit_is_a_termination() -> None:
    env = make_rows("arm_reach", 3)
    env.reset(seed=0)
    for _ in range(100 - 13):
        env.step(STILL)
    put_goal_at_the_tip(env, 1)
    for _ in range(13):
        _, _, terminated, truncated, _ = env.step(STILL)
    assert terminated.tolist() == [False, True, False]
    assert truncated.tolist() == [True, False, True]


def test_leaving_the_goal_starts_the_hold_anew() -> None:
    env = make_rows("arm_reach", 3)
    env.reset(seed=0)
    put_goal_at_the_tip(env, 0)
    goal = sim_of(env).task.batch.bind("mocap_pos")
    for _ in range(10):
        env.step(STILL)
    goal[0, 0, 2] += 0.1
    *_, infos = env.step(STILL)
    assert infos["signals"]["hold_time"][0] == 0
    goal[0, 0, 2] -= 0.1
    for _ in range(12):
        _, _, terminated, _, infos = env.step(STILL)
    assert not terminated.any()
    assert infos["signals"]["hold_time"][0, 0] == pytest.approx(12 * 0.04)


@pytest.mark.parametrize(("distance", "inside"), [(0.0195, True), (0.0205, False)])
def test_the_tolerance_is_2_cm(distance: float, inside: bool) -> None:
    env = make_rows("arm_reach", 3)
    env.reset(seed=0)
    put_goal_at_the_tip(env, 0)
    sim_of(env).task.batch.bind("mocap_pos")[0, 0, 2] += distance
    *_, infos = env.step(STILL)
    assert bool(infos["signals"]["hold_time"][0] > 0) is inside


def test_what_is_sensed_agrees_with_itself() -> None:
    env = make_rows("arm_reach", 4)
    env.reset(seed=0)
    action = np.random.default_rng(0).uniform(-1, 1, (4, 6)).astype(np.float32)
    obs, *_, infos = env.step(action)
    signals = infos["signals"]
    joint_pos, joint_vel, tool_pos, goal_pos, goal_error, last_action = np.split(obs, [6, 12, 15, 18, 21], axis=1)
    for name, value in (
        ("joint_pos", joint_pos), ("joint_vel", joint_vel), ("tool_pos", tool_pos), ("goal_pos", goal_pos)
    ):  # fmt: skip
        assert (signals[name] == value).all(), name
    np.testing.assert_allclose(goal_error, goal_pos - tool_pos, atol=1e-6)
    np.testing.assert_allclose(signals["goal_distance"][:, 0], np.linalg.norm(goal_error, axis=1), rtol=1e-5)
    assert (last_action == action).all()


def test_episodes_start_at_rest_near_home() -> None:
    env = make_rows("arm_reach", 200)
    _, infos = env.reset(seed=0)
    offset = infos["signals"]["joint_pos"] - np.array(ARM.home_rad)
    assert np.abs(offset).max() <= 0.4 + 1e-6
    assert (np.ptp(offset, axis=0) > 0.6).all()
    assert (infos["signals"]["joint_vel"] == 0).all()
