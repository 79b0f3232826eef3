import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from trainers.checkpoint import REQUIRED, load_checkpoint, save_checkpoint
from trainers.errors import UserError
from trainers.files import write_atomically, write_text


def test_arrays_and_plain_values_come_back_exactly(tmp_path: Path) -> None:
    state = dict.fromkeys(REQUIRED, 0) | {
        "f32": np.array([[0.1, np.nan]], dtype=np.float32),
        "i64": np.array([2**62], dtype=np.int64),
        "bool": np.array([True, False]),
        "tensor": torch.tensor([1.5], dtype=torch.float64),
        "plain": [1, 2.5, "a", None, True],
        "nested": {"tuple": (1, np.float64(0.1)), "empty": {}},
    }
    save_checkpoint(tmp_path / "x.pt", state)
    back = load_checkpoint(tmp_path / "x.pt")
    for name in ("f32", "i64", "bool"):
        assert back[name].numpy().tobytes() == state[name].tobytes()  # type: ignore[attr-defined]
        assert back[name].numpy().dtype == state[name].dtype  # type: ignore[attr-defined]
    assert torch.equal(back["tensor"], torch.tensor([1.5], dtype=torch.float64))
    assert back["plain"] == [1, 2.5, "a", None, True]
    assert back["nested"] == {"tuple": [1, 0.1], "empty": {}}


@pytest.mark.parametrize("missing", REQUIRED)
def test_an_incomplete_checkpoint_names_what_it_lacks(tmp_path: Path, missing: str) -> None:
    save_checkpoint(tmp_path / "x.pt", {key: 0 for key in REQUIRED if key != missing})
    with pytest.raises(UserError, match=rf"x\.pt: .*{missing}"):
        load_checkpoint(tmp_path / "x.pt")


class Trap:
    """Unpickling it would run code."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("trapped",)


def test_a_checkpoint_that_holds_code_is_refused_and_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"format": 1, "trap": Trap()}, tmp_path / "trap.pt")
    with pytest.raises(UserError, match=r"trap\.pt"):
        load_checkpoint(tmp_path / "trap.pt")
    assert not (tmp_path / "trapped").exists()


def test_a_missing_checkpoint_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such checkpoint"):
        load_checkpoint(tmp_path / "nowhere.pt")


@pytest.mark.parametrize("where", ["write", "fsync", "replace"])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    path = tmp_path / "x.txt"
    write_text(path, "old")

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def write(temporary: Path) -> None:
        temporary.write_text("ne")
        if where == "write":
            full()

    if where != "write":
        monkeypatch.setattr(os, where, full)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, write)
    assert {each.name: each.read_text() for each in tmp_path.iterdir()} == {"x.txt": "old"}


def test_a_new_file_replaces_the_old_one(tmp_path: Path) -> None:
    write_text(tmp_path / "x", "old")
    write_text(tmp_path / "x", "n\u00e9w\n")
    assert (tmp_path / "x").read_text(encoding="utf-8") == "n\u00e9w\n"
