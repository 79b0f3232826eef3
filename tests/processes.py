"""Processes that a test started, or that were started for it: whether they run, and what they were called with."""

import time
from collections.abc import Callable
from pathlib import Path


def is_running(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits for its parent does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def processes_with(text: object) -> list[int]:
    """Return the running processes whose command line contains a text, as the path of a test's own folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(text) in command and is_running(int(entry.name)):
            found.append(int(entry.name))
    return sorted(found)


def wait_until(holds: Callable[[], object], timeout_s: float = 10.0) -> bool:
    """Wait until a condition holds; returns whether it came to that."""
    deadline = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
