"""The embedded simulation as an ML-Agents player: what a Unity build is to an ML-Agents client."""

import argparse
import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import grpc
from mlagents_envs.communicator_objects.command_pb2 import QUIT, RESET
from mlagents_envs.communicator_objects.unity_message_pb2 import UnityMessageProto
from mlagents_envs.communicator_objects.unity_rl_input_pb2 import UnityRLInputProto
from mlagents_envs.side_channel.side_channel_manager import SideChannelManager

from unity_env.settings import Sampler
from unity_env.sim.env import SimEnv
from unity_env.sim.player_channels import EngineConfiguration, EnvironmentParameters, Stats, TrainingAnalytics
from unity_env.sim.player_messages import BehaviorMessages
from unity_env.sim.role import roles_of
from unity_env.sim.tasks import TASKS

API_VERSION = "1.5.0"
PACKAGE_VERSION = "4.0.0"  # the C# package whose behaviour this player shows
EXCHANGE = "/communicator_objects.UnityToExternalProto/Exchange"
CONNECT_TIMEOUT_S = 30.0
OK_STATUS = 200
MAX_PORT = 65_535

log = logging.getLogger("player")


class Player:
    """Connects to an ML-Agents client on localhost and does what it commands until it says quit.

    Args:
        task: a key of `unity_env.sim.tasks.TASKS`.
        port: of the client.
        areas: agents of each behavior, where the client does not ask for a number.
    """

    def __init__(self, task: str, port: int, areas: int) -> None:
        self._task, self._areas = task, areas
        self._channel = grpc.insecure_channel(
            f"127.0.0.1:{port}",
            options=(("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1),
                     ("grpc.enable_http_proxy", 0)),
        )  # fmt: skip
        self._call = self._channel.unary_unary(
            EXCHANGE,
            request_serializer=UnityMessageProto.SerializeToString,
            response_deserializer=UnityMessageProto.FromString,
        )
        self._stats = Stats()
        self._parameters = EnvironmentParameters(roles_of(task))
        channels = [EngineConfiguration(), self._parameters, TrainingAnalytics(), self._stats]
        self._side_channels = SideChannelManager(channels)

    def run(self) -> None:
        """Serve the client until it quits or goes away.

        Raises:
            ConnectionError: nobody listens on the port, or the client speaks another version of the API.
        """
        try:
            self._serve(self._handshake())
        except grpc.RpcError as error:
            log.info("the client has gone: %s", error.code().name)
        finally:
            self._channel.close()

    def _handshake(self) -> SimEnv:
        hello = _message()
        offer = hello.unity_output.rl_initialization_output
        offer.name = self._task
        offer.communication_version = API_VERSION
        offer.package_version = PACKAGE_VERSION
        for capability in offer.capabilities.DESCRIPTOR.fields:
            setattr(offer.capabilities, capability.name, True)
        try:
            reply = self._call(hello, timeout=CONNECT_TIMEOUT_S, wait_for_ready=True)
        except grpc.RpcError as error:
            raise ConnectionError(f"no ML-Agents client answered: {error.code().name}") from None
        wanted = reply.unity_input.rl_initialization_input
        if not _compatible(wanted.communication_version):
            raise ConnectionError(f"the client speaks API {wanted.communication_version}, this player {API_VERSION}")
        areas = wanted.num_areas if wanted.num_areas > 1 else self._areas
        log.info("connected to %s, seed %d, %d areas", wanted.package_version, wanted.seed, areas)
        return SimEnv(self._task, areas, wanted.seed)

    def _serve(self, env: SimEnv) -> None:
        behaviors = [BehaviorMessages(name, spec, env.num_areas) for name, spec in env.behavior_specs.items()]
        reply = self._call(_message())
        message = _message()
        for behavior in behaviors:
            message.unity_output.rl_initialization_output.brain_parameters.append(behavior.announcement())
        while reply.header.status == OK_STATUS and reply.unity_input.rl_input.command != QUIT:
            self._advance(env, reply.unity_input.rl_input, behaviors)
            output = message.unity_output.rl_output
            for behavior in behaviors:
                decisions, terminals = env.get_steps(behavior.behavior)
                behavior.write(output, decisions, terminals)
                for reward in terminals.reward:
                    self._stats.add(f"{behavior.behavior}/Success", float(reward > 0))
            output.side_channel = bytes(self._side_channels.generate_side_channel_messages())
            reply = self._call(message)
            message = _message()
        log.info("the client said quit")

    def _advance(self, env: SimEnv, rl_input: UnityRLInputProto, behaviors: Sequence[BehaviorMessages]) -> None:
        """Do what one message of the client asks for."""
        self._side_channels.process_side_channel_message(rl_input.side_channel)
        changed = self._parameters.take_changed()
        if changed:
            _set_parameters(env, changed)
        if rl_input.command == RESET:
            env.reset()
            return
        for behavior in behaviors:
            env.set_actions(behavior.behavior, behavior.actions(rl_input))
        env.step()


def _set_parameters(env: SimEnv, parameters: Mapping[str, float | Sampler]) -> None:
    try:
        env.set_parameters(parameters)
    except ValueError as error:  # each fits its range, but not the others
        log.warning("the last environment parameters are ignored: %s", error)


def _message() -> UnityMessageProto:
    message = UnityMessageProto()
    message.header.status = OK_STATUS
    return message


def _compatible(version: str) -> bool:
    """Compare as the C# package does: equal major version, and equal minor while the major is 0."""
    theirs, ours = version.split("."), API_VERSION.split(".")
    return theirs[0] == ours[0] and (ours[0] != "0" or theirs[1] == ours[1])


def write_build(task: str, path: Path) -> None:
    """Write a script that an ML-Agents client starts as it starts a Unity build.

    Raises:
        OSError: the file cannot be written.
    """
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m unity_env.sim.player {task} "$@"\n', encoding="utf-8")
    path.chmod(0o755)
    print(f"wrote {path}: the {task} task for any ML-Agents client")


def _log_to(path: str | None) -> None:
    """Log to a file, to standard output where it is "-", as in Unity, or to standard error."""
    stream = sys.stdout if path == "-" else sys.stderr
    handler = logging.StreamHandler(stream) if path in (None, "-") else logging.FileHandler(path)
    logging.basicConfig(handlers=[handler], level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")


def _parsed(arguments: Sequence[str] | None) -> tuple[argparse.Namespace, list[str]]:
    """Return what was asked for, and the switches that have no meaning here."""
    # Without argparse's -h, as which it would read any of Unity's switches that begin so.
    parser = argparse.ArgumentParser(prog="robotrl player", description=__doc__, allow_abbrev=False, add_help=False)
    parser.add_argument("--help", action="help", help="show this and exit")
    parser.add_argument("task", choices=sorted(TASKS), help="what to simulate")
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--mlagents-port", type=int, help="serve the client on this port of this machine")
    action.add_argument(
        "--write-build", type=Path, metavar="FILE", help="write an executable that clients start as a Unity build"
    )
    parser.add_argument("--areas", type=int, default=1, help="agents, where the client does not ask for a number")
    parser.add_argument("-logFile", "-logfile", dest="log_file", help="where to log; default: standard error")
    chosen, ignored = parser.parse_known_args(arguments)
    if chosen.mlagents_port is not None and not 1 <= chosen.mlagents_port <= MAX_PORT:
        parser.error(f"--mlagents-port {chosen.mlagents_port}: a port is a number from 1 to {MAX_PORT}")
    if chosen.areas < 1:
        parser.error(f"--areas {chosen.areas}: at least 1")
    return chosen, ignored


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a player from the command line; Unity's own switches are accepted.

    Returns:
        The exit code: 0 after a client's quit, 1 where no client could be served.
    """
    chosen, ignored = _parsed(arguments)
    try:
        if chosen.write_build is not None:
            write_build(chosen.task, chosen.write_build)
            return 0
        _log_to(chosen.log_file)
    except OSError as error:
        print(f"error: {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    if ignored:
        log.info("without a meaning here: %s", " ".join(ignored))
    try:
        Player(chosen.task, chosen.mlagents_port, chosen.areas).run()
    except (ConnectionError, ValueError) as error:
        log.error("%s", error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
