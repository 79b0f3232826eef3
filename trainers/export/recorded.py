"""What policies have seen in their environment, kept for the parity of exports."""

from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from trainers.export.parity import SAMPLES
from trainers.files import write_atomically
from trainers.policy import Policy

Array = np.ndarray
NAME = "observations.npz"


class Recorder:
    """A policy that keeps the last 1,000 observations it has acted on.

    Args:
        policy: what acts.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._batches: deque[Array] = deque()
        self._kept = 0

    def __call__(self, obs: Array, infos: Mapping[str, Any]) -> Any:
        """Act."""
        self._batches.append(obs.copy())
        self._kept += len(obs)
        while self._kept - len(self._batches[0]) >= SAMPLES:
            self._kept -= len(self._batches.popleft())
        return self._policy(obs, infos)

    @property
    def seen(self) -> Array | None:
        """The rows, (S, D + G + M); None where it has not acted."""
        return np.concatenate(self._batches)[-SAMPLES:] if self._batches else None


def save_recorded(folder: Path, seen: Array) -> None:
    """Write observations.npz into a behavior's folder."""

    def write(path: Path) -> None:
        with path.open("wb") as file:  # numpy would add .npz to a name that does not end so
            np.savez_compressed(file, seen=seen.astype(np.float32))

    write_atomically(folder / NAME, write)


def load_recorded(folder: Path) -> Array | None:
    """Read what `save_recorded` wrote; None where it is not there or is damaged: another recording is soon made."""
    try:
        with np.load(folder / NAME, allow_pickle=False) as archive:
            seen: Array = archive["seen"]
    except (OSError, ValueError, KeyError, BadZipFile):
        return None
    return seen
