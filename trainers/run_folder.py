"""Where a run keeps its files: ML-Agents' layout, and a few of ours."""

import fcntl
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from trainers.checkpoint import save_checkpoint
from trainers.errors import RunError, UserError
from trainers.files import write_text


class RunFolder:
    """results/<run_id>/: configuration.yaml, <Behavior>.onnx, run_logs/ and a folder per behavior.

    A behavior's folder holds checkpoint.pt (the newest), best.pt (the best by evaluation),
    <Behavior>-<step>.pt (the last few), actor/ (the export), metrics.jsonl and TensorBoard's events.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def configuration(self) -> Path:
        """The resolved settings."""
        return self.root / "configuration.yaml"

    def behavior(self, name: str) -> Path:
        """The behavior's folder."""
        return self.root / name

    def checkpoint(self, behavior: str) -> Path:
        """The newest checkpoint."""
        return self.behavior(behavior) / "checkpoint.pt"

    def best(self, behavior: str) -> Path:
        """The best checkpoint by evaluation."""
        return self.behavior(behavior) / "best.pt"

    def check(self, behaviors: Iterable[str], *, resume: bool, force: bool) -> None:
        """Refuse what would fail or overwrite, before anything is started or changed.

        Raises:
            UserError: the run exists and neither resume nor force is set, resume without a run, or the
                folder cannot be written.
        """
        checkpoints = [self.checkpoint(name) for name in behaviors]
        if resume and checkpoints and not any(checkpoint.is_file() for checkpoint in checkpoints):
            raise UserError(f"--resume: no {checkpoints[0]}; check --run-id and --results-dir")
        if not resume and self._has_results():
            if not force:
                raise UserError(
                    f"{self.root}: this run exists; take another --run-id, continue it with --resume, "
                    f"or overwrite it with --force"
                )
            if not self.configuration.is_file():
                raise UserError(
                    f"--force: {self.root} is not the folder of a run (no configuration.yaml); nothing was changed"
                )
        existing = next(folder for folder in (self.root, *self.root.absolute().parents) if folder.exists())
        if not existing.is_dir():
            raise UserError(f"{self.root}: cannot be written: {existing} is a file")
        if not os.access(existing, os.W_OK):
            raise UserError(f"{self.root}: cannot be written: no permission for {existing}")

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Keep other runs out of the folder.

        Raises:
            UserError: one is at work there, or the folder cannot be made.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"{self.root}: cannot be written: {_why(error)}") from None
        folder = os.open(self.root, os.O_RDONLY)
        try:
            if not _locked(folder):
                raise UserError(f"{self.root}: another run of this id is at work there; take another --run-id")
            yield
        finally:
            os.close(folder)

    def prepare(self, behaviors: Iterable[str], *, keep: bool) -> None:
        """Make the folders; unless `keep`, clear what an earlier run left there, but for the players' new logs.

        Raises:
            UserError: the folder cannot be written.
        """
        logs = self.root / "run_logs"
        try:
            if not keep and self.root.is_dir():
                for old in (*self.root.iterdir(), *logs.glob("*.json")):
                    if old.is_file():
                        old.unlink()
                    elif old != logs:
                        shutil.rmtree(old)
            for behavior in behaviors:
                self.behavior(behavior).mkdir(parents=True, exist_ok=True)
            logs.mkdir(exist_ok=True)
        except OSError as error:
            raise UserError(f"{self.root}: cannot be written: {_why(error)}") from None

    def _has_results(self) -> bool:
        return self.root.is_dir() and any(child.name not in ("run_logs", "inference") for child in self.root.iterdir())

    def save(self, behavior: str, state: dict[str, Any], replay: dict[str, Any] | None, step: int, keep: int) -> Path:
        """Write a numbered checkpoint, make it the newest, and drop all but the last `keep`.

        The newest one holds the replay buffer, too, in the same file: whatever a crash leaves, it fits the networks.

        Raises:
            RunError: the disk refuses; the older checkpoints are untouched.
        """
        folder = self.behavior(behavior)
        numbered = folder / f"{behavior}-{step}.pt"
        try:
            save_checkpoint(numbered, state)
            save_checkpoint(self.checkpoint(behavior), state if replay is None else {**state, "replay": replay})
        except OSError as error:
            raise RunError(f"checkpoint of step {step}: {_why(error)}; those written before are kept") from None
        for old in _numbers(folder, behavior)[:-keep]:
            (folder / f"{behavior}-{old}.pt").unlink()
            (folder / f"{behavior}-{old}.onnx").unlink(missing_ok=True)
        return numbered

    def save_best(self, behavior: str, state: dict[str, Any]) -> None:
        """Write best.pt.

        Raises:
            RunError: the disk refuses; the older one is untouched.
        """
        try:
            save_checkpoint(self.best(behavior), state)
        except OSError as error:
            raise RunError(f"best checkpoint: {_why(error)}; one written before is kept") from None

    def write_timers(self, seconds: dict[str, float]) -> None:
        """Write run_logs/timers.json: where the time went, seconds."""
        write_text(self.root / "run_logs" / "timers.json", json.dumps(seconds, indent=2) + "\n")

    def write_status(self, status: dict[str, Any]) -> None:
        """Write run_logs/training_status.json."""
        write_text(self.root / "run_logs" / "training_status.json", json.dumps(status, indent=2) + "\n")


def find_run(run: Path, results_dir: Path | None) -> Path | None:
    """Return the folder of a run, given by its path or its id below `results_dir`; None where there is none."""
    for folder in (run, (results_dir or Path("results")) / run):
        if RunFolder(folder).configuration.is_file():
            return folder
    return None


def _numbers(folder: Path, behavior: str) -> list[int]:
    """Return the steps of the numbered checkpoints, ascending."""
    numbers = (path.stem.removeprefix(f"{behavior}-") for path in folder.glob(f"{behavior}-*.pt"))
    return sorted(int(number) for number in numbers if number.isdecimal())


def _locked(folder: int) -> bool:
    """Lock an open folder until it is closed; a file system that knows no locks keeps nobody out."""
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


def _why(error: OSError) -> str:
    return error.strerror or str(error)
