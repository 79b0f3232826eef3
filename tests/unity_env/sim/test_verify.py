"""tasks verify: silent where a player is its task, a line for every difference."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlagents_envs.base_env import DecisionSteps, TerminalSteps

from tests.helpers import assert_refused, cli
from unity_env.sim.env import SimEnv
from unity_env.sim.role import all_roles
from unity_env.sim.verify import Line, verify

EMPTY: Mapping[str, dict[str, float]] = {
    name: {"obstacle_count": 0.0} for name in ("mobile_goal", "mobile_goal_discrete")
}


def differences(env: SimEnv, task: str, steps: int = 20) -> list[Line]:
    return [line for line in verify(env, task, steps) if not line.agrees]


@pytest.mark.parametrize("task", sorted(all_roles()))
def test_the_embedded_simulation_is_its_tasks(task: str) -> None:
    assert differences(SimEnv(task, 4, 0, 1, EMPTY.get(task)), task) == []


def test_another_tasks_player_differs_in_sensors_and_actions() -> None:
    found = [str(line) for line in differences(SimEnv("arm_pick_place", 2, 0, 1), "arm_reach")]
    assert found == [
        "DIFF  RobotArm sensor observation      43 values; described: 27 values",
        "DIFF  RobotArm sensor signals          41 values; described: 27 values",
        "DIFF  RobotArm actions                 7 continuous; described: 6 continuous",
        "DIFF  clock, ranges, geometry          not compared: the sensors or actions differ",
    ]


def test_a_player_without_the_behavior_is_told_which_one_is_missing() -> None:
    first = differences(SimEnv("mobile_goal", 2, 0, 1), "playroom")[0]
    assert str(first) == "DIFF  behaviors                        MobileRobot; described: MobileRobot, RobotArm"


class Lying(SimEnv):
    """An arm that senses or moves otherwise than it should."""

    def __init__(self, sensor: int = 0, where: slice = slice(0), add: float = 0.0, repeat: int = 1) -> None:
        super().__init__("arm_reach", 3, 0, 1)
        self._lie, self._repeat = (sensor, where, add), repeat

    def get_steps(self, behavior_name: str) -> tuple[DecisionSteps, TerminalSteps]:
        decisions, terminals = super().get_steps(behavior_name)
        sensor, where, add = self._lie
        told = [values.copy() for values in decisions.obs]
        told[sensor][:, where] += add
        return DecisionSteps(told, decisions.reward, decisions.agent_id, None, None, None), terminals

    def step(self) -> None:
        actions: dict[str, Any] = {name: agents._command for name, agents in self._agents.items()}
        for _ in range(self._repeat):
            for name, agents in self._agents.items():
                agents._command = actions[name]
            super().step()


LAYOUT = next(iter(SimEnv("arm_reach", 1, 0, 1).layouts.values()))["observation"].slices


@pytest.mark.parametrize(
    ("env", "what", "found"),
    [
        (
            lambda: Lying(0, LAYOUT["tool_pos"], 0.01),
            "RobotArm tool_pos",
            "differs from the embedded simulation's by up to 0.01",
        ),
        (lambda: Lying(0, LAYOUT["joint_vel"], 20.0), "RobotArm joint_vel", "described: -12 .. 12 rad/s"),
        (lambda: Lying(0, LAYOUT["last_action"], 0.1), "last_action", "is not what was sent before"),
        (
            lambda: Lying(0, LAYOUT["joint_vel"], np.nan),
            "RobotArm joint_vel",
            "-inf .. inf; described: -12 .. 12 rad/s",
        ),
        (lambda: Lying(repeat=2), "RobotArm control period", "0.0800 s measured; described: 0.04 s"),
    ],
    ids=["geometry", "range", "echo", "no number", "clock"],
)
def test_a_lie_is_found_and_named(env: Any, what: str, found: str) -> None:
    lines = differences(env(), "arm_reach")
    assert any(line.what == what and found in line.found for line in lines), [str(line) for line in lines]


def test_our_own_player_passes_over_the_link(tmp_path: Path) -> None:
    build = tmp_path / "arm_reach.x86_64"
    assert cli("player", "arm_reach", "--write-build", build).code == 0
    outcome = cli("tasks", "verify", "arm_reach", "--env", build, "--steps", 30)
    assert outcome.code == 0, outcome.out + outcome.err
    assert outcome.out.splitlines()[0] == f"arm_reach: {build}"
    assert outcome.out.splitlines()[-1] == "no differences"


def test_differences_are_counted_and_are_exit_code_1(tmp_path: Path) -> None:
    build = tmp_path / "mobile.x86_64"
    assert cli("player", "mobile_goal", "--write-build", build).code == 0
    outcome = cli("tasks", "verify", "arm_reach", "--env", build)
    assert outcome.code == 1
    assert outcome.out.splitlines()[1] == "  DIFF  behaviors                        MobileRobot; described: RobotArm"
    assert outcome.out.splitlines()[-1] == "2 differences"


def test_an_unknown_task_and_a_missing_player_are_one_line(tmp_path: Path) -> None:
    assert_refused(
        cli("tasks", "verify", "arm_raech", "--env", "sim:arm_reach"), r"unknown task arm_raech, known are arm_reach"
    )
    assert_refused(
        cli("tasks", "verify", "arm_reach", "--env", tmp_path / "none"), r"none: no such Unity build", code=3
    )
