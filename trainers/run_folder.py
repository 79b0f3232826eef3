"""Where a run keeps its files: ML-Agents' layout, and a few of ours."""

import json
import shutil
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

    def prepare(self, behavior: str, *, resume: bool, force: bool) -> None:
        """Make the folders; decide about what an earlier run left there.

        Raises:
            UserError: the run exists and neither resume nor force is set, resume without a run, or the
                folder cannot be written.
        """
        exists = self.root.is_dir() and any(self.root.iterdir())
        if resume and not self.checkpoint(behavior).is_file():
            raise UserError(
                f"--resume: {self.root} holds no checkpoint of {behavior}; check --run-id and --results-dir"
            )
        if exists and not (resume or force):
            raise UserError(
                f"{self.root}: this run exists; take another --run-id, continue it with --resume, "
                f"or overwrite it with --force"
            )
        if exists and force and not resume and not self.configuration.is_file():
            raise UserError(
                f"--force: {self.root} is not the folder of a run (no configuration.yaml); nothing was changed"
            )
        try:
            if exists and force and not resume:
                shutil.rmtree(self.root)
            self.behavior(behavior).mkdir(parents=True, exist_ok=True)
            (self.root / "run_logs").mkdir(exist_ok=True)
            write_text(self.root / "run_logs" / ".writable", "")
            (self.root / "run_logs" / ".writable").unlink()
        except OSError as error:
            raise UserError(f"{self.root}: cannot be written: {error.strerror}") from None

    def save(self, behavior: str, state: dict[str, Any], step: int, keep: int) -> Path:
        """Write a numbered checkpoint, make it the newest, and drop all but the last `keep`.

        Raises:
            RunError: the disk refuses; the older checkpoints are untouched.
        """
        folder = self.behavior(behavior)
        numbered = folder / f"{behavior}-{step}.pt"
        try:
            save_checkpoint(numbered, state)
            save_checkpoint(self.checkpoint(behavior), state)
        except OSError as error:
            raise RunError(f"checkpoint of step {step}: {error}; the last good one is kept") from None
        for old in sorted(folder.glob(f"{behavior}-*.pt"), key=_step_of)[:-keep]:
            old.unlink()
        return numbered

    def save_best(self, behavior: str, state: dict[str, Any]) -> None:
        """Write best.pt.

        Raises:
            RunError: the disk refuses; the older one is untouched.
        """
        try:
            save_checkpoint(self.best(behavior), state)
        except OSError as error:
            raise RunError(f"best checkpoint: {error}; the last good one is kept") from None

    def write_status(self, status: dict[str, Any]) -> None:
        """Write run_logs/training_status.json."""
        write_text(self.root / "run_logs" / "training_status.json", json.dumps(status, indent=2) + "\n")


def _step_of(path: Path) -> int:
    return int(path.stem.rsplit("-", 1)[1])
