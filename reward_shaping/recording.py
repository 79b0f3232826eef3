"""Recorded transitions: what an environment signalled while policies acted, to be scored again by any reward."""

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from reward_shaping.term import FROM_TRANSITION, Array, Transition

SIGNALS, NEXT_SIGNALS = "signals.", "next_signals."


class RecordingError(ValueError):
    """A file that is no recording."""


@dataclass(frozen=True)
class Recording:
    """M transitions of whole episodes, one episode after the other.

    A file is a numpy archive (.npz, no pickles) of the arrays `signals.<name>` and `next_signals.<name>` (M, k),
    `action` and `previous_action` (M, A), `terminated` and `truncated` (M,) bool, `env_reward` (M,),
    `episode` (M,) int, and `about`, a text of JSON. `next_signals` are those of the true last state where an
    episode ends, so that a reward scores the whole file in one call: `reward(recording.transition)`.

    Attributes:
        transition: the M transitions.
        episode: (M,), which episode each belongs to, from 0 without a gap.
        about: where it comes from: task or environment, behavior, policy, seed, period_s.
    """

    transition: Transition
    episode: Array
    about: Mapping[str, Any]

    def __len__(self) -> int:
        return len(self.episode)

    @property
    def episodes(self) -> int:
        """How many episodes."""
        return int(self.episode[-1]) + 1

    @property
    def solved(self) -> Array | None:
        """Where the task was solved, (M,) bool; None where no `success` is signalled."""
        success = self.transition.next_signals.get("success")
        return None if success is None else success[:, 0] > 0

    def save(self, path: Path) -> None:
        """Write the file."""
        part = self.transition
        arrays: dict[str, Array] = {SIGNALS + name: value for name, value in part.signals.items()}
        arrays |= {NEXT_SIGNALS + name: value for name, value in part.next_signals.items()}
        arrays |= {field: getattr(part, field) for field in FROM_TRANSITION}
        with path.open("wb") as file:
            np.savez_compressed(
                file, allow_pickle=False, episode=self.episode, about=np.array(json.dumps(dict(self.about))), **arrays
            )

    @classmethod
    def load(cls, path: Path) -> "Recording":
        """Read a file.

        Raises:
            OSError: it cannot be read.
            RecordingError: it is no recording.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = dict(file)
            about = json.loads(str(arrays["about"]))
            _check(arrays)
            return cls(_transition(arrays), arrays["episode"], about)
        except (KeyError, ValueError, TypeError, EOFError, zipfile.BadZipFile) as error:
            raise RecordingError(f"{path}: not a recording: {error}") from None


def _check(arrays: Mapping[str, Array]) -> None:
    """Refuse arrays that are not those of a recording.

    Raises:
        KeyError: one is missing.
        ValueError: one has another shape or type than the class says.
    """
    rows = len(arrays["episode"]) if arrays["episode"].ndim else 0
    if rows == 0:
        raise ValueError("it holds no transition")
    names = {name for prefix in (SIGNALS, NEXT_SIGNALS) for name in arrays if name.startswith(prefix)}
    twins = {prefix + name.partition(".")[2] for prefix in (SIGNALS, NEXT_SIGNALS) for name in names}
    for name in sorted(twins | {"episode", *FROM_TRANSITION}):
        value, flag = arrays[name], name in ("terminated", "truncated")
        columns = 2 if "." in name or "action" in name else 1
        if value.ndim != columns or len(value) != rows:
            raise ValueError(f"{name} has shape {value.shape}; expected ({rows},{' k' if columns == 2 else ''})")
        if value.dtype.kind not in ("b" if flag else "fiub"):
            raise ValueError(f"{name} is {value.dtype}; expected {'bool' if flag else 'numbers'}")


def _transition(arrays: Mapping[str, Array]) -> Transition:
    def named(prefix: str) -> dict[str, Array]:
        return {key.removeprefix(prefix): value for key, value in arrays.items() if key.startswith(prefix)}

    fields = {field: arrays[field] for field in FROM_TRANSITION}
    return Transition(signals=named(SIGNALS), next_signals=named(NEXT_SIGNALS), **fields)
