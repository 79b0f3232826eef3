"""What goes wrong in the middle of a run: full disks and rewards that are no numbers. Exit code 3, nothing lost."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mlagents_envs.base_env import DecisionSteps, TerminalSteps

from reward_shaping.term import Term
from reward_shaping.terms import TERMS
from tests.helpers import BEHAVIOR, NAME, checkpoint_of, cli, files_below, train_tiny, write_config
from trainers.algorithms.ppo import Ppo
from trainers.checkpoint import load_checkpoint
from trainers.metrics import MetricsLog
from unity_env.sim.env import SimEnv

STEPS = f"{BEHAVIOR}.max_steps"


def refuse_from(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, refuses: Callable[..., bool]) -> None:
    """Let module.name raise "No space left on device" for the calls for which `refuses` holds."""
    works = getattr(module, name)

    def replacement(*arguments: Any, **keywords: Any) -> Any:
        if refuses(*arguments):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return works(*arguments, **keywords)

    monkeypatch.setattr(module, name, replacement)


FULL_DISKS: dict[str, tuple[Any, str, Callable[..., bool]]] = {
    "no second checkpoint": (torch, "save", lambda state, _: state["step"] > 512),
    "no second rename": (
        os, "replace", lambda _, target: target.name in {f"{NAME}-1024.pt"}
    ),
    "no newest": (os, "replace", lambda _, target: target.name == "checkpoint.pt" and target.exists()),
    "no status": (os, "replace", lambda _, target: target.name == "training_status.json" and target.exists()),
    "no best": (os, "replace", lambda _, target: target.name == "best.pt"),
    "no sync": (os, "fsync", lambda file: f"{NAME}-1024.pt" in os.readlink(f"/proc/self/fd/{file}")),
}  # fmt: skip


@pytest.mark.parametrize("case", FULL_DISKS)
def test_a_full_disk_keeps_the_last_good_checkpoint_and_exits_with_3(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    refuse_from(monkeypatch, *FULL_DISKS[case])
    outcome = cli("train", write_config(tmp_path), "--results-dir", tmp_path, "--run-id", "x")
    assert outcome.code == 3, outcome
    assert outcome.err.startswith("error: ")
    assert "No space left" in outcome.err
    assert len(outcome.err.strip().splitlines()) <= 2
    monkeypatch.undo()
    assert checkpoint_of(tmp_path / "x")["step"] in {512, 1024}
    assert load_checkpoint(tmp_path / "x" / NAME / f"{NAME}-512.pt")["step"] == 512
    assert not [path for path in files_below(tmp_path) if path.endswith(".tmp")]


def test_metrics_that_cannot_be_written_fail_the_run_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_from(monkeypatch, MetricsLog, "write", lambda _, step, __: step > 512)
    outcome = cli("train", write_config(tmp_path), "--results-dir", tmp_path, "--run-id", "x")
    assert outcome.code == 3, outcome
    assert outcome.err.startswith("error: ")
    assert checkpoint_of(tmp_path / "x")["step"] == 512


def test_a_configuration_that_cannot_be_written_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_from(monkeypatch, os, "replace", lambda _, target: target.name == "configuration.yaml")
    outcome = cli("train", write_config(tmp_path), "--results-dir", tmp_path, "--run-id", "x")
    assert outcome.code in {2, 3}, outcome
    assert outcome.err.startswith("error: ")


def nan_after(calls: int, value: float = float("nan")) -> Term:
    """A term that pays 1, and `value` in its last row from some call on."""
    called = 0

    def broken(terminated: np.ndarray) -> np.ndarray:
        nonlocal called
        called += 1
        result = np.ones(terminated.shape)
        if called > calls:
            result[-1] = value
        return result

    return Term(broken, kind="per_step", range=(1, 1), unit="1")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_reward_that_is_no_number_fails_the_run_and_keeps_the_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: float
) -> None:
    monkeypatch.setitem(TERMS, "time", nan_after(80, value))
    outcome = cli("train", write_config(tmp_path), "--results-dir", tmp_path, "--run-id", "x")
    assert outcome.code == 3, outcome
    lines = outcome.err.strip().splitlines()
    assert len(lines) <= 2
    assert lines[0].startswith("error: ")
    assert "haste" in lines[0]
    assert "row 7" in lines[0]
    assert "tiny.yaml:" in lines[0]
    assert checkpoint_of(tmp_path / "x")["step"] == 512


def test_a_reward_that_is_no_number_in_the_final_evaluation_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(TERMS, "time", nan_after(256 // 8 + 100 + 10))  # training, first evaluation, then the last
    config = write_config(tmp_path, {STEPS: 256})
    outcome = cli("train", config, "--results-dir", tmp_path, "--run-id", "x")
    assert outcome.code == 3, outcome
    assert "haste" in outcome.err
    assert outcome.err.startswith("error: ")


def test_a_reward_that_is_no_number_in_eval_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = train_tiny(tmp_path, "x", {STEPS: 256})
    monkeypatch.setitem(TERMS, "time", nan_after(10))
    outcome = cli("eval", run, "--episodes", 2)
    assert outcome.code == 3, outcome
    assert "haste" in outcome.err
    assert outcome.err.startswith("error: ")


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_reward_whose_weights_overflow_fails_the_run_in_one_line(tmp_path: Path) -> None:
    terms = {name: {"term": "time", "weight": 1.5e308} for name in ("a", "b")}
    config = write_config(tmp_path, {f"{BEHAVIOR}.reward_shaping": {"terms": terms}})
    outcome = cli("train", config, "--results-dir", tmp_path, "--run-id", "x")
    assert outcome.code == 3, outcome
    assert outcome.err.startswith("error: ")


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_loss_that_is_no_number_fails_the_run_in_one_line(tmp_path: Path) -> None:
    terms = {"huge": {"term": "time", "weight": 1e300}}
    config = write_config(tmp_path, {f"{BEHAVIOR}.reward_shaping": {"terms": terms}})
    outcome = cli("train", config, "--results-dir", tmp_path, "--run-id", "x")
    assert outcome.code == 3, outcome
    assert outcome.err.startswith("error: ")
    assert "losses/" in outcome.err


def test_observations_that_are_no_numbers_are_named_as_the_cause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = SimEnv.get_steps

    def broken(env: SimEnv, behavior: str) -> tuple[DecisionSteps, TerminalSteps]:
        decisions, terminals = whole(env, behavior)
        decisions.obs[0] = np.full_like(decisions.obs[0], np.nan)
        return decisions, terminals

    monkeypatch.setattr(SimEnv, "get_steps", broken)
    config = write_config(tmp_path, {f"{BEHAVIOR}.reward_shaping": None})
    outcome = cli("train", config, "--results-dir", tmp_path, "--run-id", "x")
    assert outcome.code == 3, outcome
    assert "observations that are no finite numbers, in row 0" in outcome.err
    assert "learning_rate" not in outcome.err


def test_an_action_that_is_no_number_ends_the_run_with_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Ppo, "act", lambda _self, obs, _requesting: np.full((len(obs), 6), np.inf, np.float32))
    outcome = cli("train", write_config(tmp_path), "--results-dir", tmp_path, "--run-id", "x")
    assert (outcome.code, outcome.err.count("\n")) == (3, 1), outcome
    assert f"{NAME}: an action is not a finite number at step 0; a lower learning_rate" in outcome.err
