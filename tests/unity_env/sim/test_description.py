"""robots/*.yaml: what is wrong in one is refused with a clear message."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import yaml
from pydantic import ValidationError

from unity_env.sim.description import ROBOTS_DIR, load_description, parse_description
from unity_env.sim.role import all_roles, shared_control
from unity_env.sim.tasks import TASKS

ROBOTS = sorted(path.stem for path in ROBOTS_DIR.glob("*.yaml"))


@pytest.fixture
def arm() -> dict[str, Any]:
    data: dict[str, Any] = yaml.safe_load((ROBOTS_DIR / "arm.yaml").read_text())
    return data


def fewer_angles(arm: dict[str, Any]) -> None:
    arm["home_rad"].pop()


def fewer_joints(arm: dict[str, Any]) -> None:
    arm["joints"].pop()
    arm["home_rad"].pop()


def unknown_component(arm: dict[str, Any]) -> None:
    arm["tasks"]["arm_reach"]["observation"].append("joint_poss")


def unknown_signal(arm: dict[str, Any]) -> None:
    arm["tasks"]["arm_reach"]["signals"].append("temperature")


def home_outside(arm: dict[str, Any]) -> None:
    arm["home_rad"][1] = 1.91


def unknown_key(arm: dict[str, Any]) -> None:
    arm["joints"][2]["colour"] = "red"


def negative_mass(arm: dict[str, Any]) -> None:
    arm["joints"][0]["link"]["mass_kg"] = -1.0


def missing_limit(arm: dict[str, Any]) -> None:
    del arm["components"]["joint_pos"]["limit"]


def other_schema(arm: dict[str, Any]) -> None:
    arm["schema_version"] = 2


def no_joints(arm: dict[str, Any]) -> None:
    arm["joints"] = []


def range_upside_down(arm: dict[str, Any]) -> None:
    arm["joints"][5]["range_rad"] = [2.9, -2.9]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (fewer_angles, "home_rad has 5 angles for 6 joints"),
        (fewer_joints, r"action\.joint_velocity_target has 6 values for 5 joints"),
        (unknown_component, r"tasks\.arm_reach .*joint_poss"),
        (unknown_signal, r"tasks\.arm_reach .*temperature"),
        (home_outside, r"home_rad of shoulder: 1\.91 is outside range_rad \[-1\.9, 1\.9\]"),
        (unknown_key, r"joints\.2\.colour"),
        (negative_mass, r"joints\.0\.link\.mass_kg"),
        (missing_limit, r"components\.joint_pos\.limit"),
        (other_schema, "schema_version"),
        (no_joints, "joints"),
        (range_upside_down, "range_rad"),
    ],
)
def test_a_wrong_description_is_refused(
    arm: dict[str, Any], spoil: Callable[[dict[str, Any]], None], message: str
) -> None:
    spoil(arm)
    with pytest.raises(ValidationError, match=message):
        parse_description(arm)


@pytest.fixture
def mobile() -> dict[str, Any]:
    data: dict[str, Any] = yaml.safe_load((ROBOTS_DIR / "mobile.yaml").read_text())
    return data


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("components.lidar.size", 20, r"components\.lidar has 20 values for lidar\.rays: 24"),
        ("lidar.rays", 23, r"components\.lidar has 24 values for lidar\.rays: 23"),
        ("wheels.track_m", -0.31, r"wheels\.track_m"),
        ("wheels.track_m", 0.4, r"wheels reach 0\.232 m .* chassis\.radius_m"),
        ("wheels.radius_m", 0, r"wheels\.radius_m"),
        ("lidar.height_m", 0.28, r"heights: .* does not hold"),
        ("action.velocity_target.size", 3, r"action\.velocity_target has 3 values, .* takes 2|choices"),
        ("action.velocity_choice.commands", "velocity", r"velocity is no described action"),
        ("kind", "mobil", "kind|tag"),
        ("tasks.mobile_goal.observation", ["lidarr"], r"tasks\.mobile_goal .*lidarr"),
    ],
)
def test_a_wrong_mobile_robot_is_refused(mobile: dict[str, Any], path: str, value: Any, message: str) -> None:
    *parents, last = path.split(".")
    place = mobile
    for key in parents:
        place = place[key]
    place[last] = value
    with pytest.raises(ValidationError, match=message):
        parse_description(mobile)


def test_the_wheel_map_is_differential_drives_kinematics() -> None:
    robot = load_description("mobile")
    left, right = np.array([0.5, 1.2]) @ robot.wheel_map
    assert (left + right) / 2 * robot.wheels.radius_m == pytest.approx(0.5)
    assert (right - left) * robot.wheels.radius_m / robot.wheels.track_m == pytest.approx(1.2)
    assert robot.max_wheel_velocity_rad_s == pytest.approx((1.0 + 2.5 * 0.155) / 0.08)
    assert robot.ray_angles_rad[:3] == pytest.approx([0, np.pi / 12, np.pi / 6])


@pytest.mark.parametrize("robot", ROBOTS)
def test_every_shipped_description_is_valid_and_named_after_its_file(robot: str) -> None:
    assert load_description(robot).name == robot


def test_every_described_task_is_implemented_and_every_task_described() -> None:
    assert set(all_roles()) == set(TASKS)


@pytest.mark.parametrize("task", sorted(TASKS))
def test_a_task_signals_success_and_its_components_are_described_once(task: str) -> None:
    control, episode_s = shared_control(all_roles()[task])
    assert episode_s / control.period_s == pytest.approx(round(episode_s / control.period_s))
    for role in all_roles()[task]:
        assert "success" in role.task.signals
        for names in (role.task.observation, role.task.signals):
            assert len(set(names)) == len(names)


def test_joint_arrays_run_from_base_to_tool() -> None:
    arm = load_description("arm")
    assert arm.joint_array("max_velocity_rad_s").tolist() == [1.5, 1.5, 1.5, 2.5, 2.5, 2.5]
    assert arm.joint_array("range_rad").shape == (6, 2)
    assert np.isclose(arm.control.timestep_s, 0.04 / 3)
