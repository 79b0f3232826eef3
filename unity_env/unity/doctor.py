"""Can this Unity project be built here? What was found, line by line."""

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from unity_env.unity import PROJECT
from unity_env.unity.describe import stale
from unity_env.unity.editor import Editor, installed_editors, version_key
from unity_env.unity.metas import stale_metas
from unity_env.unity.project import ProjectError, editor_version, fixed_timestep, packages

ML_AGENTS = "com.unity.ml-agents"
_CLOCK_TOLERANCE_S = 1e-6  # Unity 6 keeps a count of ticks, rounded down


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    good: bool
    what: str
    found: str

    def __str__(self) -> str:
        return f"{'ok  ' if self.good else 'BAD '} {self.what:<14} {self.found}"


def examine(project: Path, hub: Path) -> tuple[list[Finding], Editor | None]:
    """Look at a project, and for an Editor that opens it.

    Args:
        project: its folder.
        hub: folder of Unity Hub's files.

    Returns:
        What was found, and the Editor to build with; None where there is none.
    """
    findings = [_look(what, look, project) for what, look in _LOOKS.items()]
    try:
        wanted = editor_version(project)
    except ProjectError as error:
        return [*findings, Finding(False, "Editor", str(error))], None
    editors = installed_editors(hub)
    finding, editor = _choose(editors, wanted, hub)
    return [*findings, finding], editor


def _look(what: str, look: Callable[[Path], str], project: Path) -> Finding:
    try:
        return Finding(True, what, look(project))
    except ProjectError as error:
        return Finding(False, what, str(error))


def _packages(project: Path) -> str:
    asked, wanted = packages(project), packages(PROJECT)
    path = project / "Packages" / "manifest.json"
    for name, version in wanted.items():
        if asked.get(name) != version:
            raise ProjectError(f"{path}: {name} is {asked.get(name, 'missing')}, expected {version}")
    return f"{ML_AGENTS} {asked[ML_AGENTS]}, and {len(wanted) - 1} more as expected"


def _clock(project: Path) -> str:
    found, wanted = fixed_timestep(project), fixed_timestep(PROJECT)
    if abs(found - wanted) > _CLOCK_TOLERANCE_S:
        raise ProjectError(f"{project / 'ProjectSettings' / 'TimeManager.asset'}: {found:.4g} s, expected {wanted:g} s")
    return f"physics steps of {found:.4g} s"


def _descriptions(project: Path) -> str:
    old = stale(project)
    if old:
        raise ProjectError(f"{old[0]} is missing or out of date; {_mend(project)}")
    return "up to date"


def _metas(project: Path) -> str:
    wrong = stale_metas(project)
    if wrong:
        raise ProjectError(f"{wrong[0]} is missing, wrong, or without its asset; {_mend(project)}")
    return "complete"


def _mend(project: Path) -> str:
    named = "" if project == PROJECT else f" {shlex.quote(str(project))}"
    return f"run: robotrl unity describe{named}"


_LOOKS = {"packages": _packages, "clock": _clock, "descriptions": _descriptions, "meta files": _metas}


def _choose(editors: list[Editor], wanted: str, hub: Path) -> tuple[Finding, Editor | None]:
    """Take the Editor that the project was made with, or the newest later patch of the same release."""
    release = wanted.rpartition(".")[0]
    fitting = [
        editor
        for editor in editors
        if editor.version.rpartition(".")[0] == release and version_key(editor.version) >= version_key(wanted)
    ]
    exact = [editor for editor in fitting if editor.version == wanted]
    if not editors:
        return Finding(
            False, "Editor", f"none found in {hub} or the Hub's usual folder; install {wanted} with Unity Hub"
        ), None
    if not fitting:
        others = ", ".join(editor.version for editor in editors)
        return Finding(
            False, "Editor", f"found {others}; expected {wanted}, or a later {release}: install it with Unity Hub"
        ), None
    editor = (exact or fitting)[-1]
    note = "" if exact else f", the project was made with {wanted}"
    return Finding(True, "Editor", f"{editor.version}{note}  {editor.executable}"), editor
