"""The Unity project's scripts against the real assemblies, as Unity would compile them.

Each assembly definition has its own references; UnityEditor is UnityEditorStub.cs. Needs ROSLYN_DIR and UNITY_MANAGED.
"""

import os
from pathlib import Path

from tests.unity_env.csharp.dotnet import compile_csharp
from unity_env.unity import PROJECT

SCRIPTS = PROJECT / "Assets" / "RobotRL"
OBSOLETE = ("CS0612", "CS0618", "CS0672")
_HERE = Path(__file__).parent
_ML_AGENTS = ("Unity.ML-Agents", "Unity.InferenceEngine")


def unity_base() -> list[Path]:
    """Return Unity's base library: .NET 8's would accept what Unity lacks."""
    managed = Path(os.environ["UNITY_MANAGED"])
    return [managed / f"{name}.dll" for name in ("mscorlib", "netstandard", "System", "System.Core")]


def unity_engine() -> list[Path]:
    """Return the assemblies of the engine and of ML-Agents."""
    managed = Path(os.environ["UNITY_MANAGED"])
    return [*sorted(managed.glob("UnityEngine*.dll")), *(managed / f"{name}.dll" for name in _ML_AGENTS)]


def compile_assembly(name: str, scripts: Path, folder: Path) -> None:
    """Compile an assembly of the project into a folder that has those below it.

    Args:
        name: Logic, Runtime or Editor.
        scripts: folder of its scripts.
        folder: for the assemblies.

    Raises:
        ValueError: the compiler's errors, and obsolete APIs.
    """
    roslyn, stub = Path(os.environ["ROSLYN_DIR"]), folder / "UnityEditor.dll"
    below = {"Logic": [], "Runtime": ["RobotRL.Logic"], "Editor": ["RobotRL.Logic", "RobotRL.Runtime"]}[name]
    references = [*unity_base(), *(folder / f"{assembly}.dll" for assembly in below)]
    if name != "Logic":
        references += unity_engine()
    if name == "Editor":
        compile_csharp(roslyn, stub, [_HERE / "UnityEditorStub.cs"], [*unity_base(), *unity_engine()])
        references.append(stub)
    sources = sorted(scripts.rglob("*.cs"))
    compile_csharp(roslyn, folder / f"RobotRL.{name}.dll", sources, references, forbidden=OBSOLETE)


def compile_project(folder: Path) -> None:
    """Compile what a player contains into `folder`."""
    for name in ("Logic", "Runtime"):
        compile_assembly(name, SCRIPTS / name, folder)
