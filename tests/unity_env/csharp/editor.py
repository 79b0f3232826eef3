"""Plays scenes on the real C# ML-Agents runtime: Scene.cs, or one of the Unity project's own.

python -m tests.unity_env.csharp.editor build FOLDER             compile Scene.cs into FOLDER, and the stand-ins
python -m tests.unity_env.csharp.editor build-project FOLDER     compile the Unity project likewise
python -m tests.unity_env.csharp.editor play FOLDER PORT         connect Scene.cs, run until Python makes it quit
python -m tests.unity_env.csharp.editor player FOLDER --mlagents-port PORT [--task TASK] ...    the project, as a build
python -m tests.unity_env.csharp.editor alone FOLDER --task TASK --frames N --keys K,K ...      without a trainer

Needs ROSLYN_DIR and UNITY_MANAGED: the folder `Managed` of a Unity 6 player that contains ML-Agents 4.0.0. Its
assemblies run as they are, but for four, which need native code: of UnityEngine the CoreModule (StandInEngine.cs and
its likes), the PhysicsModule (StandInPhysics.cs) and the InputLegacyModule (StandInInput.cs); and Grpc.Core.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import grpc

from tests.unity_env.csharp.dotnet import compile_csharp, load, public_key, start_runtime
from tests.unity_env.csharp.project import compile_project, unity_base, unity_engine
from unity_env.unity import PROJECT, STREAMING_ASSETS

_HERE = Path(__file__).parent
_CORE, _PHYSICS, _INPUT = (f"UnityEngine.{name}Module" for name in ("Core", "Physics", "InputLegacy"))
_GRPC = "Grpc.Core"
_STAND_INS = {
    _CORE: ("StandInEngine.cs", "StandInObjects.cs", "StandInCopies.cs", "StandInMath.cs"),
    _PHYSICS: ("StandInPhysics.cs",),
    _INPUT: ("StandInInput.cs",),
    _GRPC: ("StandInGrpc.cs",),
}
_SCENE = "Assembly-CSharp"  # Unity's name for a project's scripts
_CONNECT_S, _ANSWER_S = 30.0, 300.0


def build(folder: Path) -> None:
    """Compile Scene.cs against the real assemblies, and the stand-ins."""
    _compile(folder, _SCENE, [_HERE / "Scene.cs"], [*unity_base(), *unity_engine()])
    _build_stand_ins(folder)


def build_project(folder: Path) -> None:
    """Compile the Unity project and what plays its scenes against the real assemblies, and the stand-ins."""
    compile_project(folder)
    project = [folder / "RobotRL.Logic.dll", folder / "RobotRL.Runtime.dll"]
    _compile(folder, _SCENE, [_HERE / "ProjectScene.cs"], [*unity_base(), *unity_engine(), *project])
    _build_stand_ins(folder)


def _build_stand_ins(folder: Path) -> None:
    managed = Path(os.environ["UNITY_MANAGED"])
    for name, sources in _STAND_INS.items():
        references = [*unity_base(), folder / f"{_CORE}.dll"] if name in (_PHYSICS, _INPUT) else unity_base()
        _compile(folder, name, [_HERE / source for source in sources], references, public_key(managed / f"{name}.dll"))


def _compile(folder: Path, name: str, sources: list[Path], references: list[Path], identity: bytes = b"") -> None:
    compile_csharp(Path(os.environ["ROSLYN_DIR"]), folder / f"{name}.dll", sources, references, identity)


def player(folder: Path, arguments: Sequence[str]) -> None:
    """Run the Unity project as its build would, with a build's command line."""
    port = int(arguments[arguments.index("--mlagents-port") + 1])
    play(folder, port, "ProjectScene", arguments)


def play(folder: Path, port: int, scene: str = "Scene", arguments: Sequence[str] = ()) -> None:
    """Run a scene against whoever listens on `port`.

    Args:
        folder: of the compiled scene.
        port: where the trainer listens.
        scene: the class whose Play runs it.
        arguments: command line that it sees, beside the port.
    """
    import System

    _prepare(folder, ["--mlagents-port", str(port), *arguments])
    with grpc.insecure_channel(f"127.0.0.1:{port}", [("grpc.initial_reconnect_backoff_ms", 20)]) as channel:
        grpc.channel_ready_future(channel).result(timeout=_CONNECT_S)

        def call(address: str, method: str, request: Any) -> Any:
            if str(address) != f"localhost:{port}":
                raise ValueError(f"ML-Agents connects to {address}")
            answer = channel.unary_unary(str(method))(bytes(request), timeout=_ANSWER_S)
            return System.Array[System.Byte](answer)

        byte_array = System.Array[System.Byte]
        transport = load(folder / f"{_GRPC}.dll").GetType("Grpc.Core.Transport")
        transport.GetField("Call").SetValue(
            None, System.Func[System.String, System.String, byte_array, byte_array](call)
        )
        _run(folder, scene, "Play")


def alone(folder: Path, arguments: Sequence[str]) -> None:
    """Run one of the Unity project's scenes without a trainer."""
    _prepare(folder, arguments)
    _run(folder, "ProjectScene", "PlayAlone")


def _run(folder: Path, scene: str, method: str) -> None:
    load(folder / f"{_SCENE}.dll").GetType(scene).GetMethod(method).Invoke(None, None)


def _prepare(folder: Path, arguments: Sequence[str]) -> None:
    """Find assemblies in `folder`, then in UNITY_MANAGED; set the command line."""
    import System
    from System.Reflection import BindingFlags

    managed = Path(os.environ["UNITY_MANAGED"])

    def resolve(_sender: Any, request: Any) -> Any:
        name = str(request.Name).partition(",")[0]
        found = [path for path in (folder / f"{name}.dll", managed / f"{name}.dll") if path.exists()]
        return load(found[0]) if found else None

    System.AppDomain.CurrentDomain.AssemblyResolve += System.ResolveEventHandler(resolve)
    # ML-Agents reads the port from the command line, of which a hosted runtime has none.
    command_line = System.Array[System.String](["player", *arguments])
    hidden = BindingFlags.NonPublic | BindingFlags.Static
    System.Type.GetType("System.Environment").GetField("s_commandLineArgs", hidden).SetValue(None, command_line)


def main(args: Sequence[str]) -> None:
    """Build or play."""
    os.environ["STREAMING_ASSETS"] = str(PROJECT / STREAMING_ASSETS)  # .NET reads the environment when it starts
    start_runtime()
    folder = Path(args[1])
    match args[0]:
        case "build":
            build(folder)
        case "build-project":
            build_project(folder)
        case "player":
            player(folder, args[2:])
        case "alone":
            alone(folder, args[2:])
        case _:
            play(folder, int(args[2]))


if __name__ == "__main__":
    main(sys.argv[1:])
