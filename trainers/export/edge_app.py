"""robotrl-edge.pyz: the robot's runtime in one file, for any Python from 3.8 on that has numpy."""

import zipfile
from pathlib import Path

import trainers.edge

NAME = "robotrl-edge.pyz"
PACKAGE = "robotrl_edge"
MAIN = f"""\
import sys

if sys.version_info < (3, 8):
    sys.exit("error: robotrl-edge needs Python 3.8 or newer, this is " + sys.version.split()[0])
try:
    import numpy
except ImportError:
    sys.exit("error: robotrl-edge needs numpy: apt install python3-numpy, or pip install numpy")
from {PACKAGE}.cli import entry

entry()
"""
EPOCH = (1980, 1, 1, 0, 0, 0)  # the same runtime is the same file


def write_edge_app(path: Path) -> None:
    """Pack `trainers.edge` as the package `robotrl_edge`; the file can be run, and imported from sys.path."""
    sources = {f"{PACKAGE}/{source.name}": source.read_text(encoding="utf-8") for source in _sources()}
    with path.open("wb") as file:
        file.write(b"#!/usr/bin/env python3\n")
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, text in {"__main__.py": MAIN, **sources}.items():
                entry = zipfile.ZipInfo(name, EPOCH)
                entry.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(entry, text)
    path.chmod(0o755)


def _sources() -> list[Path]:
    return sorted(path for folder in trainers.edge.__path__ for path in Path(folder).glob("*.py"))
