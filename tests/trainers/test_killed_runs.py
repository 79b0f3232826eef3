"""A run that is killed without warning ten times, and resumed each time, ends as the undisturbed one does."""

import multiprocessing
import random
import time
from pathlib import Path
from typing import Any

import pytest

from tests.helpers import BEHAVIOR, NAME, checkpoint_of, cli, difference, write_config

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.helpers", "trainers.train"])
KILLS, DEADLINE_S = 10, 300.0
INTERVAL, STEPS = 64, 24 * 64
EVERYTHING = ("step", "algorithm", "env", "reward", "episodes", "replay")
RUNS: dict[str, dict[str, Any]] = {
    "ppo": {f"{BEHAVIOR}.hyperparameters.buffer_size": INTERVAL, f"{BEHAVIOR}.hyperparameters.batch_size": 32},
    "ddpg": {
        f"{BEHAVIOR}.hyperparameters": {
            "batch_size": 16,
            "buffer_size": 300,
            "buffer_init_steps": 64,
            "steps_per_update": 8,
            "noise": {"type": "ornstein_uhlenbeck"},
            "hindsight": {},
        },
        f"{BEHAVIOR}.reward_shaping": {
            "terms": {"away": {"term": "sparse_goal", "parameters": {"tolerance": 0.02}, "weight": 1.0}}
        },
    },
}


class Run:
    """A run of 24 checkpoints, in processes that may be killed."""

    def __init__(self, folder: Path, kind: str, name: str) -> None:
        changes = RUNS[kind] | {
            f"{BEHAVIOR}.trainer_type": kind,
            f"{BEHAVIOR}.max_steps": STEPS,
            f"{BEHAVIOR}.checkpoint_interval": INTERVAL,
            "evaluation.interval": 8 * INTERVAL,
        }
        self._arguments = (write_config(folder, changes, name), "--results-dir", folder / "results", "--run-id", name)
        self.folder = folder / "results" / name
        self._newest = self.folder / NAME / "checkpoint.pt"

    def start(self) -> Any:
        """Begin, or go on from the newest checkpoint, in a process of its own."""
        process = PROCESSES.Process(target=train, args=(*self._arguments, "--resume" if self.written else "--force"))
        process.start()
        return process

    @property
    def written(self) -> int:
        """When the newest checkpoint was written, ns; 0 where there is none."""
        return self._newest.stat().st_mtime_ns if self._newest.exists() else 0


def train(*arguments: object) -> None:
    raise SystemExit(cli("train", *arguments).code)


@pytest.mark.parametrize("kind", RUNS)
def test_ten_kills_at_random_moments_change_no_bit(tmp_path: Path, kind: str) -> None:
    undisturbed, killed, moments = Run(tmp_path, kind, "undisturbed"), Run(tmp_path, kind, "killed"), random.Random(0)
    began = time.monotonic()
    process = undisturbed.start()
    process.join(DEADLINE_S)
    assert process.exitcode == 0
    longest_s = (time.monotonic() - began) / KILLS / 2
    for life in range(KILLS):
        before, process = killed.written, killed.start()
        while life % 2 and killed.written == before and process.is_alive():  # every second one gets somewhere
            time.sleep(0.001)
        process.join(moments.uniform(0.0, longest_s))
        assert process.is_alive(), "ended before it was killed"
        process.kill()
        process.join(DEADLINE_S)
    assert 0 < checkpoint_of(killed.folder)["step"] < STEPS
    process = killed.start()
    process.join(DEADLINE_S)
    assert process.exitcode == 0
    one, other = checkpoint_of(undisturbed.folder), checkpoint_of(killed.folder)
    for part in EVERYTHING:
        assert difference(one.get(part), other.get(part)) == "", part
