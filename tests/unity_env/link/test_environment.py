import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlagents_envs.base_env import ActionTuple
from mlagents_envs.environment import UnityEnvironment
from mlagents_envs.exception import (
    UnityCommunicatorStoppedException,
    UnityEnvironmentException,
    UnityTimeOutException,
)
from mlagents_envs.side_channel.stats_side_channel import StatsSideChannel

from tests.processes import processes_with, wait_until
from tests.unity_env.link.records import BEHAVIOR
from tests.unity_env.link.stand_in import ACTIONS, free_port, write_build
from unity_env.link.environment import UnityPlayer
from unity_env.link.errors import (
    IncompatibleVersionError,
    MalformedMessageError,
    NonFiniteError,
    ObservationShapeError,
    PlayerClosedError,
    PlayerExitedError,
    PlayerTimeoutError,
    PortTakenError,
)

Launch = Callable[..., UnityPlayer]


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Launch]:
    """Launch the stand-in with a script; close what was opened; demand that no process is left."""
    opened: list[UnityPlayer] = []

    def start(script: str, **options: Any) -> UnityPlayer:
        defaults = {"timeout_wait": 15, "log_folder": str(tmp_path), "additional_args": ["--script", script]}
        settings: dict[str, Any] = defaults | options
        opened.append(UnityPlayer(write_build(tmp_path), **settings))
        return opened[-1]

    yield start
    for env in opened:
        env.close()
    assert_gone(tmp_path)


def log_lines(folder: Path) -> list[str]:
    return (folder / "Player-0.log").read_text().splitlines()


def assert_gone(folder: Path) -> None:
    log = folder / "Player-0.log"
    if log.exists():
        with pytest.raises(ProcessLookupError):
            os.kill(int(log.read_text().splitlines()[0]), 0)


def steps_until_error(env: UnityPlayer) -> None:
    for _ in range(10):
        env.step()


def test_a_player_is_launched_reset_stepped_and_quits(launch: Launch, tmp_path: Path) -> None:
    env = launch("serve", no_graphics=True, worker_id=0)
    assert isinstance(env, UnityEnvironment)
    assert not env.behavior_specs
    env.reset()
    assert list(env.behavior_specs) == [BEHAVIOR]
    assert env.behavior_specs[BEHAVIOR].action_spec == ACTIONS
    decisions, terminals = env.get_steps(BEHAVIOR)
    np.testing.assert_array_equal(decisions.obs[0], [[0, 0], [0, 0]])
    for step in range(1, 9):
        actions = np.array([[step, 0], [-step, 0]], np.float32)
        env.set_actions(BEHAVIOR, ActionTuple(actions))
        env.step()
        decisions, terminals = env.get_steps(BEHAVIOR)
        np.testing.assert_array_equal(decisions.obs[0], [[step, step], [step, -step]])
        assert list(terminals.agent_id) == ([1] if step % 4 == 3 else [])
        assert terminals.interrupted.all()
    pid, command, *_ = log_lines(tmp_path)
    assert command.startswith(f"-nographics -batchmode --mlagents-port {env.port} -logFile {tmp_path}/Player-0.log")
    os.kill(int(pid), 0)
    started = time.monotonic()
    env.close()
    env.close()
    assert time.monotonic() - started < 5  # it quit when told, nobody had to wait for a time-out
    with pytest.raises(UnityEnvironmentException, match="closed"):
        env.step()


def test_actions_that_were_not_set_are_zeros_and_single_agents_can_be_addressed(launch: Launch) -> None:
    env = launch("serve")
    env.step()
    env.set_action_for_agent(BEHAVIOR, 1, ActionTuple(np.array([[7, 0]], np.float32)))
    env.step()
    np.testing.assert_array_equal(env.get_steps(BEHAVIOR)[0].obs[0][:, 1], [0, 7])
    env.step()
    np.testing.assert_array_equal(env.get_steps(BEHAVIOR)[0].obs[0][:, 1], [0, 0])


def test_two_players_get_ports_of_their_own(tmp_path: Path) -> None:
    envs = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        build = write_build(tmp_path / name)
        envs.append(UnityPlayer(build, log_folder=str(tmp_path / name), additional_args=["--script", "serve"]))
    assert envs[0].port != envs[1].port
    for env in envs:
        env.reset()
        env.close()
        assert_gone(tmp_path / "a")
    assert_gone(tmp_path / "b")


def test_a_base_port_that_is_asked_for_is_offset_by_the_worker_and_named_when_taken(launch: Launch) -> None:
    port = free_port()
    taken = pytest.raises(PortTakenError, match=rf"port {port} is taken: .*process {os.getpid()}")
    with socket.create_server(("127.0.0.1", port)), taken:
        launch("serve", base_port=port - 3, worker_id=3)
    env = launch("serve", base_port=port)
    assert env.port == port


def test_a_build_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnityEnvironmentException, match="missing: no such Unity build"):
        UnityPlayer(str(tmp_path / "missing"))
    (tmp_path / "text.x86_64").write_text("not a program")
    with pytest.raises(UnityEnvironmentException, match="cannot be started: Permission denied"):
        UnityPlayer(str(tmp_path / "text"))


def test_a_player_killed_in_a_step_is_noticed_at_once_with_its_signal_and_log(launch: Launch) -> None:
    env = launch("die_in_a_step", timeout_wait=60)
    env.reset()
    started = time.monotonic()
    with pytest.raises(
        PlayerExitedError, match=r"signal SIGKILL(.|\n)*Last lines of Player-0.log(.|\n)*Mono path"
    ) as info:
        steps_until_error(env)
    assert time.monotonic() - started < 5
    assert isinstance(info.value, UnityEnvironmentException)


def test_a_player_that_exits_in_a_step_is_noticed_with_its_code(launch: Launch) -> None:
    env = launch("exit_in_a_step", timeout_wait=60)
    with pytest.raises(PlayerExitedError, match="exited with code 3"):
        steps_until_error(env)


def test_a_player_that_cannot_start_tells_why(launch: Launch) -> None:
    with pytest.raises(PlayerExitedError, match=r"exited with code 127(.|\n)*connect(.|\n)*libGL.so.1"):
        launch("fail_at_start", timeout_wait=60)


def test_a_player_that_leaves_is_noticed_as_stopped(launch: Launch) -> None:
    env = launch("leave_in_a_step")
    with pytest.raises(PlayerClosedError, match="closed the connection") as info:
        steps_until_error(env)
    assert isinstance(info.value, UnityCommunicatorStoppedException)


def test_a_player_that_hangs_in_a_step_is_given_up_after_the_time_out_and_ended(launch: Launch, tmp_path: Path) -> None:
    env = launch("hang_in_a_step", timeout_wait=6)
    env.reset()
    started = time.monotonic()
    with pytest.raises(PlayerTimeoutError, match=r"within 6 s(.|\n)*next observations(.|\n)*hangs, or is paused"):
        steps_until_error(env)
    assert 6 <= time.monotonic() - started < 12
    assert_gone(tmp_path)


@pytest.mark.parametrize(
    ("script", "stage"),
    [
        ("hang", "expected to connect"),
        ("hang_after_introduction", "accept our answer"),
    ],
)
def test_a_handshake_that_stops_names_its_stage_and_leaves_nothing(
    script: str, stage: str, launch: Launch, tmp_path: Path
) -> None:
    with pytest.raises(
        PlayerTimeoutError, match=rf"{stage}(.|\n)*Likely causes(.|\n)*Last lines of Player-0.log"
    ) as info:
        launch(script, timeout_wait=6)
    assert isinstance(info.value, UnityTimeOutException)
    assert_gone(tmp_path)


def test_a_scene_that_never_asks_for_a_decision_is_told_to_add_a_decision_requester(launch: Launch) -> None:
    env = launch("hang_after_reset", timeout_wait=6)
    with pytest.raises(PlayerTimeoutError, match=r"first observations(.|\n)*DecisionRequester(.|\n)*Behavior Type"):
        env.reset()


def test_another_api_version_is_refused_with_both_versions(launch: Launch, tmp_path: Path) -> None:
    with pytest.raises(IncompatibleVersionError, match=r"API 2\.0\.0 \(Unity package 2\.0\.1\), this side 1\.5\.0"):
        launch("speak_api_2")
    assert_gone(tmp_path)


@pytest.mark.parametrize(
    ("script", "error", "message"),
    [
        ("send_garbage", MalformedMessageError, "no ML-Agents message"),
        ("send_nan", NonFiniteError, "agent 5, component 1: nan"),
        ("change_shape", ObservationShapeError, r"agent 5: shape \(3,\), announced was \(2,\)"),
        ("send_unreadable_statistics", MalformedMessageError, "a side channel cannot read .*: UnicodeDecodeError: "),
    ],
)
def test_a_message_that_cannot_be_right_closes_the_link(
    script: str, error: type[Exception], message: str, launch: Launch, tmp_path: Path
) -> None:
    env = launch(script, side_channels=[StatsSideChannel()])
    with pytest.raises(error, match=message):
        steps_until_error(env)
    assert_gone(tmp_path)


def test_a_player_that_neither_quits_nor_obeys_is_killed(launch: Launch, tmp_path: Path) -> None:
    env = launch("serve_and_stay", timeout_wait=6)
    env.reset()
    env.close()
    assert_gone(tmp_path)


def test_a_player_that_neither_quits_nor_obeys_is_killed_also_where_a_script_started_it(tmp_path: Path) -> None:
    script = tmp_path / "script.x86_64"
    script.write_text(f'#!/bin/sh\n"{write_build(tmp_path)}.x86_64" "$@"\nexit $?\n')
    script.chmod(0o755)
    args = ["--script", "serve_and_stay"]
    env = UnityPlayer(str(script), timeout_wait=6, log_folder=str(tmp_path), additional_args=args)
    env.reset()
    env.close()
    assert wait_until(lambda: not processes_with(tmp_path), 6)


def test_without_a_log_folder_no_file_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    with pytest.raises(PlayerExitedError, match="Last lines of Player-0"):
        steps_until_error(UnityPlayer(write_build(tmp_path), additional_args=["--script", "die_in_a_step"]))
    assert not list((tmp_path / "temporary").iterdir())


def test_ctrl_c_in_a_step_reaches_python_which_can_close_the_player(tmp_path: Path) -> None:
    script = f"""
import sys
from unity_env.link.environment import UnityPlayer
args = ["--script", "hang_in_a_step"]
env = UnityPlayer({write_build(tmp_path)!r}, log_folder={str(tmp_path)!r}, additional_args=args)
env.reset()
env.step()
env.step()
print("hanging", flush=True)
try:
    env.step()
except KeyboardInterrupt:
    env._close(0)
    sys.exit(42)
"""
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "hanging\n"
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=15) == 42
    process.stdout.close()
    assert_gone(tmp_path)


def test_a_script_that_ends_without_closing_takes_the_player_with_it(tmp_path: Path) -> None:
    script = f"""
from unity_env.link.environment import UnityPlayer
env = UnityPlayer({write_build(tmp_path)!r}, log_folder={str(tmp_path)!r}, additional_args=["--script", "serve"])
env.reset()
"""
    assert subprocess.run([sys.executable, "-c", script], timeout=30, check=False).returncode == 0
    assert_gone(tmp_path)
