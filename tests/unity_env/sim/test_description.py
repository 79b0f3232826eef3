"""robots/*.yaml: what is wrong in one is refused with a clear message."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from pydantic import ValidationError

from tests.helpers import cli
from unity_env.sim import description
from unity_env.sim.description import ROBOTS_DIR, DescriptionError, load_description, parse_description
from unity_env.sim.role import Role, all_roles, roles_of, shared_control
from unity_env.sim.tasks import TASKS
from unity_env.sim.tasks.arm_reach import ArmReach

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


def other_homes(arm: dict[str, Any]) -> None:
    arm["tasks"]["arm_pick_place"]["parameters"]["home_rad"].pop()


def default_outside(arm: dict[str, Any]) -> None:
    arm["tasks"]["arm_reach"]["environment_parameters"]["goal_distance"]["default"] = 2.0


def endless_mass(arm: dict[str, Any]) -> None:
    arm["joints"][0]["link"]["mass_kg"] = float("inf")


def fewer_angles_sensed(arm: dict[str, Any]) -> None:
    arm["components"]["joint_torque"]["size"] = 5


def range_in_degrees(arm: dict[str, Any]) -> None:
    arm["joints"][5]["range_rad"] = [-170, 170]


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
        (fewer_angles_sensed, r"components\.joint_torque has 5 values for 6 joints"),
        (range_in_degrees, r"range_rad of \w+: \[-170, 170\] goes beyond 2 turns; expected radians"),
        (range_upside_down, r"the interval \[2\.9, -2\.9\] begins above its end"),
        (other_homes, r"tasks\.arm_pick_place\.parameters\.home_rad has 5 angles for 6 joints"),
        (default_outside, r"default 2 is outside range \[0\.1, 1\.5\]"),
        (endless_mass, "finite number"),
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
        ("action.velocity_choice.choices", [[1.0, -9.6]], r"velocity_choice\.choices: .*-9\.6.* is outside \[-1, 1\]"),
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


def read(monkeypatch: pytest.MonkeyPatch, folder: Path, text: str) -> Any:
    (folder / "arm.yaml").write_text(text)
    monkeypatch.setattr(description, "SIM_DIR", folder.parent)
    monkeypatch.setattr(description, "ROBOTS_DIR", folder)
    return load_description.__wrapped__("arm")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (fewer_angles, "home_rad has 5 angles for 6 joints"),
        (negative_mass, "joints.0.link.mass_kg: Input should be greater than 0, found -1.0"),
        (missing_limit, "components.joint_pos.limit: Field required"),
        (unknown_key, "joints.2.colour: Extra inputs are not permitted"),
    ],
)
def test_a_wrong_file_is_one_line_that_names_the_place(
    arm: dict[str, Any],
    spoil: Callable[[dict[str, Any]], None],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spoil(arm)
    with pytest.raises(DescriptionError) as refused:
        read(monkeypatch, tmp_path, json.dumps(arm))
    assert str(refused.value) == f"{tmp_path.name}/arm.yaml: {message}"
    with pytest.raises(DescriptionError, match=r"^[^\n]*arm\.yaml: not YAML: [^\n]*line 1[^\n]*$"):
        read(monkeypatch, tmp_path, "joints: {{")


def test_the_command_line_says_so_without_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise DescriptionError("robots/arm.yaml: home_rad has 5 angles for 6 joints")

    monkeypatch.setattr("unity_env.sim.role.all_roles", refuse)
    outcome = cli("tasks", "list")
    assert (outcome.code, outcome.err) == (2, "error: robots/arm.yaml: home_rad has 5 angles for 6 joints\n")


@pytest.mark.parametrize(
    ("parameter", "value", "message"),
    [
        ("goal_radius_m", (0.9, 1.2), r"goal_radius_m: 1\.2 m is beyond the arm's reach of 0\.74 m$"),
        (
            "goal_height_m",
            (5.0, 6.0),
            r"no goal is within goal_radius_m 0\.62 m of the shoulder at 0\.18 m, at .* 5 \.\. 6 m",
        ),
        ("goal_clearance_m", 0.62, r"no goal is within .* goal_clearance_m of 0\.62 m$"),
        ("hold_s", None, r"^robots/arm\.yaml: tasks\.arm_reach\.parameters: hold_s: Field required$"),
    ],
)
def test_goals_out_of_reach_are_refused(
    monkeypatch: pytest.MonkeyPatch, parameter: str, value: Any, message: str
) -> None:
    arm = load_description("arm")
    task = arm.tasks["arm_reach"]
    numbers = {name: number for name, number in {**task.parameters, parameter: value}.items() if number is not None}
    changed = task.model_copy(update={"parameters": numbers})
    other = arm.model_copy(update={"tasks": {**arm.tasks, "arm_reach": changed}})
    monkeypatch.setattr("unity_env.sim.tasks.arm_reach.load_description", lambda _: other)
    with pytest.raises(DescriptionError, match=message):
        ArmReach("arm_reach", 1, 1)


@pytest.mark.parametrize(
    ("task", "robot", "number", "value", "message"),
    [
        ("arm_pick_place", "arm", "radius_m", (0.28, 1.5), r"1\.5 m is beyond the arm's reach of 0\.72 m on the table"),
        ("arm_pick_place", "arm", "goal_clearance_m", 3.0, r"3 m leaves no goal .*; below 0\.15 m does"),
        ("playroom", "arm", "radius_m", (0.28, 0.8), r"0\.8 m is beyond the arm's reach of 0\.72 m on the table"),
        ("playroom", "mobile", "dock_m", (5.0, -0.39), r"\[5, -0\.39\]: the base, .* between it and the walls"),
        (
            "playroom",
            "mobile",
            "dock_m",
            (0.2, 0.1),
            r"\[0\.2, 0\.1\]: the base, .* between it and the table's pedestal",
        ),
        ("playroom", "mobile", "dock_m", (-1.4, -1.4), r"\[-1\.4, -1\.4\]: it is beyond the arm's reach of 0\.72 m"),
        ("playroom", "mobile", "shortest_way_m", 50.0, r"50 m is farther than the room is wide; below 2\.\d+ m is not"),
        ("mobile_goal", "mobile", "shortest_way_m", 50.0, r"50 m is above the least goal_distance, 0\.6 m"),
        ("mobile_goal", "mobile", "smallest_obstacle_m", 0.2, r"0\.2 m is above the least obstacle_size, 0\.1 m"),
        ("mobile_follow", "mobile", "start_distance_m", (20.0, 30.0), r"20 m from a person .*; below 3\.65 m is not"),
    ],
)
def test_numbers_that_leave_no_episode_are_refused(
    monkeypatch: pytest.MonkeyPatch, task: str, robot: str, number: str, value: Any, message: str
) -> None:
    right = load_description(robot)
    numbers = {**right.tasks[task].parameters, number: value}
    changed = {**right.tasks, task: right.tasks[task].model_copy(update={"parameters": numbers})}
    wrong = {robot: right.model_copy(update={"tasks": changed})}
    monkeypatch.setattr(
        f"unity_env.sim.tasks.{task}.load_description", lambda name: wrong.get(name) or load_description(name)
    )
    where = rf"^robots/{robot}\.yaml: tasks\.{task}\.parameters\.{number}: "
    with pytest.raises(DescriptionError, match=where + message):
        TASKS[task](task, 1, 1)


def test_robots_of_one_task_with_different_clocks_are_refused() -> None:
    arm, mobile = roles_of("playroom")
    slower = mobile.robot.tasks["playroom"].model_copy(update={"episode_s": 20.0})
    other = Role(mobile.robot.model_copy(update={"tasks": {"playroom": slower}}), "playroom")
    with pytest.raises(DescriptionError, match=r"tasks\.playroom: arm and mobile differ in control or episode_s"):
        shared_control((arm, other))


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
