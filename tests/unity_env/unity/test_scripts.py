"""The project's scripts against the assemblies of Unity 6 and ML-Agents 4; mistakes that are planted are caught.

Runs where UNITY_MANAGED and ROSLYN_DIR name folders with the assemblies, and a .NET 8 runtime is installed.
"""

import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.unity_env.csharp import logic as csharp
from tests.unity_env.csharp.dotnet import load
from tests.unity_env.csharp.project import SCRIPTS, compile_assembly, compile_project
from tests.unity_env.csharp.session import missing

ASSEMBLIES = ("Logic", "Runtime", "Editor")


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the compiled project."""
    if lacking := missing():
        pytest.skip(lacking)
    csharp.start()
    folder = tmp_path_factory.mktemp("project")
    compile_project(folder)
    return folder


def test_all_scripts_compile_and_use_nothing_obsolete(compiled: Path) -> None:
    compile_assembly("Editor", SCRIPTS / "Editor", compiled)
    assert {path.stem for path in compiled.glob("RobotRL.*.dll")} == {f"RobotRL.{name}" for name in ASSEMBLIES}


MISTAKES: dict[str, tuple[str, str, str, str, str]] = {
    "the engine in the engine-free assembly": ("Logic", "Walk.cs", "using System;", "using UnityEngine;", "CS0246"),
    "an API of .NET that Unity lacks": (
        "Logic",
        "Randomness.cs",
        "m_Random.NextDouble()",
        "Random.Shared.NextDouble()",
        "CS0117",
    ),
    "C# 10": ("Logic", "Frames.cs", "namespace RobotRL.Logic", "namespace RobotRL.Logic;\nstatic class More", "CS8773"),
    "a misspelt method": ("Runtime", "MobileBody.cs", "m_Base.TeleportRoot(", "m_Base.TeleportBody(", "CS1061"),
    "an obsolete property": ("Runtime", "MobileBody.cs", "m_Base.linearVelocity", "m_Base.velocity", "CS0618"),
    "an obsolete class": ("Runtime", "Surface.cs", "PhysicsMaterial m_Material", "PhysicMaterial m_Material", "CS0619"),
    "an override that is none": (
        "Runtime",
        "RobotArmAgent.cs",
        "Heuristic(in ActionBuffers",
        "Heuristic(ActionBuffers",
        "CS0115",
    ),
    "a part of a struct property": (
        "Runtime",
        "ArmBody.cs",
        "body.mass = (float)(mass",
        "body.xDrive.damping = (float)(mass",
        "CS1612",
    ),
    "an unknown enum value": (
        "Runtime",
        "Building/Parts.cs",
        "ArticulationDofLock.FreeMotion",
        "ArticulationDofLock.Free",
        "CS0117",
    ),
    "an argument of another type": (
        "Runtime",
        "Layers.cs",
        "IgnoreLayerCollision(Tyre, Solid)",
        'IgnoreLayerCollision(Tyre, "Solid")',
        "CS1503",
    ),
    "a task that does not judge": (
        "Runtime",
        "ArmReachArea.cs",
        "protected override bool Judge()",
        "bool Judges()",
        "CS0534",
    ),
    "a sensor that lacks a part": ("Runtime", "RobotSensors.cs", "public void Reset() { }", "", "CS0535"),
    "degrees where there are none": ("Runtime", "ArmBody.cs", "Mathf.Rad2Deg", "Mathf.RadToDeg", "CS0117"),
    "an obsolete search": (
        "Editor",
        "ActorRunnerMenu.cs",
        "FindObjectsByType<RobotAgent>(FindObjectsSortMode.None)",
        "FindObjectsOfType<RobotAgent>()",
        "CS0618",
    ),
    "a field of the scene that is not there": (
        "Editor",
        "SceneBuilder.cs",
        "replicator.numAreas",
        "replicator.areas",
        "CS1061",
    ),
    "a build without options": ("Editor", "PlayerBuild.cs", "BuildPlayer(options)", "BuildPlayer()", "CS7036"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_planted_mistake_is_caught(compiled: Path, tmp_path: Path, mistake: str) -> None:
    assembly, file, right, wrong, error = MISTAKES[mistake]
    scripts = Path(shutil.copytree(SCRIPTS / assembly, tmp_path / assembly))
    source = (scripts / file).read_text(encoding="utf-8")
    assert right in source
    (scripts / file).write_text(source.replace(right, wrong), encoding="utf-8")
    for dll in compiled.glob("RobotRL.*.dll"):
        shutil.copy(dll, tmp_path)
    with pytest.raises(ValueError, match=error) as caught:
        compile_assembly(assembly, scripts, tmp_path)
    assert file in str(caught.value)


def configured() -> list[tuple[str, str]]:
    """Fields that builders fill by calling Configure...: (class, field)."""
    fields = []
    for path in (SCRIPTS / "Runtime").rglob("*.cs"):
        source = path.read_text(encoding="utf-8")
        for body in re.findall(r"public void Configure\w*\([^)]*\)\s*(=> [^;]*;|\{[^}]*\})", source):
            fields += [(path.stem, field) for field in re.findall(r"(m_\w+) = ", body)]
    return fields


def test_what_builders_write_is_kept_in_the_scene_file(compiled: Path) -> None:
    import System
    from System.Reflection import BindingFlags

    managed = Path(os.environ["UNITY_MANAGED"])

    def resolve(_sender: Any, request: Any) -> Any:
        path = managed / f"{str(request.Name).partition(',')[0]}.dll"
        return load(path) if path.exists() else None

    handler = System.ResolveEventHandler(resolve)
    System.AppDomain.CurrentDomain.AssemblyResolve += handler
    runtime = load(compiled / "RobotRL.Runtime.dll")
    everything = BindingFlags.Instance | BindingFlags.NonPublic | BindingFlags.Public
    assert len(configured()) > 20
    for owner, name in configured():
        field = next(found for found in (of.GetField(name, everything) for of in _hierarchy(runtime, owner)) if found)
        attributes = [str(data.AttributeType.Name) for data in field.GetCustomAttributesData()]
        assert "SerializeField" in attributes, f"{owner}.{name}"
        assert not field.IsInitOnly, f"{owner}.{name}"
    System.AppDomain.CurrentDomain.AssemblyResolve -= handler


def _hierarchy(assembly: Any, name: str) -> list[Any]:
    found = [assembly.GetType(f"RobotRL.{name}") or assembly.GetType(f"RobotRL.Building.{name}")]
    while found[-1].BaseType is not None and str(found[-1].BaseType.Namespace).startswith("RobotRL"):
        found.append(found[-1].BaseType)
    return found
