"""The lidar against geometry by hand, and against the physics' own rays."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers import make_rows, sim_of
from unity_env.sim.lidar import clearance, scan
from unity_env.sim.model.room import SOLID_GROUPS
from unity_env.sim.plane import to_xy
from unity_env.sim.tasks.mobile_follow import MobileFollow
from unity_env.sim.tasks.mobile_goal import MobileGoal

CROSS = np.exp(0.5j * np.pi * np.arange(4))
Circles = list[tuple[float, float, float]]  # x, y, radius


def things(circles: Circles) -> tuple[np.ndarray, np.ndarray]:
    """Centres and radii, (1, K) each."""
    return np.array([[x + 1j * y for x, y, _ in circles]], dtype=complex), np.array([[r for *_, r in circles]])


def rays_at(x: float, y: float, circles: Circles, heading: complex = 1.0) -> list[float]:
    place, ahead = np.array([x + 1j * y]), np.array([heading], dtype=complex)
    return [float(d) for d in scan(place, ahead, CROSS, *things(circles), 3.0)[0]]


def test_an_empty_rooms_walls_are_where_they_are() -> None:
    assert rays_at(1.0, -0.5, []) == pytest.approx([2.0, 3.5, 4.0, 2.5])


def test_rays_turn_with_the_base() -> None:
    assert rays_at(1.0, -0.5, [], 1j) == pytest.approx([3.5, 4.0, 2.5, 2.0])
    assert rays_at(1.0, 1.0, [], (1 + 1j) * np.sqrt(0.5)) == pytest.approx(np.sqrt([8, 8, 32, 8]))


def test_a_cylinder_is_hit_on_its_near_side_by_the_rays_that_meet_it() -> None:
    assert rays_at(0.0, 0.0, [(2.0, 0.0, 0.5)]) == pytest.approx([1.5, 3, 3, 3])
    assert rays_at(0.0, 0.0, [(0.0, -1.0, 0.25), (0.0, -2.0, 0.25)]) == pytest.approx([3, 3, 3, 0.75])
    assert rays_at(0.0, 0.3, [(2.0, 0.0, 0.5)])[0] == pytest.approx(2.0 - 0.4)  # 0.3, 0.4, 0.5
    assert rays_at(0.0, 0.51, [(2.0, 0.0, 0.5)])[0] == pytest.approx(3.0)


def test_a_cylinder_around_or_behind_the_origin_is_not_seen() -> None:
    assert rays_at(0.0, 0.0, [(0.1, 0.0, 0.5)]) == pytest.approx([3, 3, 3, 3])
    assert rays_at(0.0, 0.0, [(-1.0, 0.0, 0.5)]) == pytest.approx([3, 3, 0.5, 3])


def test_things_for_fewer_rows_than_there_are_are_refused() -> None:
    with pytest.raises(AssertionError):
        scan(np.zeros(2, complex), np.ones(2, complex), CROSS, *things([(2.0, 0.0, 0.5)]), 3.0)


def test_clearance_is_the_distance_of_the_nearest_thing() -> None:
    two = things([(2.0, 0.0, 0.5), (0.0, -1.0, 0.2)])
    assert clearance(np.array([0.0 + 0.0j]), *two, 3.0) == pytest.approx([0.8])
    assert clearance(np.array([-2.9 + 0.0j]), *two, 3.0) == pytest.approx([0.1])


@given(st.floats(-2.5, 2.5), st.floats(-2.5, 2.5), st.floats(-np.pi, np.pi), st.floats(0.05, 0.4))
def test_no_ray_is_shorter_than_the_clearance(x: float, y: float, yaw: float, radius: float) -> None:
    rays = np.exp(1j * np.linspace(0, 2 * np.pi, 24, endpoint=False))
    place, heading = np.array([x + 1j * y]), np.array([np.exp(1j * yaw)])
    two = things([(x + 1.0, y, radius), (x, y - 0.8, radius)])
    assert scan(place, heading, rays, *two, 3.0).min() >= clearance(place, *two, 3.0)[0] - 1e-5


@pytest.mark.parametrize("task", ["mobile_goal", "mobile_follow"])
def test_ranges_agree_with_the_physics_rays_to_a_millimetre(task: str) -> None:
    env = make_rows(task, 40)
    env.reset(seed=2)
    sim = sim_of(env).task
    assert isinstance(sim, MobileGoal | MobileFollow)
    lidar = sim.robot.lidar
    groups = [int(group in SOLID_GROUPS) for group in range(6)]
    rng = np.random.default_rng(0)
    seen = 0
    for _ in range(8):
        for _ in range(5):
            *_, infos = env.step(rng.uniform(-1, 1, (40, 2)).astype(np.float32))
        heading = sim.base.heading(slice(None))
        yaw = np.angle(heading)[:, None] + sim.robot.ray_angles_rad
        towards = np.stack([np.cos(yaw), np.sin(yaw), np.zeros_like(yaw)], axis=2)
        height = np.full((40, 1), lidar.height_m)
        start = np.concatenate([to_xy(sim.base.position), height], axis=1)
        body = sim.model.body("mobile/base").id
        distance, _ = sim.batch.ray(start[:, None].repeat(lidar.rays, 1), towards, groups, True, body)
        expected = np.minimum(np.where(distance < 0, np.inf, distance), lidar.max_range_m)
        assert np.abs(infos["signals"]["lidar"] - expected).max() < 1e-3
        seen += int((expected < 3.0).sum())
    assert seen > 1000
