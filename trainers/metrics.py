"""What is logged: means between two summaries, to TensorBoard and to metrics.jsonl."""

import json
import math
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch.utils.tensorboard import SummaryWriter

from trainers.files import write_text

Mirror = Callable[[int, Mapping[str, float]], None]


@dataclass(frozen=True)
class Ended:
    """Episodes that ended in one step.

    Attributes:
        rows: (K,), which.
        returns: (K,).
        successes: (K,), 1 where the task was solved; None where the environment signals no `success`.
    """

    rows: np.ndarray
    returns: np.ndarray
    successes: np.ndarray | None


class EpisodeLog:
    """Returns and lengths of the training episodes that ended since the last summary, and their success."""

    def __init__(self, rows: int) -> None:
        self._return = np.zeros(rows)
        self._length = np.zeros(rows, dtype=np.int64)
        self._ended: dict[str, list[float]] = defaultdict(list)

    def add(
        self, rew: np.ndarray, terminated: np.ndarray, truncated: np.ndarray, infos: Mapping[str, Any]
    ) -> Ended | None:
        """Add one step of all rows; returns the episodes that ended in it."""
        self._return += rew
        self._length += infos["valid"]
        rows = np.flatnonzero(terminated | truncated)
        if len(rows) == 0:
            return None
        signals = infos.get("final_info", {}).get("signals", {})
        successes = np.array(signals["success"][rows, 0], dtype=np.float64) if "success" in signals else None
        ended = Ended(rows, self._return[rows], successes)
        self._ended["environment/episode_return"] += ended.returns.tolist()
        self._ended["environment/episode_length"] += self._length[rows].tolist()
        if ended.successes is not None:
            self._ended["environment/success"] += ended.successes.tolist()
        self._return[rows] = 0.0
        self._length[rows] = 0
        return ended

    def take(self) -> dict[str, list[float]]:
        """Return the values of the episodes that ended since the last summary, by name, and start anew."""
        ended, self._ended = dict(self._ended), defaultdict(list)
        return ended

    def extend(self, ended: Mapping[str, list[float]]) -> None:
        """Add values that another log's `take` has returned."""
        for name, values in ended.items():
            self._ended[name] += values

    def restart(self) -> None:
        """Forget the episodes under way: all rows were reset."""
        self._return[:] = 0.0
        self._length[:] = 0

    def summary(self) -> dict[str, float]:
        """Return the means and start anew."""
        return {name: float(np.mean(values)) for name, values in self.take().items()}

    def state_dict(self) -> dict[str, Any]:
        """Episodes under way, and those of the summary to come."""
        ended = {name: list(values) for name, values in self._ended.items()}
        return {"return": self._return.copy(), "length": self._length.copy(), "ended": ended}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where `state_dict` was taken."""
        self._return[:] = state["return"]
        self._length[:] = state["length"]
        self._ended.update({name: list(values) for name, values in state["ended"].items()})


class MetricsLog:
    """Collects values and writes their means.

    Args:
        folder: where TensorBoard's events and metrics.jsonl go.
        first_step: entries of an earlier run after this step are dropped: they will be made again.
        labels: what every line says of the run, the content hash of its reward for example.
        mirror: gets everything that is written, too: (step, values).
    """

    def __init__(
        self,
        folder: Path,
        first_step: int,
        labels: Mapping[str, str] | None = None,
        mirror: Mirror | None = None,
    ) -> None:
        self._mirror = mirror
        self._values: dict[str, list[float]] = defaultdict(list)
        self._path = folder / "metrics.jsonl"
        self._drop_after(first_step)
        self._file = self._path.open("a", encoding="utf-8")
        self._board = SummaryWriter(str(folder), purge_step=first_step + 1)
        self._labels = dict(labels or {})
        for name, text in self._labels.items():
            self._board.add_text(name, text, first_step)
        self._started = time.perf_counter()
        self._first_step = first_step

    def add(self, values: Mapping[str, float]) -> None:
        """Collect one value for each name."""
        for name, value in values.items():
            self._values[name].append(value)

    def summarize(self, step: int, extra: Mapping[str, float]) -> dict[str, float]:
        """Write the means since the last summary, and `extra` as it is; returns what was written."""
        means = {name: float(np.mean(values)) for name, values in self._values.items()} | dict(extra)
        self._values.clear()
        means["time/steps_per_second"] = (step - self._first_step) / (time.perf_counter() - self._started)
        self.write(step, means)
        return means

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Write values as they are, at once."""
        for name, value in values.items():
            self._board.add_scalar(name, value, step)
        self._board.flush()
        numbers = {name: value if math.isfinite(value) else None for name, value in values.items()}
        seconds = round(time.perf_counter() - self._started, 3)
        self._file.write(json.dumps({"step": step, "seconds": seconds, **self._labels, **numbers}) + "\n")
        self._file.flush()
        if self._mirror is not None:
            self._mirror(step, values)

    def state_dict(self) -> dict[str, Any]:
        """Values collected since the last summary."""
        return {name: list(values) for name, values in self._values.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where `state_dict` was taken."""
        self._values.update({name: list(values) for name, values in state.items()})

    def close(self) -> None:
        """Close both files."""
        self._board.close()
        self._file.close()

    def _drop_after(self, step: int) -> None:
        if self._path.exists():
            lines = self._path.read_text(encoding="utf-8").splitlines(keepends=True)
            write_text(self._path, "".join(line for line in lines if _step_of(line) <= step))


def _step_of(line: str) -> float:
    """Return a line's step; a line that a crash cut short belongs to no step."""
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError):
        return float("inf")
