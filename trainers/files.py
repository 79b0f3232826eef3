"""Writing files so that a crash or a full disk never costs what was there before."""

import os
from collections.abc import Callable
from pathlib import Path

from trainers.errors import UserError


def check_place(path: Path, option: str = "") -> None:
    """Look whether a file can be written at `path`, before the work that fills it.

    Args:
        path: of the file.
        option: of the command line that named it, for messages.

    Raises:
        UserError: its folder is not there, or it is a folder itself.
    """
    named = f"{option} {path}".strip()
    if not path.absolute().parent.is_dir():
        raise UserError(f"{named}: no folder {path.parent}")
    if path.is_dir():
        raise UserError(f"{named}: is a folder; expected the name of a file")


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path`, flush it to disk, rename it to `path`.

    Raises:
        OSError: the file could not be written; what was at `path` is untouched.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        write(temporary)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically."""

    def write(temporary: Path) -> None:
        temporary.write_text(text, encoding="utf-8")

    write_atomically(path, write)
