"""robotrl train over players: the embedded simulation's own, launched as Unity builds; their deaths and other ends."""

import json
import os
import re
import signal
import socket
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.helpers import BEHAVIOR, NAME, ROBOTRL, Outcome, cli, write_config
from tests.processes import processes_with, wait_until
from tests.unity_env.link.stand_in import free_port
from trainers.checkpoint import load_checkpoint
from trainers.metrics import MetricsLog
from unity_env.sim.player import write_build
from unity_env.sim.role import find_role

STEPS = f"{BEHAVIOR}.max_steps"
GOAL = "goal_distance"


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The player; returns its path without the extension, as a Unity user would name it."""
    path = tmp_path_factory.mktemp("build") / "arm.x86_64"
    write_build("arm_reach", path)
    return path.with_suffix("")


def over_players(build: Path, changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Settings of a short run: 2 players of 4 agents, 32 decisions of each for an update."""
    return {
        "env_settings": {
            "env_path": str(build),
            "task": "arm_reach",
            "num_envs": 2,
            "num_areas": 4,
            "seed": 5,
            "timeout_wait": 20,
        },
        "engine_settings.no_graphics": True,
        **(changes or {}),
    }


@dataclass(frozen=True)
class Run:
    """A run of the command line, its folder, and the processes that it left."""

    outcome: Outcome
    folder: Path
    left: list[int]

    def metrics(self) -> list[dict[str, Any]]:
        """Return the summaries; evaluations have lines of their own."""
        path = self.folder / NAME / "metrics.jsonl"
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        return [line for line in lines if "time/steps_per_second" in line]


def train(folder: Path, settings: Mapping[str, Any]) -> Run:
    """Train in this process, below `folder`."""
    outcome = cli("train", write_config(folder, settings), "--results-dir", folder / "results", "--run-id", "x")
    return Run(outcome, folder / "results" / "x", processes_with(folder))


def start_training(folder: Path, settings: Mapping[str, Any]) -> "subprocess.Popen[str]":
    """Train as a user does, below `folder`."""
    config = write_config(folder, settings)
    return subprocess.Popen(
        [ROBOTRL, "train", config, "--results-dir", folder / "results", "--run-id", "x"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finished(process: "subprocess.Popen[str]", folder: Path, timeout_s: float) -> Run:
    try:
        out, err = process.communicate(timeout=timeout_s)
    finally:
        for pid in [process.pid] if process.poll() is None else []:
            os.kill(pid, signal.SIGKILL)
    return Run(Outcome(process.returncode, out, err), folder / "results" / "x", processes_with(folder / "results"))


@pytest.fixture(scope="module")
def two_at_once(build: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    """Two runs of two players each at the same time, none with a port of its choice."""
    first, second = tmp_path_factory.mktemp("first"), tmp_path_factory.mktemp("second")
    process = start_training(second, over_players(build))
    runs = [train(first, over_players(build))]
    return [*runs, finished(process, second, 60)]


def test_two_runs_at_once_both_train_and_leave_no_process(two_at_once: list[Run]) -> None:
    for run in two_at_once:
        assert run.outcome.code == 0, run.outcome.err
        assert not run.left


def test_a_run_over_players_has_the_results_of_any_run_and_a_log_of_each_player(two_at_once: list[Run]) -> None:
    for run in two_at_once:
        files = {str(path.relative_to(run.folder)) for path in run.folder.rglob("*")}
        players = {f"run_logs/Player-{worker}.log" for worker in (0, 1, 2)}  # the third one evaluates
        assert players <= files
        assert {f"{NAME}.onnx", "configuration.yaml", f"{NAME}/best.pt", f"{NAME}/checkpoint.pt"} <= files
        assert load_checkpoint(run.folder / NAME / "checkpoint.pt")["step"] == 1024
        for worker in (0, 1, 2):
            log = (run.folder / f"run_logs/Player-{worker}.log").read_text(encoding="utf-8")
            assert f"seed {5 + worker}, 4 areas" in log
            assert "environment parameter" not in log
            assert "the client said quit" in log


def test_statistics_of_the_scene_are_in_the_metrics(two_at_once: list[Run]) -> None:
    for run in two_at_once:
        metrics = run.metrics()
        assert [line["step"] for line in metrics] == [256, 512, 768, 1024]
        reported = [line[f"scene/{NAME}/Success"] for line in metrics if f"scene/{NAME}/Success" in line]
        assert reported
        assert all(0 <= value <= 1 for value in reported)
        assert any("environment/episode_return" in line for line in metrics)


def kill_at_summary(monkeypatch: pytest.MonkeyPatch, folder: Path, summaries: set[int]) -> list[int]:
    """Kill player 0 before the summaries with these numbers, that is, between two steps; returns who was killed."""
    killed: list[int] = []
    write: Callable[..., Any] = MetricsLog.write
    written = 0

    def kill_and_write(log: MetricsLog, *arguments: Any) -> Any:
        nonlocal written
        written += 1
        if written in summaries:
            (player,) = processes_with(folder / "results" / "x" / "run_logs" / "Player-0.log")
            os.kill(player, signal.SIGKILL)
            killed.append(player)
        return write(log, *arguments)

    monkeypatch.setattr(MetricsLog, "write", kill_and_write)
    return killed


def test_training_goes_on_when_a_player_is_killed(build: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    killed = kill_at_summary(monkeypatch, tmp_path, {2})
    run = train(tmp_path, over_players(build))
    assert run.outcome.code == 0, run.outcome.err
    assert len(killed) == 1
    assert not run.left
    assert run.metrics()[-1]["step"] == 1024
    log = (run.folder / "run_logs" / "Player-0.log").read_text(encoding="utf-8")
    assert "the client said quit" in log  # the one that took its place


def test_lessons_reach_all_players_also_one_that_is_started_anew(
    build: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kill_at_summary(monkeypatch, tmp_path, {2})  # at step 512, right after the lesson has changed
    criteria = {"behavior": NAME, "measure": "progress", "threshold": 0.3}
    near = {"name": "near", "value": 0.4, "completion_criteria": criteria}
    curriculum = {"curriculum": [near, {"name": "far", "value": 1.5}]}
    run = train(tmp_path, over_players(build, {"environment_parameters.goal_distance": curriculum}))
    assert run.outcome.code == 0, run.outcome.err
    received = [
        re.findall(r"goal_distance = (.*)", (run.folder / f"run_logs/Player-{worker}.log").read_text(encoding="utf-8"))
        for worker in (0, 1, 2)
    ]
    assert received == [["0.4", "1.5"], ["0.4", "1.5"], ["1.5"]]  # the last one evaluates
    assert [line["environment/lesson/goal_distance"] for line in run.metrics()] == [0, 1, 1, 1]


def test_a_player_that_dies_beyond_its_limit_fails_the_run_with_its_log_and_keeps_what_was_learned(
    build: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kill_at_summary(monkeypatch, tmp_path, {2})
    settings = over_players(build, {"env_settings.max_lifetime_restarts": 0})
    run = train(tmp_path, settings)
    err = run.outcome.err
    assert run.outcome.code == 3, run.outcome
    assert err.startswith("error: player 0 died once more after 0 restarts: ")
    assert err.count("error: ") == 1
    assert re.search(r"Last lines of Player-0\.log:\n(  .*\n)*  .*connected to 0\.28\.0", err)
    assert "Traceback" not in err
    assert load_checkpoint(run.folder / NAME / "checkpoint.pt")["step"] == 512
    assert not run.left
    assert "ended by signal SIGKILL" in err.splitlines()[0]


def test_ctrl_c_writes_a_checkpoint_and_takes_the_players_along(build: Path, tmp_path: Path) -> None:
    process = start_training(tmp_path, over_players(build, {STEPS: 10_000_000}))
    metrics = tmp_path / "results" / "x" / NAME / "metrics.jsonl"
    began = wait_until(lambda: metrics.exists() and metrics.stat().st_size, 120)
    players = processes_with(tmp_path / "results" / "x" / "run_logs")
    process.send_signal(signal.SIGINT)
    run = finished(process, tmp_path, 40)
    assert began
    assert len(players) == 3
    assert run.outcome.code == 130, run.outcome
    assert not run.left
    step = load_checkpoint(run.folder / NAME / "checkpoint.pt")["step"]
    assert f"stopped at step {step:,}" in run.outcome.out
    assert step % 256 == 0
    assert "Traceback" not in run.outcome.err


def test_ctrl_c_while_a_player_is_waited_for_ends_the_run_soon(build: Path, tmp_path: Path) -> None:
    silent = tmp_path / "silent.x86_64"
    silent.write_text("#!/bin/sh\nexec sleep 100\n", encoding="utf-8")
    silent.chmod(0o755)
    process = start_training(tmp_path, over_players(build, {"env_settings.env_path": str(silent)}))
    log = tmp_path / "results" / "x" / "run_logs" / "Player-1.out"
    began = wait_until(log.exists, 60)
    process.send_signal(signal.SIGINT)
    run = finished(process, tmp_path, 30)
    assert began
    assert run.outcome.code == 130, run.outcome
    assert not run.left
    assert "Traceback" not in run.outcome.err


def assert_one_line(outcome: Outcome, *parts: str) -> None:
    assert outcome.code == 2, outcome
    assert len(outcome.err.strip().splitlines()) == 1, outcome.err
    assert outcome.err.startswith("error: ")
    for part in parts:
        assert re.search(part, outcome.err), outcome.err


def test_a_port_that_is_taken_is_one_line_with_its_holder(build: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        settings = over_players(build, {"env_settings.base_port": port, "env_settings.num_envs": 1})
        run = train(tmp_path, settings)
    assert_one_line(run.outcome, rf"port {port} is taken", rf"process {os.getpid()}", r"tiny\.yaml:\d+")
    assert not run.left


def test_a_missing_build_is_one_line(build: Path, tmp_path: Path) -> None:
    run = train(tmp_path, over_players(build, {"env_settings.env_path": str(tmp_path / "nowhere")}))
    assert_one_line(run.outcome, r"nowhere: no such Unity build", r"tiny\.yaml:\d+: env_settings\.env_path")
    assert not (run.folder / NAME).exists()


def test_a_side_channel_that_cannot_be_used_is_one_line_at_its_key(build: Path, tmp_path: Path) -> None:
    run = train(tmp_path, over_players(build, {"env_settings.side_channels": ["json:JSONDecoder"]}))
    assert_one_line(run.outcome, r"tiny\.yaml:\d+: env_settings\.side_channels: side channel json:JSONDecoder: not a")
    assert not run.left


def test_side_channels_are_found_in_the_current_folder(build: Path, tmp_path: Path) -> None:
    (tmp_path / "beside_the_config.py").write_text("class Nothing: pass\n", encoding="utf-8")
    settings = over_players(build, {"env_settings.side_channels": ["beside_the_config:Nothing"]})
    command = [str(ROBOTRL), "train", str(write_config(tmp_path, settings))]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False)
    assert "side channel beside_the_config:Nothing: not a class derived" in ended.stderr


def goal_slice() -> dict[str, Any]:
    """Where the goal's distance lies in the player's `signals` sensor."""
    start = find_role("arm_reach", "RobotArm").layouts["signals"].slices[GOAL].start
    return {"sensor": "signals", "start": start, "size": 1}


def test_signals_that_the_yaml_cuts_out_of_a_sensor_feed_the_reward(build: Path, tmp_path: Path) -> None:
    near = {"term": "reach", "signal": "distance_to_goal", "parameters": {"std": 0.3}, "weight": 1.0}
    settings = over_players(
        build,
        {
            "env_settings.task": None,
            "env_settings.num_envs": 1,
            STEPS: 256,
            f"{BEHAVIOR}.signals": {"distance_to_goal": goal_slice()},
            f"{BEHAVIOR}.reward_shaping.terms": {"near": near},
        },
    )
    run = train(tmp_path, settings)
    assert run.outcome.code == 0, run.outcome.err
    (line,) = run.metrics()
    named = {name: value for name, value in line.items() if "near" in name}
    assert named
    assert all(value > 0 for value in named.values() if value is not None)


def test_a_signal_that_does_not_fit_its_sensor_is_refused_with_file_and_line(build: Path, tmp_path: Path) -> None:
    signals = {"far": {"sensor": "signals", "start": 1000, "size": 2}}
    settings = over_players(build, {"env_settings.num_envs": 1, f"{BEHAVIOR}.signals": signals})
    run = train(tmp_path, settings)
    assert_one_line(run.outcome, r"signal far: 1000 \+ 2 values, sensor signals has shape", r"tiny\.yaml:\d+: ")
    assert not run.left


def test_several_players_without_a_build_are_refused_at_once(tmp_path: Path) -> None:
    settings = {"env_settings": {"env_path": None, "num_envs": 2, "seed": 5}}
    assert_one_line(
        train(tmp_path, settings).outcome, r"tiny\.yaml:\d+: env_settings\.num_envs: num_envs 2: .* env_path"
    )


def test_without_a_build_it_says_to_press_play_and_gives_causes_when_nobody_does(tmp_path: Path) -> None:
    port = free_port()
    settings = {"env_settings": {"env_path": None, "base_port": port, "timeout_wait": 1, "seed": 5}}
    run = train(tmp_path, settings)
    assert run.outcome.code == 3, run.outcome
    assert f"Listening on port {port}: press Play in the Unity Editor." in run.outcome.out
    assert re.match(r"error: no message from the player within 1 s(.|\n)*expected to connect", run.outcome.err)
    assert "Likely causes:\n  - Play was not pressed in the Unity Editor" in run.outcome.err
