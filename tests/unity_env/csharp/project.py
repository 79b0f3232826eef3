"""The Unity project's scripts against the real assemblies: python -m tests.unity_env.csharp.project FOLDER.

Compiles into FOLDER what Unity would compile: RobotRL.Logic, RobotRL.Runtime, RobotRL.Editor, each with the
references of its assembly definition. UnityEditor is UnityEditorStub.cs. Needs ROSLYN_DIR and UNITY_MANAGED.
"""

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.unity_env.csharp.dotnet import compile_csharp, start_runtime
from unity_env.unity import PROJECT

HERE = Path(__file__).parent
SCRIPTS = PROJECT / "Assets" / "RobotRL"
OBSOLETE = ("CS0612", "CS0618", "CS0672")
ML_AGENTS = ("Unity.ML-Agents", "Unity.InferenceEngine")


def unity_base() -> list[Path]:
    """Return Unity's base library: .NET 8's would accept what Unity lacks."""
    managed = Path(os.environ["UNITY_MANAGED"])
    return [managed / f"{name}.dll" for name in ("mscorlib", "netstandard", "System", "System.Core")]


def unity_engine() -> list[Path]:
    """Return the assemblies of the engine and of ML-Agents."""
    managed = Path(os.environ["UNITY_MANAGED"])
    return [*sorted(managed.glob("UnityEngine*.dll")), *(managed / f"{name}.dll" for name in ML_AGENTS)]


def compile_project(folder: Path, sources: Mapping[str, Path] | None = None, editor: bool = True) -> None:
    """Compile the scripts into `folder`.

    Args:
        folder: for the assemblies.
        sources: assembly definition's folder name -> scripts; the project's own where left out.
        editor: also the Editor scripts.

    Raises:
        ValueError: the compiler's errors, and obsolete APIs.
    """
    roslyn = Path(os.environ["ROSLYN_DIR"])
    scripts = {name: SCRIPTS / name for name in ("Logic", "Runtime", "Editor")} | dict(sources or {})
    logic, runtime, stub = (folder / f"{name}.dll" for name in ("RobotRL.Logic", "RobotRL.Runtime", "UnityEditor"))

    def compiled(output: Path, source: Path, references: list[Path]) -> None:
        compile_csharp(roslyn, output, sorted(source.rglob("*.cs")), references, forbidden=OBSOLETE)

    compiled(logic, scripts["Logic"], unity_base())
    engine = [*unity_base(), *unity_engine(), logic]
    compiled(runtime, scripts["Runtime"], engine)
    if editor:
        compile_csharp(roslyn, stub, [HERE / "UnityEditorStub.cs"], engine)
        compiled(folder / "RobotRL.Editor.dll", scripts["Editor"], [*engine, runtime, stub])


def copied_sources(folder: Path) -> dict[str, Path]:
    """Copy the scripts, so that a test can change them: assembly definition's folder name -> copy."""
    for name in ("Logic", "Runtime", "Editor"):
        shutil.copytree(SCRIPTS / name, folder / name)
    return {name: folder / name for name in ("Logic", "Runtime", "Editor")}


if __name__ == "__main__":
    start_runtime()
    compile_project(Path(sys.argv[1]))
