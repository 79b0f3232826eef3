"""Finds the Unity Editors that Unity Hub has installed, and builds players with one."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TARGETS = {
    "Linux": Path("Builds/Linux/robotrl.x86_64"),
    "LinuxServer": Path("Builds/LinuxServer/robotrl.x86_64"),
    "Windows": Path("Builds/Windows/robotrl.exe"),
    "MacOS": Path("Builds/macOS/robotrl.app"),
}
"""Method of PlayerBuild.cs -> the player it builds, below the project."""
_PLATFORMS = {"Linux": "linux", "LinuxServer": "linux", "Windows": "win32", "MacOS": "darwin"}


@dataclass(frozen=True)
class Editor:
    """An installed Editor: its version, for example 6000.0.30f1, and its executable."""

    version: str
    executable: Path


def hub_folder(platform: str = sys.platform, environ: Mapping[str, str] = os.environ) -> Path:
    """Return where Unity Hub keeps its files."""
    home = Path(environ.get("HOME") or environ.get("USERPROFILE") or "~").expanduser()
    if platform == "win32":
        return Path(environ.get("APPDATA") or home / "AppData" / "Roaming") / "UnityHub"
    if platform == "darwin":
        return home / "Library" / "Application Support" / "UnityHub"
    return Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "UnityHub"


def installed_editors(hub: Path, platform: str = sys.platform) -> list[Editor]:
    """Return the Editors that the Hub knows of, the newest version last.

    The Hub lists Editors in editors-v2.json (located by hand) and keeps those that it has installed below the
    folder that secondaryInstallPath.json names, or below its usual one.
    """
    folders = [_usual_folder(platform)]
    chosen = _read(hub / "secondaryInstallPath.json")
    if isinstance(chosen, str) and chosen:
        folders.append(Path(chosen))
    known = [Editor(path.name, _executable(path, platform)) for folder in folders for path in folder.glob("*")]
    for entry in _located(_read(hub / "editors-v2.json") or _read(hub / "editors.json")):
        version, locations = entry.get("version"), entry.get("location")
        paths = locations if isinstance(locations, list) else [locations]
        texts = [path for path in paths if isinstance(path, str) and isinstance(version, str)]
        known += [Editor(str(version), _inside(Path(path))) for path in texts]
    there = {editor.version: editor for editor in known if editor.executable.is_file()}
    return sorted(there.values(), key=lambda editor: version_key(editor.version))


def version_key(version: str) -> list[int]:
    """Return the numbers of a version, to sort by: 6000.0.9f1 comes before 6000.0.30f1."""
    return [int(number) for number in re.findall(r"\d+", version)]


def runs_here(target: str, platform: str = sys.platform) -> bool:
    """Tell whether a target's player runs on this system."""
    return _PLATFORMS[target] == platform


def build_command(editor: Editor, project: Path, target: str) -> list[str]:
    """Return the command line that builds a player."""
    return [
        str(editor.executable), "-batchmode", "-quit", "-projectPath", str(project.resolve()),
        "-executeMethod", f"PlayerBuild.{target}", "-logFile", "-",
    ]  # fmt: skip


def build(command: list[str], player: Path, log: Path) -> str | None:
    """Run a build; return why there is no player, None where there is one.

    Args:
        command: by `build_command`.
        player: what it makes.
        log: where the Editor's output goes.
    """
    try:
        with log.open("wb") as output:
            code = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, check=False).returncode
    except OSError as error:
        return f"{command[0]}: {error.strerror}"
    if code:
        return f"the Editor exited with code {code}: {_error_in(log.read_text('utf-8', 'replace'))} (log: {log})"
    return None if player.exists() else f"the Editor made no {player} (log: {log})"


def _error_in(log: str) -> str:
    """Return the first line with a compiler's error, or the last one with any: the Editor is full of harmless ones."""
    errors = [line.strip() for line in log.splitlines() if "error" in line.lower()]
    of_compiler = [line for line in errors if "error CS" in line]
    return of_compiler[0] if of_compiler else errors[-1] if errors else "no error in its log"


def _located(data: Any) -> list[dict[str, Any]]:
    """Return the Hub's entries, of a list under `data` or of an object by version."""
    entries = data.get("data", list(data.values())) if isinstance(data, dict) else data
    return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _usual_folder(platform: str) -> Path:
    if platform == "win32":
        return Path(os.environ.get("PROGRAMFILES", "C:/Program Files")) / "Unity" / "Hub" / "Editor"
    if platform == "darwin":
        return Path("/Applications/Unity/Hub/Editor")
    return Path.home() / "Unity" / "Hub" / "Editor"


def _executable(folder: Path, platform: str) -> Path:
    if platform == "win32":
        return folder / "Editor" / "Unity.exe"
    if platform == "darwin":
        return _inside(folder / "Unity.app")
    return folder / "Editor" / "Unity"


def _inside(located: Path) -> Path:
    """Return the executable of what the Hub calls an Editor's location, on macOS a bundle."""
    return located / "Contents" / "MacOS" / "Unity" if located.suffix == ".app" else located
