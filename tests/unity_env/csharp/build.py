"""A build of the Unity project that runs without Unity: a script that ML-Agents clients start like a player."""

import subprocess
import sys
from pathlib import Path

from tests.unity_env.csharp.session import environment

_EDITOR = "tests.unity_env.csharp.editor"


def write_build(folder: Path) -> Path:
    """Compile the project and the stand-ins into `folder`; return the script that plays it."""
    command = [sys.executable, "-m", _EDITOR, "build-project", str(folder)]
    built = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=240, check=False)
    assert built.returncode == 0, built.stderr
    exports = "\n".join(f"export {name}='{value}'" for name, value in environment().items() if name in _KEPT)
    script = folder / "robotrl.x86_64"
    play = f'cd "{folder}"\nexec "{sys.executable}" -m {_EDITOR} player "{folder}" "$@"\n'
    script.write_text(f"#!/bin/sh\n{exports}\n{play}", encoding="utf-8")
    script.chmod(0o755)
    return script


def play_alone(folder: Path, task: str, frames: int, *keys: int) -> dict[str, list[str]]:
    """Play a compiled project without a trainer; return what it tells: word -> words after it.

    Args:
        folder: of `write_build`.
        task: whose scene.
        frames: physics steps.
        keys: of the keyboard, pressed all the time, by Unity's numbers.
    """
    arguments = ["--task", task, "--frames", str(frames), "--keys", ",".join(map(str, keys))]
    command = [sys.executable, "-m", _EDITOR, "alone", str(folder), *arguments]
    played = subprocess.run(
        command, cwd=folder, env=environment(), capture_output=True, text=True, timeout=240, check=False
    )
    assert played.returncode == 0, played.stdout + played.stderr
    lines = [line.split() for line in played.stdout.splitlines() if line.strip()]
    return {line[0]: line[1:] for line in lines}


_KEPT = ("UNITY_MANAGED", "ROSLYN_DIR", "PYTHONPATH", "DOTNET_ROOT")
