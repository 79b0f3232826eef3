"""Two runs of one id: one of them is refused, and costs the other nothing."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.helpers import BEHAVIOR, Outcome, assert_refused, cli, files_below, train_tiny, write_config
from trainers.run_folder import RunFolder

SHORT = {f"{BEHAVIOR}.max_steps": 256}


def test_a_run_that_is_under_way_is_left_alone(tmp_path: Path) -> None:
    run = train_tiny(tmp_path, "x", SHORT)
    before = files_below(run)
    with RunFolder(run).claimed():
        for how in ("--resume", "--force"):
            outcome = cli("train", tmp_path / "x.yaml", "--results-dir", run.parent, "--run-id", "x", how)
            assert_refused(outcome, "another run of this id is at work")
    assert files_below(run) == before


def test_of_two_runs_that_begin_together_one_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both have found the folder empty before either has written into it."""
    arguments = ("train", write_config(tmp_path, SHORT), "--results-dir", tmp_path, "--run-id", "x")
    check, inner = RunFolder.check, list[Outcome]()

    def overtaken(folder: RunFolder, behaviors: Iterable[str], *, resume: bool, force: bool) -> None:
        check(folder, behaviors, resume=resume, force=force)
        if not inner:
            monkeypatch.setattr(RunFolder, "check", check)
            inner.append(cli(*arguments))

    monkeypatch.setattr(RunFolder, "check", overtaken)
    assert_refused(cli(*arguments), "this run exists")
    assert inner[0].code == 0, inner[0].err
