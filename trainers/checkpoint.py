"""Checkpoints: everything a run needs to go on, in a file that holds no code."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import torch

from trainers.errors import UserError
from trainers.files import write_atomically

FORMAT = 5
REQUIRED = (
    "step",
    "best",
    "settings",
    "obs_size",
    "actions",
    "algorithm",
    "env",
    "reward",
    "episodes",
    "solved",
    "metrics",
    "moment",
    "curricula",
)


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write `state` (nested dicts and lists of arrays, tensors and plain values) atomically.

    Raises:
        OSError: the file could not be written; an older one at `path` is untouched.
    """
    content = io.BytesIO()  # torch's own file writer would hide the system's error, a full disk for example
    torch.save(_to_tensors({"format": FORMAT, **state}), content)
    write_atomically(path, lambda temporary: temporary.write_bytes(content.getbuffer()))


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint; arrays come back as tensors on the CPU.

    Raises:
        UserError: missing, damaged, or of another format.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such checkpoint")
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a damaged file
        raise UserError(f"{path}: not a readable checkpoint ({type(error).__name__}); is the file complete?") from None
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise UserError(f"{path}: not a checkpoint of this program's format {FORMAT}")
    missing = [key for key in REQUIRED if key not in state]
    if missing:
        raise UserError(f"{path}: an incomplete checkpoint, without {', '.join(missing)}")
    return state


def as_arrays(value: Any) -> Any:
    """Return a part of a checkpoint with numpy arrays in the place of its tensors."""
    if isinstance(value, dict):
        return {key: as_arrays(part) for key, part in value.items()}
    if isinstance(value, list):
        return [as_arrays(part) for part in value]
    return value.numpy().copy() if isinstance(value, torch.Tensor) else value


def _to_tensors(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _to_tensors(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_to_tensors(part) for part in value]
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value.copy())
    if isinstance(value, np.generic):
        return value.item()
    return value
