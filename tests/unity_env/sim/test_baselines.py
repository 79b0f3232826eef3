"""Hand-written controllers: what they command, and that they solve their tasks where chance does not."""

import json
from typing import Any

import numpy as np
import pytest

from tests.helpers import cli
from unity_env.sim.baselines import BASELINES
from unity_env.sim.baselines.measure import as_action, measure
from unity_env.sim.baselines.mobile import free_way
from unity_env.sim.description import load_description
from unity_env.sim.env import SimEnv
from unity_env.sim.role import find_role

ROBOT = load_description("mobile")
LEAST = {"mobile_goal": 0.9, "mobile_goal_discrete": 0.85, "mobile_follow": 0.9}


@pytest.mark.parametrize("task", sorted(LEAST))
def test_a_scripted_controller_solves_its_task_and_chance_does_not(task: str) -> None:
    by_script = measure(task, "scripted", 20, 1, 1)["MobileRobot"].summary()
    by_chance = measure(task, "random", 20, 1, 1)["MobileRobot"].summary()
    assert by_script["success"] >= LEAST[task]
    assert by_chance["success"] <= 0.2


def test_measuring_is_repeatable_and_counts_every_row_alike() -> None:
    one, two = (measure("mobile_goal", "scripted", 53, 7, threads)["MobileRobot"] for threads in (1, 2))
    assert one.successes.shape == one.lengths.shape == (53,)
    np.testing.assert_array_equal(one.lengths, two.lengths)
    assert one.lengths.max() <= 400


def test_joint_success_is_measured_where_the_scene_has_it() -> None:
    of_both = measure("playroom", "scripted", 20, 1, 1)
    arm, base = of_both["RobotArm"], of_both["MobileRobot"]
    assert arm.joint_successes is not None
    np.testing.assert_array_equal(arm.joint_successes, base.joint_successes)
    assert (arm.joint_successes <= arm.successes & base.successes).all()
    assert 0.0 < arm.summary()["joint_success"] == arm.joint_successes.mean() < arm.summary()["success"]
    assert "joint_success" not in measure("arm_reach", "scripted", 2, 1, 1)["RobotArm"].summary()


def test_every_controller_commands_its_role_in_the_box() -> None:
    for task, make in BASELINES.items():
        env = SimEnv(task, 3, threads=1)
        env.reset()
        controllers = make(env)
        assert set(controllers) == {role.behavior for role in env.task.roles}
        for role in env.task.roles:
            layouts = role.layouts.values()
            sensors = env.get_steps(role.behavior)[0].obs
            known = {
                name: sensor[:, where]
                for layout, sensor in zip(layouts, sensors, strict=True)
                for name, where in layout.slices.items()
            }
            command = controllers[role.behavior](known)
            assert command.shape == (3, role.command_size)
            assert np.abs(command).max() <= 1.0


def test_a_discrete_command_is_the_nearest_choice() -> None:
    role = find_role("mobile_goal_discrete", "MobileRobot")
    commands = np.array([[0.0, 0.1], [0.9, 1.0], [0.35, -0.2], [-1.0, -0.9]])
    assert as_action(role, commands).discrete[:, 0].tolist() == [1, 8, 4, 0]
    plain = find_role("mobile_goal", "MobileRobot")
    np.testing.assert_allclose(as_action(plain, commands).continuous, commands, rtol=1e-6)


def test_the_free_way_ends_where_the_chassis_would_touch() -> None:
    ranges = np.full((1, 24), 4.0)
    ranges[0, 0] = 1.5
    free = free_way(ranges, ROBOT.ray_angles_rad, ROBOT)[0]
    courses = np.linspace(-np.pi, np.pi, len(free), endpoint=False)
    ahead = int(np.abs(courses).argmin())
    assert free[ahead] == pytest.approx(1.5 - 0.29)
    assert (free[np.abs(courses) > 0.25] == 4.0).all()
    assert free.argmin() == ahead


def test_the_command_line_prints_a_table_or_json() -> None:
    table = cli("tasks", "baseline", "mobile_goal", "--episodes", 5, "--controller", "random", "--seed", 1)
    assert table.code == 0, table.err
    assert "MobileRobot" in table.out
    found: dict[str, Any] = json.loads(
        cli("tasks", "baseline", "mobile_goal", "--episodes", 5, "--seed", 1, "--json").out
    )
    assert (found["task"], found["controller"], found["episodes"], found["seed"]) == ("mobile_goal", "scripted", 5, 1)
    assert set(found["behaviors"]["MobileRobot"]) == {"success", "length"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("mobile_gaol",), "mobile_gaol"),
        (("mobile_goal", "--controller", "clever"), "clever is neither scripted nor random"),
    ],
)
def test_what_is_unknown_is_refused_in_one_line(arguments: tuple[str, ...], message: str) -> None:
    outcome = cli("tasks", "baseline", *arguments)
    assert outcome.code == 2
    assert message in outcome.err
    assert len(outcome.err.strip().splitlines()) == 1
