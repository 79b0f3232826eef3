"""Plays Scene.cs on the real C# ML-Agents runtime, as the Unity Editor does when somebody presses Play.

python -m tests.unity_env.csharp.editor build FOLDER        compile into FOLDER; needs ROSLYN_DIR, UNITY_MANAGED
python -m tests.unity_env.csharp.editor play FOLDER PORT    connect, and run until Python makes it quit

UNITY_MANAGED is the folder `Managed` of a Unity 6 player that contains ML-Agents 4.0.0. Its assemblies run as they
are, but for two: UnityEngine.CoreModule (StandInEngine.cs) and Grpc.Core (StandInGrpc.cs), which need native code.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import grpc

from tests.unity_env.csharp.dotnet import compile_csharp, load, public_key, start_runtime

_HERE = Path(__file__).parent
_STAND_INS = {"UnityEngine.CoreModule": "StandInEngine.cs", "Grpc.Core": "StandInGrpc.cs"}
_SCENE = "Assembly-CSharp"  # Unity's name for a project's scripts
_CONNECT_S, _ANSWER_S = 30.0, 60.0


def build(folder: Path) -> None:
    """Compile the scene against the real assemblies, and the stand-ins."""
    managed, roslyn = Path(os.environ["UNITY_MANAGED"]), Path(os.environ["ROSLYN_DIR"])
    # Unity's base library, not .NET 8's, which would accept what Unity lacks.
    base = [managed / f"{name}.dll" for name in ("mscorlib", "netstandard", "System", "System.Core")]
    engine = [*managed.glob("UnityEngine*.dll"), managed / "Unity.ML-Agents.dll", managed / "Unity.InferenceEngine.dll"]
    compile_csharp(roslyn, folder / f"{_SCENE}.dll", [_HERE / "Scene.cs"], base + engine)
    for name, source in _STAND_INS.items():
        identity = public_key(managed / f"{name}.dll")
        compile_csharp(roslyn, folder / f"{name}.dll", [_HERE / source], base, identity)


def play(folder: Path, port: int) -> None:
    """Run the scene against whoever listens on `port`."""
    import System
    from System.Reflection import BindingFlags

    managed = Path(os.environ["UNITY_MANAGED"])

    def resolve(_sender: Any, request: Any) -> Any:
        name = str(request.Name).partition(",")[0]
        found = [path for path in (folder / f"{name}.dll", managed / f"{name}.dll") if path.exists()]
        return load(found[0]) if found else None

    System.AppDomain.CurrentDomain.AssemblyResolve += System.ResolveEventHandler(resolve)
    # ML-Agents reads the port from the command line, of which a hosted runtime has none.
    command_line = System.Array[System.String](["player", "--mlagents-port", str(port)])
    hidden = BindingFlags.NonPublic | BindingFlags.Static
    System.Type.GetType("System.Environment").GetField("s_commandLineArgs", hidden).SetValue(None, command_line)
    with grpc.insecure_channel(f"127.0.0.1:{port}", [("grpc.initial_reconnect_backoff_ms", 20)]) as channel:
        grpc.channel_ready_future(channel).result(timeout=_CONNECT_S)

        def call(address: str, method: str, request: Any) -> Any:
            if str(address) != f"localhost:{port}":
                raise ValueError(f"ML-Agents connects to {address}")
            answer = channel.unary_unary(str(method))(bytes(request), timeout=_ANSWER_S)
            return System.Array[System.Byte](answer)

        byte_array = System.Array[System.Byte]
        transport = load(folder / "Grpc.Core.dll").GetType("Grpc.Core.Transport")
        transport.GetField("Call").SetValue(
            None, System.Func[System.String, System.String, byte_array, byte_array](call)
        )
        load(folder / f"{_SCENE}.dll").GetType("Scene").GetMethod("Play").Invoke(None, None)


def main(args: Sequence[str]) -> None:
    """Build or play."""
    start_runtime()
    if args[0] == "build":
        build(Path(args[1]))
    else:
        play(Path(args[1]), int(args[2]))


if __name__ == "__main__":
    main(sys.argv[1:])
