"""Who holds a port."""

import re
from pathlib import Path

_LISTEN = "0A"  # TCP state in /proc/net/tcp


def port_holder(port: int) -> str | None:
    """Return "name (process 123)" of the process that listens on a TCP port.

    None where the machine does not tell: other systems than Linux, other users' processes.
    """
    sockets = {f"socket:[{inode}]" for table in ("tcp", "tcp6") for inode in _listening_inodes(table, port)}
    if not sockets:
        return None
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if any(str(entry.readlink()) in sockets for entry in (process / "fd").iterdir()):
                name = (process / "comm").read_text(encoding="utf-8").strip()
                return f"{name} (process {process.name})"
        except OSError:  # gone in the meantime, or somebody else's
            continue
    return None


def _listening_inodes(table: str, port: int) -> list[str]:
    try:
        lines = Path("/proc/net", table).read_text(encoding="utf-8").splitlines()[1:]
    except OSError:
        return []
    rows = [re.split(r"\s+", line.strip()) for line in lines]
    return [row[9] for row in rows if row[3] == _LISTEN and int(row[1].rpartition(":")[2], 16) == port]
