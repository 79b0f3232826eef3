"""Ctrl-C and SIGTERM at odd moments: exit code 130, a line that says how to go on, and no rubbish."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.helpers import BEHAVIOR, NAME, checkpoint_of, cli, difference, files_below, train_tiny, write_config
from trainers.evaluate import Evaluation, evaluate_world
from trainers.export import bundle
from trainers.world import World

STEPS = f"{BEHAVIOR}.max_steps"


def test_an_end_in_the_middle_of_a_step_is_not_resumed_as_if_it_were_between_two(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps, step = [], World.step

    def interrupted(world: World, actions: Any) -> Any:
        results = step(world, actions)
        steps.append(1)
        if len(steps) == 50:
            raise KeyboardInterrupt
        return results

    monkeypatch.setattr(World, "step", interrupted)
    config = write_config(tmp_path)
    outcome = cli("train", config, "--results-dir", tmp_path, "--run-id", "x")
    assert outcome.code == 130
    assert f"stopped at once; continue with --resume --run-id x --results-dir {tmp_path}" in outcome.out
    resumed = cli("train", config, "--results-dir", tmp_path, "--run-id", "x", "--resume")
    assert resumed.code == 0, resumed.err
    assert "resumed at step 392: networks and optimiser; the episodes start anew" in resumed.out


def evaluations(run: Path) -> list[dict[str, float]]:
    lines = map(json.loads, (run / NAME / "metrics.jsonl").read_text(encoding="utf-8").splitlines())
    return [{key: line[key] for key in line if key != "seconds"} for line in lines if "evaluation/return" in line]


def test_an_evaluation_that_a_signal_stopped_is_made_up_for_on_resume(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def terminated(*arguments: Any) -> dict[str, Evaluation]:
        signal.raise_signal(signal.SIGTERM)
        return evaluate_world(*arguments)

    changes = {STEPS: 512, "evaluation.interval": 256}
    whole = train_tiny(tmp_path, "whole", changes)
    run, config = tmp_path / "results" / "x", write_config(tmp_path, changes)
    with monkeypatch.context() as patch:
        patch.setattr("trainers.train.evaluate_world", terminated)
        assert cli("train", config, "--results-dir", run.parent, "--run-id", "x").code == 130
    assert checkpoint_of(run)["step"] == 256
    assert evaluations(run) == []
    resumed = cli("train", config, "--results-dir", run.parent, "--run-id", "x", "--resume")
    assert resumed.code == 0, resumed.err
    assert "resumed at step 256: bit-exactly" in resumed.out
    assert [line["step"] for line in evaluations(run)] == [256, 512]
    assert evaluations(run) == evaluations(whole)
    assert difference(checkpoint_of(run), checkpoint_of(whole)) == ""


def test_an_end_before_the_first_checkpoint_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("trainers.train.make_world", interrupted)
    outcome = cli("train", write_config(tmp_path), "--results-dir", tmp_path)
    assert (outcome.code, outcome.err) == (130, "")
    assert outcome.out == "stopped at once; there is no checkpoint yet\n"


def test_sigterm_during_the_export_leaves_no_half_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def terminated(*_: Any, **__: Any) -> None:
        assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
        signal.raise_signal(signal.SIGTERM)

    run = train_tiny(tmp_path, "x", {STEPS: 256})
    before = files_below(run)
    monkeypatch.setattr(bundle, "write_unity_onnx", terminated)
    assert cli("export", run).code == 130
    assert files_below(run) == before
