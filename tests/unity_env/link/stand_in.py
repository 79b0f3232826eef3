"""A player without a simulation: connects as Unity does and follows a script.

As a program it takes a Unity build's command line and the script's name in --script. Its two agents observe
[step, first action received]; agent 1 ends its episode in every fourth step and goes on in the same message.
"""

import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import grpc

import unity_env  # noqa: F401  # before mlagents_envs' messages are imported

from mlagents_envs.base_env import ActionSpec  # isort: skip
from mlagents_envs.communicator_objects.unity_message_pb2 import UnityMessageProto  # isort: skip
from mlagents_envs.side_channel.stats_side_channel import StatsSideChannel  # isort: skip
import numpy as np  # isort: skip

from tests.unity_env.link.records import BEHAVIOR, agent, float_observation, observations_message  # isort: skip

METHOD = "/communicator_objects.UnityToExternalProto/Exchange"
ACTIONS = ActionSpec(2, ())
PATIENCE_S = 20.0  # a stand-in that nobody ends ends itself


class Player:
    """The player's side of the connection."""

    def __init__(self, port: int) -> None:
        # Tests start it before anybody listens; gRPC would try again after a second only.
        self._channel = grpc.insecure_channel(f"127.0.0.1:{port}", [("grpc.initial_reconnect_backoff_ms", 20)])
        self._call = self._channel.unary_unary(METHOD)
        self.seed = 0
        self.package_version = ""
        self.num_areas = 0
        self.commands: list[int] = []
        self.steps = 0

    def exchange_bytes(self, data: bytes) -> UnityMessageProto:
        answer: bytes = self._call(data, wait_for_ready=True, timeout=PATIENCE_S)
        return UnityMessageProto.FromString(answer)

    def exchange(self, message: UnityMessageProto) -> UnityMessageProto:
        return self.exchange_bytes(message.SerializeToString())

    def introduce(self, api: str = "1.5.0") -> None:
        """Make the first of the two exchanges of the handshake."""
        message = UnityMessageProto()
        message.header.status = 200
        introduction = message.unity_output.rl_initialization_output
        introduction.name, introduction.communication_version, introduction.package_version = "scene", api, "2.0.1"
        introduction.capabilities.baseRLCapabilities = True
        answer = self.exchange(message).unity_input.rl_initialization_input
        self.seed, self.package_version, self.num_areas = answer.seed, answer.package_version, answer.num_areas

    def wait_for_reset(self) -> UnityMessageProto:
        """Make the second one, which returns when Python resets."""
        message = UnityMessageProto()
        message.header.status = 200
        return self.exchange(message)

    def play(self, answer: UnityMessageProto, max_steps: int = 10**9) -> UnityMessageProto:
        """Report and act until Python says goodbye, or for so many steps; return its last message."""
        for _ in range(max_steps):
            if answer.header.status != 200:
                break
            self.commands.append(answer.unity_input.rl_input.command)
            answer = self.exchange(self.report(answer))
            self.steps += 1
        return answer

    def report(self, answer: UnityMessageProto) -> UnityMessageProto:
        """Return the message of a step."""
        received = [
            action.continuous_actions[0] for action in answer.unity_input.rl_input.agent_actions[BEHAVIOR].value
        ]
        obs = [np.array([self.steps, value], np.float32) for value in [*received, 0, 0][:2]]
        agents = [agent(number, [float_observation(values)], reward=1) for number, values in enumerate(obs)]
        if self.steps % 4 == 3:
            agents.append(agent(1, [float_observation(obs[1])], reward=2, done=True, max_step_reached=True))
        return observations_message(agents, announce=ACTIONS if self.steps == 0 else None)

    def leave(self) -> None:
        message = UnityMessageProto()
        message.header.status = 400
        self.exchange(message)

    def close(self) -> None:
        self._channel.close()


def begin(port: int) -> tuple[Player, UnityMessageProto]:
    player = Player(port)
    player.introduce()
    return player, player.wait_for_reset()


def serve(port: int) -> None:
    """What a healthy player does."""
    player, answer = begin(port)
    player.play(answer)


def serve_and_stay(port: int) -> None:
    """Serve, but neither quit nor obey SIGTERM."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    serve(port)
    hang(port)


def hang(_port: int) -> None:
    time.sleep(PATIENCE_S)


def hang_after_introduction(port: int) -> None:
    Player(port).introduce()
    hang(port)


def hang_after_reset(port: int) -> None:
    begin(port)
    hang(port)


def hang_in_a_step(port: int) -> None:
    player, answer = begin(port)
    player.play(answer, max_steps=3)
    hang(port)


def die_in_a_step(port: int) -> None:
    player, answer = begin(port)
    player.play(answer, max_steps=3)
    os.kill(os.getpid(), signal.SIGKILL)


def fail_at_start(_port: int) -> None:
    print("error while loading shared libraries: libGL.so.1", file=sys.stderr)
    sys.exit(127)


def exit_in_a_step(port: int) -> None:
    player, answer = begin(port)
    player.play(answer, max_steps=2)
    sys.exit(3)


def leave_in_a_step(port: int) -> None:
    player, answer = begin(port)
    player.play(answer, max_steps=2)
    player.leave()


def speak_api_2(port: int) -> None:
    Player(port).introduce(api="2.0.0")


def send_garbage(port: int) -> None:
    player, answer = begin(port)
    player.play(answer, max_steps=2)
    player.exchange_bytes(b"\x0a\xff garbage")


def send_nan(port: int) -> None:
    player, answer = begin(port)
    player.play(answer, max_steps=2)
    player.exchange(observations_message([agent(5, [float_observation(np.array([0, np.nan]))])]))


def change_shape(port: int) -> None:
    player, answer = begin(port)
    player.play(answer, max_steps=2)
    player.exchange(observations_message([agent(5, [float_observation(np.zeros(3))])]))


def send_unreadable_statistics(port: int) -> None:
    player, answer = begin(port)
    message = player.report(player.play(answer, max_steps=2))
    channel = StatsSideChannel().channel_id.bytes_le
    message.unity_output.rl_output.side_channel = (
        channel + (8).to_bytes(4, "little") + b"\x04\x00\x00\x00\xff\xff\xff\xff"
    )
    player.exchange(message)


SCRIPTS: dict[str, Callable[[int], None]] = {
    script.__name__: script
    for script in (
        serve,
        serve_and_stay,
        hang,
        hang_after_introduction,
        hang_after_reset,
        hang_in_a_step,
        die_in_a_step,
        fail_at_start,
        exit_in_a_step,
        leave_in_a_step,
        speak_api_2,
        send_garbage,
        send_nan,
        change_shape,
        send_unreadable_statistics,
    )
}


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def write_build(folder: Path) -> str:
    """Write a program that the environment can launch as a Unity build; it runs this file."""
    build = folder / "player.x86_64"
    root = Path(__file__).parents[3]
    build.write_text(f'#!/bin/sh\nPYTHONPATH="{root}" exec "{sys.executable}" -m tests.unity_env.link.stand_in "$@"\n')
    build.chmod(0o755)
    return str(folder / "player")


def main(args: Sequence[str]) -> None:
    """Write the command line and the process number to the log, then follow the script."""
    Path(args[args.index("-logFile") + 1]).write_text(f"{os.getpid()}\n{' '.join(args)}\nMono path[0] = 'stand-in'\n")
    SCRIPTS[args[args.index("--script") + 1]](int(args[args.index("--mlagents-port") + 1]))


if __name__ == "__main__":
    main(sys.argv[1:])
