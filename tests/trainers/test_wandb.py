"""Weights & Biases, by a module that stands in for theirs."""

import sys
import types
from pathlib import Path
from typing import Any

import pytest

from tests.helpers import BEHAVIOR, NAME, assert_refused, cli, lines_of, train_tiny, write_config

SHORT = {f"{BEHAVIOR}.max_steps": 512, "evaluation.interval": 256}


class FakeRun:
    """Keeps what it is told."""

    def __init__(self, **about: Any) -> None:
        self.about, self.logged, self.axes, self.finished = about, list[dict[str, float]](), dict[str, Any](), False

    def define_metric(self, name: str, step_metric: str | None = None) -> None:
        self.axes[name] = step_metric

    def log(self, values: dict[str, float]) -> None:
        self.logged.append(values)

    def finish(self) -> None:
        self.finished = True


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[FakeRun]:
    """The runs that were begun."""
    begun: list[FakeRun] = []

    def init(**about: Any) -> FakeRun:
        begun.append(FakeRun(**about))
        return begun[-1]

    module = types.ModuleType("wandb")
    module.init = init  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "wandb", module)
    return begun


def test_it_is_off_by_default(tmp_path: Path, runs: list[FakeRun]) -> None:
    train_tiny(tmp_path, "r", {f"{BEHAVIOR}.max_steps": 256})
    assert not runs


def test_everything_that_is_logged_is_sent_over_the_behaviors_own_steps(tmp_path: Path, runs: list[FakeRun]) -> None:
    folder = train_tiny(tmp_path, "r", {**SHORT, "wandb": {"project": "arms", "mode": "offline"}})
    (run,) = runs
    about = run.about
    assert (about["project"], about["mode"], about["name"], about["dir"]) == ("arms", "offline", "r", str(folder))
    assert about["config"]["behaviors"][NAME]["max_steps"] == 512
    assert run.axes == {f"{NAME}/step": None, f"{NAME}/*": f"{NAME}/step"}
    assert run.finished
    lines = lines_of(folder / NAME)
    assert [sent[f"{NAME}/step"] for sent in run.logged] == [line["step"] for line in lines]
    for sent, line in zip(run.logged, lines, strict=True):
        known = {key.removeprefix(f"{NAME}/") for key in sent} - {"step"}
        assert known == line.keys() - {"step", "seconds", "reward_hash"}


def test_without_the_package_it_costs_a_line_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    monkeypatch.chdir(tmp_path)
    outcome = cli("train", write_config(tmp_path, {**SHORT, "wandb": {}}))
    assert_refused(outcome, r"wandb: the package is missing: pip install 'unity-robot-rl\[wandb\]'")
    assert not (tmp_path / "results").exists()


def test_a_service_that_refuses_costs_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, runs: list[FakeRun]
) -> None:
    def refuse(**_: Any) -> None:
        raise RuntimeError("api_key not configured\nmore")

    monkeypatch.setattr(sys.modules["wandb"], "init", refuse)
    outcome = cli("train", write_config(tmp_path, {**SHORT, "wandb": {}}), "--results-dir", tmp_path)
    assert_refused(outcome, "wandb: api_key not configured; wandb.mode: offline needs no service")
    assert not runs
