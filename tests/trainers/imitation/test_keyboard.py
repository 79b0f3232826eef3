"""A person at the keyboard: keys to commands, episodes to a file, and a terminal that is left as it was."""

import os
import pty
import termios
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.helpers import assert_refused, cli
from trainers.imitation import driving
from trainers.imitation.keyboard import Driver, keys_of, split_keys, terminal_keys
from trainers.imitation.recorder import Written, record_person
from unity_env.demonstration import read_demonstrations
from unity_env.sim.role import find_role

MOBILE, CHOICES = find_role("mobile_goal", "MobileRobot"), find_role("mobile_goal_discrete", "MobileRobot")
ARM = find_role("arm_pick_place", "RobotArm")


def driver(role: Any, *keys: str) -> Driver:
    said = list(keys)
    return Driver(role, lambda: said.pop(0) if said else "")


def test_keys_move_the_command_by_steps_and_it_stays_until_the_space_bar() -> None:
    mobile = driver(MOBILE, "wwa", "", "wwwd", " ")
    assert [mobile.act()[0].tolist() for _ in range(4)] == [[0.5, 0.25], [0.5, 0.25], [1.0, 0.0], [0.0, 0.0]]


def test_arrows_steer_a_mobile_robot_and_other_sequences_do_nothing() -> None:
    mobile = driver(MOBILE, "\x1b[A\x1b[D\x1b[5~z?")
    assert mobile.act()[0].tolist() == [0.25, 0.25]
    assert split_keys("\x1b[BW\r\x08") == ["s", "w", "\n", "\x7f"]


def test_nine_choices_are_the_nearest_to_the_command() -> None:
    robot = driver(CHOICES, "", "w", "a", "www", "dddd")
    values = CHOICES.choices[0][[robot.act()[0, 0] for _ in range(5)]]
    assert values.tolist() == [[0, 0], [0.4, 0], [0.4, 0], [1.0, 0], [1.0, -0.6]]


def test_every_joint_of_an_arm_and_its_gripper_has_two_keys() -> None:
    arm = driver(ARM, "qwertyu", "", "asdfghj" * 2)
    assert arm.act()[0].tolist() == [0.25] * 7
    arm.act()
    assert arm.act()[0].tolist() == [-0.25] * 7
    meanings = dict(keys_of(ARM))
    assert meanings["q / a"] == "joint velocity 1"
    assert meanings["u / j"] == "gripper"


def record(tmp_path: Path, target: str, keys: Callable[[int], str], episodes: int = 2) -> tuple[Written, Path]:
    """Record a person who presses keys(step)."""
    steps = iter(range(100_000))
    path = tmp_path / "mine.demo"
    read = lambda: keys(next(steps))  # noqa: E731
    return record_person(
        target, path, episodes, 7, None, None, read, lambda _scene, _driver: lambda _begins: None
    ), path


def test_what_a_person_does_is_recorded_and_happens_in_the_robots_own_choices(tmp_path: Path) -> None:
    def drive(step: int) -> str:
        return "w" if step in (0, 1) else "\n" if step == 5_000 else ""

    written, path = record(tmp_path, "mobile_goal_discrete", drive, episodes=1)
    assert (written.behavior, written.episodes) == ("MobileRobot", 1)
    choices = read_demonstrations(path).action.discrete[:, 0]
    assert len(choices) == written.decisions
    assert CHOICES.choices[0][choices[0]].tolist() == [0.4, 0.0]
    assert set(CHOICES.choices[0][choices[1:]][:, 0].tolist()) == {0.4}


def test_an_episode_that_is_given_up_is_not_recorded_and_the_next_begins_at_rest(tmp_path: Path) -> None:
    again = 40

    def drive(step: int) -> str:
        return "q" * 4 if step == 0 else "\x7f" if step == again else ""

    written, path = record(tmp_path, "arm_reach", drive, episodes=1)
    demos = read_demonstrations(path)
    assert (written.episodes, demos.episodes) == (1, 1)
    assert not demos.action.continuous.any()  # the one that moved was given up


def test_enter_saves_what_is_whole_and_nothing_at_all_is_refused(tmp_path: Path) -> None:
    written, path = record(tmp_path, "arm_reach", lambda step: "\n" if step == 150 else "", episodes=50)
    assert written.episodes == read_demonstrations(path).episodes == 1
    path.unlink()
    with pytest.raises(Exception, match="no episode was driven to its end"):
        record(tmp_path, "arm_reach", lambda _step: "\n")
    assert not path.exists()


def test_a_terminals_keys_come_at_once_and_it_is_left_as_it_was() -> None:
    ours, theirs = pty.openpty()
    with open(theirs) as terminal:
        before = termios.tcgetattr(theirs)
        with terminal_keys(terminal) as read:
            assert read() == ""
            os.write(ours, b"wa")
            assert read() == "wa"
        assert termios.tcgetattr(theirs) == before
    os.close(ours)


def test_the_command_records_by_keyboard_with_its_keys_and_a_status_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = pty.openpty()
    with open(theirs) as terminal:
        monkeypatch.setattr("sys.stdin", terminal)
        said = [b"q"]
        press = lambda: os.write(ours, said.pop()) if said else 0  # noqa: E731
        monkeypatch.setattr(driving, "pacer", lambda _period_s: press)
        path = tmp_path / "mine.demo"
        outcome = cli("record", "arm_reach", "-o", path, "--keyboard", "--episodes", 1, "--port", 0)
    os.close(ours)
    assert outcome.code == 0, outcome.err
    assert "give this episode up" in outcome.out
    assert "command +0.25 +0.00" in outcome.out
    assert "goal_distance" in outcome.out
    assert outcome.out.splitlines()[-1].startswith(f"demos     {path}  (RobotArm, 1 episode,")
    assert (read_demonstrations(path).action.continuous[:, 0] == 0.25).all()


def test_without_a_terminal_or_an_embedded_task_it_costs_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open(os.devnull) as nothing:
        monkeypatch.setattr("sys.stdin", nothing)
        outcome = cli("record", "arm_reach", "-o", tmp_path / "a.demo", "--keyboard")
    assert_refused(outcome, "--keyboard: standard input is no terminal")
