"""mobile_goal: what a start looks like, what ends an episode, what is refused."""

from typing import Any

import numpy as np
import pytest

from tests.helpers import cli, make_rows, sampler, sim_of
from unity_env import UnityVectorEnv
from unity_env.sim.env import SimEnv
from unity_env.sim.plane import to_xy
from unity_env.sim.tasks.mobile_goal import MobileGoal
from unity_env.sim.tasks.mobile_layout import Room

STILL = np.zeros((4, 2), np.float32)
RADIUS = 0.20  # of the chassis


def task_of(env: UnityVectorEnv) -> MobileGoal:
    task = sim_of(env).task
    assert isinstance(task, MobileGoal)
    return task


def circles_of(task: MobileGoal) -> np.ndarray:
    """The obstacles' x, y and radius, (rows, obstacles, 3), m."""
    return np.concatenate([to_xy(task._centres), task.memory["obstacle_radius"][:, :, None]], axis=2)


def used(circles: np.ndarray) -> np.ndarray:
    """The obstacles of one row that are not parked, (K, 3)."""
    return np.array(circles[np.abs(circles[:, 0]) < 10])


@pytest.fixture(scope="module")
def starts() -> MobileGoal:
    env = make_rows("mobile_goal", 300)
    env.reset(seed=5)
    return task_of(env)


def test_starts_goals_and_obstacles_keep_apart(starts: MobileGoal) -> None:
    bases, goals, every = to_xy(starts.base.position), to_xy(starts._goal), circles_of(starts)
    for base, goal, circles in zip(bases, goals, every, strict=True):
        rest = used(circles)
        for point in (base, goal):
            assert np.abs(point).max() <= 3.0 - RADIUS - 0.15
            assert (np.hypot(*(rest[:, :2] - point).T) - rest[:, 2] >= RADIUS + 0.15 - 1e-9).all()
        assert (np.abs(rest[:, :2]).max(axis=1) <= 3.0 - 0.65 - rest[:, 2] + 1e-9).all() if len(rest) else True
        for i, one in enumerate(rest):
            gaps = np.hypot(*(rest[i + 1 :, :2] - one[:2]).T) - rest[i + 1 :, 2] - one[2]
            assert (gaps >= 0.65 - 1e-9).all()


def test_starts_are_varied(starts: MobileGoal) -> None:
    counts = [len(used(circles)) for circles in circles_of(starts)]
    assert set(counts) == set(range(9))
    radii = np.concatenate([used(circles)[:, 2] for circles in circles_of(starts)])
    assert (radii.min() >= 0.1, radii.max() <= 0.3, np.ptp(radii) > 0.18) == (True, True, True)
    way = np.abs(starts._goal - starts.base.position)
    assert way.min() >= 0.5
    assert way.max() > 4.5
    assert np.abs(starts.base.heading(slice(None)).mean()) < 0.2


def test_parameters_bound_goal_distance_and_obstacles() -> None:
    parameters: dict[str, Any] = {"goal_distance": 1.0, "obstacle_count": 2, "obstacle_size": 0.5}
    sim = SimEnv("mobile_goal", 100, seed=1, threads=1, parameters=parameters)
    sim.reset()
    task = sim.task
    assert isinstance(task, MobileGoal)
    way = np.abs(task._goal - task.base.position)
    assert way.max() <= 1.0
    rows = [used(circles) for circles in circles_of(task)]
    assert max(len(row) for row in rows) == 2
    assert 0.4 < max(row[:, 2].max() for row in rows if len(row)) <= 0.5


@pytest.mark.parametrize(
    "parameters",
    [
        {"obstacle_count": 8, "obstacle_size": 0.5},
        {"obstacle_size": 0.8},
        {"obstacle_size": sampler("uniform", min_value=0.2, max_value=0.6)},
        {"obstacle_size": sampler("gaussian", mean=0.2, st_dev=0.1)},
    ],
)
def test_obstacles_that_cannot_fit_are_refused(parameters: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"environment parameter obstacle_count: 8 .* at most \d do") as error:
        SimEnv("mobile_goal", 1, parameters=parameters)
    assert "\n" not in str(error.value)


def test_a_refused_obstacle_count_names_the_line_of_the_yaml(tmp_path: Any) -> None:
    config = tmp_path / "many.yaml"
    config.write_text(
        "env_settings: {env_path: sim:mobile_goal}\nbehaviors: {MobileRobot: {trainer_type: ppo}}\n"
        "environment_parameters:\n  obstacle_size: 0.5\n  obstacle_count: 8\n"
    )
    outcome = cli("train", config, "--results-dir", tmp_path)
    assert outcome.code == 2
    assert "many.yaml:5" in outcome.err
    assert len(outcome.err.strip().splitlines()) == 1


@pytest.mark.parametrize("radius", [0.1, 0.3, 0.5, 0.8])
def test_as_many_things_as_are_allowed_can_be_scattered(radius: float) -> None:
    room = Room(3.0, 0.65)
    rng = np.random.default_rng(0)
    for _ in range(20):
        assert len(room.scatter(rng, np.full(min(room.capacity(radius), 12), radius))) > 0


def put_goal(env: UnityVectorEnv, row: int, distance: float) -> None:
    """Put a row's goal before its base, without obstacles."""
    task = task_of(env)
    task._goal[row] = task.base.position[row] + distance * task.base.heading(slice(None))[row]


@pytest.mark.parametrize(("distance", "solved"), [(0.199, True), (0.201, False)])
def test_standing_within_the_tolerance_is_success_and_terminates(distance: float, solved: bool) -> None:
    env = make_rows("mobile_goal", 4)
    env.reset(seed=1)
    put_goal(env, 2, distance)
    _, rew, terminated, truncated, infos = env.step(STILL)
    assert terminated.tolist() == [False, False, solved, False]
    assert not truncated.any()
    assert rew[2] == solved
    if solved:
        assert infos["final_info"]["signals"]["success"][2] == 1
        assert infos["final_info"]["signals"]["collision"][2] == 0
        assert infos["signals"]["success"][2] == 0


def test_passing_the_goal_at_speed_is_no_success() -> None:
    env = make_rows("mobile_goal", 4)
    env.reset(seed=1)
    task = task_of(env)
    task._obstacle_pos[:] = task._parked
    task.base.place(np.arange(4), np.zeros((4, 3)))
    task.batch.forward()
    put_goal(env, 0, 0.6)
    near = 0
    forward = np.tile(np.array([[0.6, 0.0]], np.float32), (4, 1))
    for _ in range(40):
        *_, terminated, _, infos = env.step(forward)
        near += int(infos["signals"]["goal_distance"][0, 0] < 0.2)
        assert not terminated[0]
    assert near > 5


def head_for(env: UnityVectorEnv, x: float, y: float, yaw: float) -> list[dict[str, Any]]:
    """Drive row 0 straight ahead from a place in a room with one obstacle at the origin, until its episode ends."""
    task = task_of(env)
    task._obstacle_pos[0] = task._parked
    task._obstacle_pos[0, 0] = 0.0
    task._goal[0] = 2.5 + 2.5j
    task.memory["obstacle_radius"][0, 0] = 0.3
    task.base.place(np.array([0]), np.array([[x, y, yaw]]))
    seen: list[dict[str, Any]] = []
    forward = np.tile(np.array([[1.0, 0.0]], np.float32), (4, 1))
    while not seen or not seen[-1]["ended"]:
        *_, terminated, truncated, infos = env.step(forward)
        assert not truncated[0]
        signals = infos["final_info"]["signals"] if terminated[0] else infos["signals"]
        seen.append({name: value[0].copy() for name, value in signals.items()} | {"ended": bool(terminated[0])})
    return seen


@pytest.mark.parametrize("place", [(-2.0, 0.0, 0.0), (1.5, -2.0, 0.0), (-2.0, -2.4, np.pi / 2 * 3)])
def test_a_collision_with_obstacle_or_wall_ends_the_episode_as_a_failure(place: tuple[float, float, float]) -> None:
    env = make_rows("mobile_goal", 4)
    env.reset(seed=1)
    seen = head_for(env, *place)
    assert [bool(step["collision"]) for step in seen[-2:]] == [False, True]
    assert seen[-1]["success"] == 0
    assert seen[-2]["clearance"] > -1e-3
    assert -0.03 < seen[-1]["clearance"] < 0.03


def test_a_miss_by_a_centimetre_is_no_collision() -> None:
    env = make_rows("mobile_goal", 4)
    env.reset(seed=1)
    seen = head_for(env, -2.0, RADIUS + 0.3 + 0.01, 0.0)
    assert seen[-1]["position"][0] > 2.7  # it got past the obstacle, to the wall
    assert 0.0 < min(float(step["clearance"][0]) for step in seen[:-1]) < 0.02


def test_what_is_sensed_agrees_with_itself() -> None:
    env = make_rows("mobile_goal", 20)
    env.reset(seed=3)
    rng = np.random.default_rng(0)
    for _ in range(30):
        action = rng.uniform(-1, 1, (20, 2)).astype(np.float32)
        obs, *_, infos = env.step(action)
    signals = infos["signals"]
    nearness, distance, direction, forward, yaw_velocity, _ = np.split(obs, [24, 25, 27, 28, 29], axis=1)
    offset = to_xy(task_of(env)._goal) - signals["position"]
    np.testing.assert_allclose(distance[:, 0], np.hypot(*offset.T), rtol=1e-5)
    bearing = np.arctan2(offset[:, 1], offset[:, 0]) - np.arctan2(signals["heading"][:, 1], signals["heading"][:, 0])
    np.testing.assert_allclose(direction, np.stack([np.cos(bearing), np.sin(bearing)], axis=1), atol=1e-5)
    np.testing.assert_allclose(np.cos(signals["goal_bearing"][:, 0]), direction[:, 0], atol=1e-6)
    assert (forward == signals["forward_velocity"]).all()
    assert (yaw_velocity == signals["yaw_velocity"]).all()
    lidar = signals["lidar"]
    np.testing.assert_allclose(nearness * lidar, RADIUS, rtol=1e-5)
    assert (lidar.min(axis=1) >= signals["clearance"][:, 0] + RADIUS - 1e-4).all()


def test_choices_command_the_described_velocities() -> None:
    env = make_rows("mobile_goal_discrete", 9)
    env.reset(seed=0)
    robot = task_of(env).robot
    *_, infos = env.step(np.arange(9, dtype=np.int32)[:, None])
    wanted = np.array(robot.action["velocity_choice"].choices) * robot.action_scale("velocity_target")
    np.testing.assert_allclose(task_of(env).batch.bind("ctrl"), wanted @ robot.wheel_map, atol=1e-9)
    moving = infos["signals"]["forward_velocity"][:, 0]
    assert (moving[wanted[:, 0] > 0] > 0.02).all()
    assert (np.abs(moving[wanted[:, 0] == 0]) < 0.02).all()
