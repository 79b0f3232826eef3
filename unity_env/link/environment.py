"""A Unity player or Editor as an ML-Agents environment, over bytes and batched numpy."""

import atexit
import math
from collections.abc import Callable, Sequence
from typing import Any

import mlagents_envs
from google.protobuf.message import DecodeError
from mlagents_envs.base_env import ActionTuple, BehaviorSpec, DecisionSteps, TerminalSteps
from mlagents_envs.communicator_objects.capabilities_pb2 import UnityRLCapabilitiesProto
from mlagents_envs.communicator_objects.unity_output_pb2 import UnityOutputProto
from mlagents_envs.environment import UnityEnvironment
from mlagents_envs.exception import UnityEnvironmentException
from mlagents_envs.side_channel import DefaultTrainingAnalyticsSideChannel, SideChannel
from mlagents_envs.side_channel.side_channel_manager import SideChannelManager

from unity_env.link.communicator import LOOPBACK, ByteCommunicator
from unity_env.link.decode import BehaviorDecoder
from unity_env.link.encode import encode_goodbye, encode_initialization, encode_reset, encode_step
from unity_env.link.errors import (
    LinkError,
    MalformedMessageError,
    PlayerClosedError,
    PlayerExitedError,
    PlayerTimeoutError,
    with_causes,
)
from unity_env.link.handshake import API_VERSION, Stage, check_version, initialization, likely_causes
from unity_env.link.messages import OK, read_message
from unity_env.link.process import PlayerProcess

_QUIT_S = 10.0
_EXIT_S = 0.5  # between a broken connection and the end of the process that held it
_LARGEST = 2**26  # numbers in an observation, or choices in an action; beyond it the message is damaged


class UnityPlayer(UnityEnvironment):  # type: ignore[misc]  # mlagents_envs has no type information
    """Starts a Unity build, or waits for the Editor, and speaks ML-Agents with it.

    Takes the place of `mlagents_envs.environment.UnityEnvironment`, whose arguments it has. Any failure of the
    link closes it, and with it the player.

    Args:
        file_name: the build; None: wait until somebody presses Play in the Editor.
        worker_id: added to `base_port`, and part of the log's name; 0 for the Editor.
        base_port: None: a free port for a build, 5004 for the Editor.
        seed: the player's random seed.
        no_graphics: start the build with -batchmode -nographics.
        timeout_wait: how long the player may take to connect and for every step, seconds.
        additional_args: further command line of the build.
        side_channels: to be served; analytics is added, as the official client does.
        log_folder: where Player-<worker>.log goes; None: a temporary folder that is removed at the end.
        num_areas: copies of the training area that the scene shall make.
        package_version: of the Python package, as reported to the player; ML-Agents packages of Unity before 1.1
            refuse 0.26 and later.
        host: address to listen on. Anybody who reaches it can take part: there is no authentication.
        cancelled: asked while waiting for the player; True gives up, for players started on other threads.

    Attributes:
        port: where it listens.

    Raises:
        PortTakenError: the port is in use.
        UnityEnvironmentException: no such build, or a worker_id for the Editor.
        PlayerTimeoutError, PlayerExitedError, PlayerClosedError, IncompatibleVersionError: no connection.
    """

    def __init__(  # noqa: PLR0913  # the official client's arguments
        self,
        file_name: str | None = None,
        worker_id: int = 0,
        base_port: int | None = None,
        seed: int = 0,
        no_graphics: bool = False,
        timeout_wait: float = 60,
        additional_args: Sequence[str] | None = None,
        side_channels: Sequence[SideChannel] | None = None,
        log_folder: str | None = None,
        num_areas: int = 1,
        *,
        package_version: str = mlagents_envs.__version__,
        host: str = LOOPBACK,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> None:
        self._cancelled = cancelled
        # The official __init__ is not called: it makes a communicator of its own and cannot be told the rest.
        if file_name is None and worker_id != 0:
            raise UnityEnvironmentException(f"worker_id {worker_id}: the Editor takes 0 only; name a build for others")
        self._timeout_s = timeout_wait
        self._env_state: dict[str, tuple[DecisionSteps, TerminalSteps]] = {}
        self._env_specs: dict[str, BehaviorSpec] = {}
        self._env_actions: dict[str, ActionTuple] = {}
        self._decoders: dict[str, BehaviorDecoder] = {}
        self._is_first_message = True
        self._loaded = True
        self._player: PlayerProcess | None = None
        channels = list(side_channels or ())
        analytics = _missing_analytics(channels)
        self._side_channel_manager = SideChannelManager([*channels, *analytics])
        self._communicator = ByteCommunicator(_choose_port(file_name, worker_id, base_port), host)
        self.port = self._communicator.port
        atexit.register(self._close)
        try:
            if file_name is None:
                print(f"Listening on port {self.port}: press Play in the Unity Editor.", flush=True)
            else:
                args = [*(("-nographics", "-batchmode") if no_graphics else ()), "--mlagents-port", str(self.port)]
                self._player = PlayerProcess(file_name, args, additional_args or (), log_folder, worker_id)
            self._shake_hands(initialization(seed, num_areas, package_version))
        except BaseException:
            self._close(0)
            raise
        for channel in analytics:
            channel.environment_initialized()

    def reset(self) -> None:
        """Restart every agent and wait for their first observations."""
        self._advance(encode_reset(self._outgoing()), Stage.FIRST_OBSERVATIONS)
        self._is_first_message = False

    def step(self) -> None:
        """Send the actions that were set, zeros for the others, and wait until an agent reports."""
        if self._is_first_message:
            self.reset()
            return
        actions = {
            name: self._env_actions.get(name) or spec.action_spec.empty_action(len(self._env_state[name][0]))
            for name, spec in self._env_specs.items()
        }
        self._advance(encode_step(actions, self._outgoing()), Stage.OBSERVATIONS)

    def close(self) -> None:
        """Make the player quit and stop listening; a second call does nothing."""
        self._close()

    def _close(self, timeout: float | None = None) -> None:
        self._loaded = False
        atexit.unregister(self._close)
        self._communicator.close(encode_goodbye())
        if self._player is not None:
            self._player.stop(min(self._timeout_s, _QUIT_S) if timeout is None else timeout)
            self._player = None

    def _shake_hands(self, parameters: bytes) -> None:
        introduction = self._receive(Stage.CONNECT).rl_initialization_output
        check_version(introduction.communication_version, introduction.package_version)
        self.academy_capabilities = UnityRLCapabilitiesProto.FromString(introduction.capabilities.SerializeToString())
        self._warn_csharp_base_capabilities(self.academy_capabilities, introduction.package_version, API_VERSION)
        self._communicator.send(encode_initialization(parameters))
        self._receive(Stage.CONFIRM)

    def _advance(self, request: bytes, stage: Stage) -> None:
        if not self._loaded:
            raise UnityEnvironmentException("the environment is closed")
        self._communicator.send(request)
        try:
            output = self._receive(stage)
            self._update_behavior_specs(output)
            self._update_state(output.rl_output)
        except LinkError as error:
            self._close(0 if isinstance(error, PlayerTimeoutError) else None)
            raise
        self._env_actions.clear()

    def _receive(self, stage: Stage) -> Any:
        """Wait for the player's next message and return its UnityOutputProto, observations as bytes."""
        player = self._player  # close, called on another thread, forgets it
        try:
            message = read_message(self._communicator.receive(self._timeout_s, self._check_process))
        except (PlayerTimeoutError, PlayerClosedError, PlayerExitedError) as error:
            if isinstance(error, PlayerClosedError) and player and player.gone(_EXIT_S):
                error = PlayerExitedError(player.exit_message())
            causes = likely_causes(stage, self._player is None) if isinstance(error, PlayerTimeoutError) else []
            raise type(error)(self._explain(str(error), stage, causes)) from None
        if message.header.status != OK:
            what = f"the player closed the connection (status {message.header.status})"
            raise PlayerClosedError(self._explain(what, stage, []))
        return message.unity_output

    def _check_process(self) -> None:
        if not self._loaded or self._cancelled():
            raise PlayerClosedError("the environment was closed meanwhile")
        ended = self._player.exit_message() if self._player else None
        if ended:
            raise PlayerExitedError(ended)

    def _explain(self, what: str, stage: Stage, causes: Sequence[str]) -> str:
        tail = self._player.log_tail() if self._player else ""
        return with_causes(f"{what}; port {self.port}; it was expected to {stage.expected}", causes, tail)

    def _outgoing(self) -> bytes:
        return bytes(self._side_channel_manager.generate_side_channel_messages())

    def _update_behavior_specs(self, output: Any) -> None:
        """Learn the behaviors that a message announces, which it does once for each, with their first agents."""
        if not output.rl_initialization_output.brain_parameters:
            return
        try:
            super()._update_behavior_specs(UnityOutputProto.FromString(output.SerializeToString()))
        except (DecodeError, ValueError, IndexError) as error:
            raise MalformedMessageError(f"the player announced a behavior that cannot be read: {error}") from error
        for name, spec in self._env_specs.items():
            _check_sizes(name, spec)
        self._decoders = {name: BehaviorDecoder(name, spec) for name, spec in self._env_specs.items()}

    def _update_state(self, output: Any) -> None:
        reported = output.agentInfos
        self._env_state = {
            name: decoder.decode(reported[name].value if name in reported else ())
            for name, decoder in self._decoders.items()
        }
        try:
            self._side_channel_manager.process_side_channel_message(output.side_channel)
        except Exception as error:  # a channel may be anybody's code
            what = f"{type(error).__name__}: {error}"
            raise MalformedMessageError(f"a side channel cannot read what the player sent it: {what}") from error


def _choose_port(file_name: str | None, worker_id: int, base_port: int | None) -> int:
    """Return the port to listen on, 0 for any free one."""
    if base_port is not None:
        return base_port + worker_id
    return int(UnityEnvironment.DEFAULT_EDITOR_PORT) if file_name is None else 0


def _missing_analytics(channels: Sequence[SideChannel]) -> list[DefaultTrainingAnalyticsSideChannel]:
    known = {channel.channel_id for channel in channels}
    return [] if DefaultTrainingAnalyticsSideChannel.CHANNEL_ID in known else [DefaultTrainingAnalyticsSideChannel()]


def _check_sizes(behavior: str, spec: BehaviorSpec) -> None:
    sizes = {f"sensor {sensor.name or index}": sensor.shape for index, sensor in enumerate(spec.observation_specs)}
    sizes["continuous actions"] = (spec.action_spec.continuous_size,)
    sizes["discrete actions"] = (sum(spec.action_spec.discrete_branches),)
    for what, shape in sizes.items():
        if any(size < 0 for size in shape) or math.prod(shape) > _LARGEST:
            raise MalformedMessageError(f"behavior {behavior}: the player announced {what} of size {shape}")
    if any(size < 1 for size in spec.action_spec.discrete_branches):
        raise MalformedMessageError(f"behavior {behavior}: branches {spec.action_spec.discrete_branches}")
