"""arm_pick_place: starts, success, failure, what varies from episode to episode."""

from math import cos, hypot, pi, sin

import numpy as np
import pytest

from tests.helpers import difference, make_rows, sim_of
from unity_env import UnityVectorEnv
from unity_env.sim.env import SimEnv
from unity_env.sim.tasks.arm_pick_place import ArmPickPlace
from unity_env.sim.tasks.cube import turn_between

Array = np.ndarray
STILL = np.array([[0, 0, 0, 0, 0, 0, 1]] * 3, np.float32)


def task_of(env: UnityVectorEnv) -> ArmPickPlace:
    task = sim_of(env).task
    assert isinstance(task, ArmPickPlace)
    return task


def started(rows: int, parameters: dict[str, float] | None = None) -> ArmPickPlace:
    env = SimEnv("arm_pick_place", rows, 0, 1, parameters)
    env.reset()
    assert isinstance(env.task, ArmPickPlace)
    return env.task


def put_cube_at_goal(env: UnityVectorEnv, row: int, *, off: float = 0.0, lifted: bool = True) -> None:
    task = task_of(env)
    pos = task.batch.bind("qpos")
    pos[row, task.cube.qpos[:2]] = task._goal_pos[row, :2] + [off, 0]
    task.memory["lifted"][row] = lifted


def test_cubes_and_goals_start_inside_the_described_ranges_and_apart() -> None:
    task = started(500)
    measured = task.components(slice(None))["RobotArm"]
    cube, goal = measured["cube_pos"], measured["cube_pos"] + measured["goal_cube"]
    for place in (cube, goal):
        radius, azimuth = np.hypot(place[:, 0], place[:, 1]), np.arctan2(place[:, 1], place[:, 0])
        for value, (low, high) in ((radius, task.parameters.radius_m), (azimuth, task.parameters.azimuth_rad)):
            assert low - 1e-9 <= value.min()
            assert value.max() <= high + 1e-9
            assert np.ptp(value) > 0.9 * (high - low)
    assert measured["cube_goal_distance"].min() >= task.parameters.goal_clearance_m
    np.testing.assert_allclose(measured["cube_height"], 0.0, atol=1e-12)
    assert not measured["grasped"].any()
    assert (measured["tool_cube_distance"] > 0.1).all()


def test_environment_parameters_bring_goal_and_cube_nearer() -> None:
    task = started(200, {"goal_distance": 0.15, "cube_spread": 0.05})
    measured = task.components(slice(None))["RobotArm"]
    assert measured["cube_goal_distance"].max() <= 0.15
    assert np.ptp(measured["cube_pos"], axis=0).max() < 0.06


def test_the_cubes_size_and_mass_reach_the_physics_and_survive_a_checkpoint() -> None:
    env = SimEnv("arm_pick_place", 3, 0, 1, {"cube_size": 0.05, "cube_mass": 0.2})
    env.reset()
    for _ in range(5):
        env.step()
    other = SimEnv("arm_pick_place", 3, 1, 1)
    other.load_state_dict(env.state_dict())
    for sim in (env, other):
        model = sim.task.batch.get_model(2)
        np.testing.assert_allclose(model.geom("cube").size, 0.025)
        assert model.body("cube").mass[0] == pytest.approx(0.2)
    for _ in range(20):
        env.step()
        other.step()
    assert difference(env.state_dict()["physics"], other.state_dict()["physics"]) == ""
    height = env.task.components(slice(None))["RobotArm"]["cube_height"]
    np.testing.assert_allclose(height, 0.0, atol=1e-3)


def test_a_lifted_cube_that_lies_released_at_the_goal_is_success_after_the_hold() -> None:
    env = make_rows("arm_pick_place", 3)
    env.reset(seed=0)
    put_cube_at_goal(env, 1)
    for _ in range(4):
        _, _, terminated, _, infos = env.step(STILL)
        assert not terminated.any()
        assert infos["signals"]["placed"][:, 0].tolist() == [0, 1, 0]
    _, rew, terminated, truncated, infos = env.step(STILL)
    assert terminated.tolist() == [False, True, False]
    assert not truncated.any()
    assert rew.tolist() == [0, 1, 0]
    assert infos["final_info"]["signals"]["hold_time"][1, 0] == pytest.approx(0.2)
    assert not infos["signals"]["lifted"].any()


@pytest.mark.parametrize(("off", "lifted"), [(0.031, True), (0.0, False)])
def test_beside_the_goal_or_only_pushed_there_is_no_success(off: float, lifted: bool) -> None:
    env = make_rows("arm_pick_place", 3)
    env.reset(seed=0)
    put_cube_at_goal(env, 1, off=off, lifted=lifted)
    for _ in range(10):
        _, _, terminated, _, infos = env.step(STILL)
        assert not terminated.any()
        assert not infos["signals"]["hold_time"].any()


def test_a_tool_that_stays_at_the_placed_cube_has_not_released_it() -> None:
    env = make_rows("arm_pick_place", 3)
    env.reset(seed=0)
    task = task_of(env)
    tip = task.arm.hand(slice(None)).pos[1]
    task._goal_pos[1, :2] = tip[:2]
    for _ in range(10):
        put_cube_at_goal(env, 1)
        task.batch.bind("qpos")[1, task.cube.qpos[2]] = tip[2] - 0.03
        task.batch.bind("qvel")[1] = 0.0
        *_, infos = env.step(STILL)
        assert infos["signals"]["released"][1, 0] == 0
        assert infos["signals"]["hold_time"][1, 0] == 0


def test_a_cube_out_of_reach_ends_the_episode_as_a_failure() -> None:
    env = make_rows("arm_pick_place", 3)
    env.reset(seed=0)
    task_of(env).batch.bind("qpos")[2, task_of(env).cube.qpos[:2]] = 0.6, 0.4
    _, rew, terminated, truncated, infos = env.step(STILL)
    assert terminated.tolist() == [False, False, True]
    assert not truncated.any()
    assert not rew.any()
    assert infos["final_info"]["signals"]["success"][2, 0] == 0


@pytest.mark.parametrize("turn", [0.0, 0.3, -0.7, 1.2, 2.9])
@pytest.mark.parametrize("up", [0, 1, 2])
def test_the_turn_of_a_cube_repeats_every_quarter_whichever_side_is_up(turn: float, up: int) -> None:
    about_z = np.array([[cos(turn), -sin(turn), 0], [sin(turn), cos(turn), 0], [0, 0, 1]])
    axes = np.roll(np.eye(3), up, axis=1)
    angle = turn_between(np.array([[1.0, 0, 0]]), (about_z @ axes)[None])[0]
    np.testing.assert_allclose(angle, [sin(4 * turn), cos(4 * turn)], atol=1e-9)
    quarter = turn_between(np.array([[cos(pi / 2), sin(pi / 2), 0]]), (about_z @ axes)[None])[0]
    np.testing.assert_allclose(quarter, angle, atol=1e-9)


def test_what_is_sensed_agrees_with_itself() -> None:
    measured = started(20).components(slice(None))["RobotArm"]
    np.testing.assert_allclose(
        np.linalg.norm(measured["cube_tool"], axis=1), measured["tool_cube_distance"][:, 0], rtol=1e-9
    )
    np.testing.assert_allclose(
        np.linalg.norm(measured["cube_pos"] - measured["tool_pos"], axis=1), measured["tool_cube_distance"][:, 0]
    )
    np.testing.assert_allclose(measured["tool_down"], -measured["tool_axis"][:, 2:])
    assert max(hypot(*row) for row in measured["cube_turn"]) == pytest.approx(1.0)
