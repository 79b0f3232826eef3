"""What a Unity project says of itself: Editor version, packages, physics clock."""

import json
import re
from pathlib import Path

# As Unity 6 writes it, once the project was open: a count of ticks, and their rate in Hz as a fraction.
_TICKS = r"^  Fixed Timestep:\s+m_Count: (\d+)\s+m_Rate:\s+m_Denominator: (\d+)\s+m_Numerator: ([1-9]\d*)$"


class ProjectError(ValueError):
    """A Unity project that is none, or lacks what this project needs: file, what, what would be right."""


def editor_version(project: Path) -> str:
    """Return the Editor's version that a project was made with, for example 6000.0.30f1.

    Raises:
        ProjectError: it does not say.
    """
    return _found(
        project / "ProjectSettings" / "ProjectVersion.txt", r"^m_EditorVersion: (\d+\.\d+\.\S+)$", "m_EditorVersion"
    )


def fixed_timestep(project: Path) -> float:
    """Return the length of one physics step, s.

    Raises:
        ProjectError: it does not say.
    """
    path = project / "ProjectSettings" / "TimeManager.asset"
    ticks = re.search(_TICKS, _text(path), re.MULTILINE)
    if ticks is None:
        return float(_found(path, r"^  Fixed Timestep: (\d+(?:\.\d+)?)$", "Fixed Timestep"))
    count, denominator, numerator = (int(number) for number in ticks.groups())
    return count * denominator / numerator


def packages(project: Path) -> dict[str, str]:
    """Return package name -> version, as the project's manifest asks for.

    Raises:
        ProjectError: there is no readable manifest.
    """
    path = project / "Packages" / "manifest.json"
    text = _text(path)
    try:
        return {str(name): str(version) for name, version in json.loads(text)["dependencies"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ProjectError(f"{path}: no list of dependencies in it ({error})") from None


def _found(path: Path, pattern: str, what: str) -> str:
    match = re.search(pattern, _text(path), re.MULTILINE)
    if match is None:
        raise ProjectError(f"{path}: no {what} in it")
    return match[1]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise ProjectError(f"{path}: {error.strerror}; is this the folder of a Unity project?") from None
