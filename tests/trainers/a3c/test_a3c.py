"""Processes: what they share is exact; those that die are replaced; Ctrl-C ends all."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.multiprocessing as mp
from torch import nn

from tests.helpers import BEHAVIOR, NAME, assert_refused, checkpoint_of, cli, train_tiny, write_config
from tests.processes import is_running, wait_until
from trainers.a3c.main import Workers
from trainers.a3c.networks import GlobalNetworks
from trainers.config import load_settings
from trainers.hyperparameters import A3cHyperparameters

WORKERS, UPDATES = 2, 300
STEPS = f"{BEHAVIOR}.max_steps"


def a3c(changes: dict[str, Any], workers: int = WORKERS) -> dict[str, Any]:
    hyper = {"buffer_size": 32, "learning_rate": 1e-3, "num_workers": workers}
    small = {f"{BEHAVIOR}.trainer_type": "a3c", f"{BEHAVIOR}.hyperparameters": hyper, "env_settings.num_areas": 4}
    return small | changes


def push_ones(shared: GlobalNetworks, worker: int) -> None:
    """A worker whose gradient is always 1."""
    own = nn.ModuleList([nn.Linear(2, 1), nn.Linear(1, 1)])
    for parameter in own.parameters():
        parameter.grad = torch.ones_like(parameter)
    for _ in range(UPDATES):
        shared.descend(own, worker, 7, torch.zeros(1, 2))


def test_every_workers_updates_land_and_the_step_counter_is_exact() -> None:
    networks = nn.ModuleList([nn.Linear(2, 1), nn.Linear(1, 1)])
    hyper = A3cHyperparameters(learning_rate=1e-3, rms_decay=0.99)
    shared = GlobalNetworks(networks, hyper, WORKERS)
    context = mp.get_context("spawn")
    workers = [context.Process(target=push_ones, args=(shared, worker)) for worker in range(WORKERS)]
    for process in workers:
        process.start()
    for process in workers:
        process.join(120)
    assert [process.exitcode for process in workers] == [0] * WORKERS
    total = WORKERS * UPDATES
    assert shared.steps.tolist() == [7 * UPDATES] * WORKERS
    assert shared.step == 7 * total
    squares = [1.0 - 0.99**k for k in range(1, total + 1)]  # g after k gradients of 1
    moved = sum(1e-3 / (square + hyper.rms_epsilon) ** 0.5 for square in squares)
    after = nn.ModuleList([nn.Linear(2, 1), nn.Linear(1, 1)])
    shared.copy_to(after)
    for old, new in zip(networks.parameters(), after.parameters(), strict=True):
        torch.testing.assert_close(new, old - moved, rtol=0, atol=1e-4)


def test_a_killed_worker_is_replaced_and_ctrl_c_ends_all_within_two_seconds(tmp_path: Path) -> None:
    config = write_config(tmp_path, a3c({STEPS: 10**9, f"{BEHAVIOR}.summary_freq": 1000}))
    command = [sys.executable, "-c", "from trainers.cli import main; main()", "train", str(config), "--run-id", "x"]
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd()), "PYTHONUNBUFFERED": "1"}
    log = tmp_path / "log.txt"
    with log.open("w") as out:
        process = subprocess.Popen(command, cwd=tmp_path, stdout=out, stderr=subprocess.STDOUT, env=environment)
    metrics = tmp_path / "results" / "x" / NAME / "metrics.jsonl"
    try:
        assert wait_until(lambda: metrics.exists() and metrics.read_text(), 120), log.read_text()
        workers = workers_of(process.pid)
        assert len(workers) == WORKERS
        os.kill(workers[0], signal.SIGKILL)
        assert wait_until(lambda: "a new one takes its place" in log.read_text(), 60), log.read_text()
        assert wait_until(lambda: len(workers_of(process.pid)) == WORKERS, 60)
        assert workers[0] not in workers_of(process.pid)
        workers = workers_of(process.pid)
        process.send_signal(signal.SIGINT)
        started = time.monotonic()
        assert wait_until(lambda: not any(map(is_running, workers)), 10), log.read_text()
        assert time.monotonic() - started < 2.0
        assert process.wait(60) == 130
    finally:
        process.kill()
    text = log.read_text()
    assert re.search(r"worker \d has died \(signal 9\); a new one takes its place", text)
    assert "Traceback" not in text
    assert checkpoint_of(tmp_path / "results" / "x")["step"] > 1000


class Interrupted:
    """A process while whose start somebody presses Ctrl-C."""

    def __init__(self, asked: list[int]) -> None:
        self.asked = asked

    def start(self) -> None:
        signal.raise_signal(signal.SIGINT)
        assert signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ()), "a worker inherits it"
        assert self.asked == []


def test_ctrl_c_while_a_worker_starts_is_not_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = GlobalNetworks(nn.ModuleList([nn.Linear(2, 1)]), A3cHyperparameters(), 1)
    workers = Workers(shared, *load_settings(write_config(tmp_path, a3c({}, workers=1)), {}, []), print)
    asked: list[int] = []
    context = mp.get_context("spawn")
    monkeypatch.setattr(context, "Process", lambda **_: Interrupted(asked), raising=False)
    before = signal.signal(signal.SIGINT, lambda number, _frame: asked.append(number))
    try:
        workers.start()
    finally:
        signal.signal(signal.SIGINT, before)
    assert asked == [signal.SIGINT]


def workers_of(pid: int) -> list[int]:
    """The processes that train: torch's spawn starts them with `spawn_main`."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


def test_a_run_counts_every_step_and_goes_on_from_its_networks_optimiser_and_counter(tmp_path: Path) -> None:
    run = train_tiny(tmp_path, "a", a3c({STEPS: 512}, workers=1))
    state = checkpoint_of(run)
    assert state["step"] == 512
    assert state["algorithm"]["actor"]["encoder.0.count"] == state["step"]
    assert all(bool((of["square"] > 0).any()) for of in state["algorithm"]["optimizer"]["state"].values())
    last = json.loads((run / NAME / "metrics.jsonl").read_text().splitlines()[-2])
    assert {"losses/policy_loss", "reward_per_step/near", "reward_weight/near", "time/update_share"} <= last.keys()
    config = write_config(tmp_path, a3c({STEPS: 1024}, workers=1), "a")
    outcome = cli("train", config, "--results-dir", run.parent, "--run-id", "a", "--resume")
    assert outcome.code == 0, outcome.err
    assert f"resumed at step {state['step']:,}: networks and optimiser; the episodes start anew" in outcome.out
    resumed = checkpoint_of(run)
    assert resumed["step"] == 1024
    assert resumed["algorithm"]["actor"]["encoder.0.count"] == resumed["step"]


@pytest.mark.parametrize(
    ("changes", "where", "what"),
    [
        ({"env_settings.env_path": "./player"}, "env_settings.env_path", "sim:<task>"),
        ({"torch_settings.device": "cuda"}, "torch_settings.device", "cpu"),
        ({f"{BEHAVIOR}.hyperparameters.num_workers": 0}, "hyperparameters.num_workers", "greater than 0"),
        ({f"{BEHAVIOR}.reward_signals": {"extrinsic": {}, "rnd": {}}}, "reward_signals.rnd", "a2c, ppo"),
        (
            {"environment_parameters.mass_scale.curriculum": [{"name": "all", "value": 1.0}]},
            "environment_parameters.mass_scale",
            "no curricula",
        ),
    ],
)
def test_what_a3c_cannot_do_is_refused_with_its_line(
    tmp_path: Path, changes: dict[str, Any], where: str, what: str
) -> None:
    outcome = cli("train", write_config(tmp_path, a3c(changes)), "--results-dir", tmp_path / "results")
    assert outcome.code == 2
    assert len(outcome.err.strip().splitlines()) == 1
    assert re.search(r"tiny\.yaml:\d+: ", outcome.err)
    assert where in outcome.err
    assert what in outcome.err


def test_behaviors_that_nobody_names_cannot_be_a3cs_on_a_player(tmp_path: Path) -> None:
    changes = {"env_settings.env_path": "./player", "default_settings": {"trainer_type": "a3c"}}
    outcome = cli("train", write_config(tmp_path, changes), "--results-dir", tmp_path / "results")
    assert_refused(outcome, r"tiny\.yaml:\d+: env_settings\.env_path", "a3c's workers need simulations of their own")
