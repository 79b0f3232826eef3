"""Demonstrations in ML-Agents' .demo files: what agents saw, and what was decided for them.

A file is a DemonstrationMetaProto within its first 33 bytes, a BrainParametersProto, and an AgentInfoActionPairProto
for every message of the agent, each behind its length. Unity writes a message before the decision that answers it, so
its action is that of the decision before (`Agent.SendInfoToBrain`, `CopyActions`, `Record`; `DecideAction` comes
later): the action that answers message t stands in message t + 1. ML-Agents' trainers take the one in message t.
Files of this project have the answer where those trainers look for it, and bear a name that Unity gives to none.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError, Message
from mlagents_envs.base_env import ActionSpec, ActionTuple, BehaviorSpec
from mlagents_envs.communicator_objects.agent_info_action_pair_pb2 import AgentInfoActionPairProto
from mlagents_envs.communicator_objects.brain_parameters_pb2 import BrainParametersProto
from mlagents_envs.communicator_objects.demonstration_meta_pb2 import DemonstrationMetaProto
from mlagents_envs.rpc_utils import behavior_spec_from_proto

from unity_env.link.agent_messages import AgentWriter, announcement
from unity_env.link.errors import LinkError
from unity_env.link.sensors import SensorReader
from unity_env.link.wire import read_varint, varint

HEADER = 33  # bytes for the metadata and its length
API_VERSIONS = (0, 1)
OWN_NAME = "robotrl/1"  # Unity keeps letters, digits, blanks and dashes

Array = np.ndarray


class DemonstrationError(ValueError):
    """A file of demonstrations that cannot be used; names the file."""


@dataclass(frozen=True)
class Demonstrations:
    """M decisions, in order.

    Attributes:
        source: the file or the folder.
        spec: of the behavior, with the sensors that were recorded.
        obs: per sensor, (M, *shape).
        action: what was decided, (M, ...).
        episodes: how many they come from.
    """

    source: Path
    spec: BehaviorSpec
    obs: list[Array]
    action: ActionTuple
    episodes: int

    def __len__(self) -> int:
        return len(self.action.continuous)


@dataclass(frozen=True)
class Moment:
    """A message of an agent, and the decision that answers it.

    Attributes:
        obs: per sensor, (size,).
        action: one row, (1, ...); zeros at the end of an episode.
        rew: since the message before.
        done: the episode is over.
        interrupted: it was cut, by a time limit for example.
    """

    obs: Sequence[Array]
    action: ActionTuple
    rew: float
    done: bool = False
    interrupted: bool = False


def read_demonstrations(path: Path) -> Demonstrations:
    """Read a .demo file, or all those of a folder.

    Raises:
        DemonstrationError: missing, damaged, empty, or of different behaviors.
    """
    if not path.is_dir():
        return _read_file(path)
    parts = [_read_file(file) for file in sorted(path.glob("*.demo"))]
    if not parts:
        raise DemonstrationError(f"{path}: this folder holds no .demo file")
    first = parts[0]
    for part in parts[1:]:
        if _sizes(part.spec) != _sizes(first.spec):
            raise DemonstrationError(
                f"{part.source}: has {describe(part.spec)}, but {first.source} has {describe(first.spec)}"
            )
    obs = [np.concatenate(sensor) for sensor in zip(*(part.obs for part in parts), strict=True)]
    action = ActionTuple(
        np.concatenate([part.action.continuous for part in parts]),
        np.concatenate([part.action.discrete for part in parts]),
    )
    return Demonstrations(path, first.spec, obs, action, sum(part.episodes for part in parts))


def encode_demonstrations(behavior: str, spec: BehaviorSpec, episodes: Sequence[Sequence[Moment]]) -> bytes:
    """Return the content of a .demo file.

    Args:
        behavior: its name.
        spec: of the behavior, vector sensors only.
        episodes: each with a `done` moment at its end.
    """
    meta = DemonstrationMetaProto(
        api_version=API_VERSIONS[-1],
        demonstration_name=OWN_NAME,
        number_steps=sum(map(len, episodes)),
        number_episodes=len(episodes),
        mean_reward=sum(moment.rew for episode in episodes for moment in episode) / max(1, len(episodes)),
    )
    head = _delimited(meta)
    assert len(head) <= HEADER
    writer = AgentWriter(spec)
    pairs = [_pair(writer, index, moment) for index, episode in enumerate(episodes) for moment in episode]
    return head.ljust(HEADER, b"\0") + b"".join(map(_delimited, (announcement(behavior, spec), *pairs)))


def describe(spec: BehaviorSpec) -> str:
    """Say in words what a behavior sees and decides."""
    sensors = ", ".join(f"{sensor.name or 'a sensor'} {_shape(sensor.shape)}" for sensor in spec.observation_specs)
    return f"{sensors} and {describe_actions(spec.action_spec)}"


def describe_actions(spec: ActionSpec) -> str:
    """Say in words what is decided."""
    branches = ", ".join(map(str, spec.discrete_branches))
    parts = [f"{spec.continuous_size} continuous"] if spec.continuous_size or not branches else []
    return " and ".join([*parts, *([f"discrete ({branches})"] if branches else [])]) + " actions"


def _shape(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))


def _sizes(spec: BehaviorSpec) -> tuple[Any, ...]:
    """Return what has to be the same in demonstrations that are used together."""
    sensors = tuple(tuple(sensor.shape) for sensor in spec.observation_specs)
    return sensors, spec.action_spec.continuous_size, tuple(spec.action_spec.discrete_branches)


def _delimited(message: Message) -> bytes:
    content: bytes = message.SerializeToString()
    return varint(len(content)) + content


def _pair(writer: AgentWriter, episode: int, moment: Moment) -> AgentInfoActionPairProto:
    pair = AgentInfoActionPairProto()
    writer.fill(pair.agent_info, episode, moment.obs, moment.rew)
    pair.agent_info.done, pair.agent_info.max_step_reached = moment.done, moment.interrupted
    pair.action_info.continuous_actions.extend(moment.action.continuous[0].tolist())
    pair.action_info.discrete_actions.extend(moment.action.discrete[0].tolist())
    return pair


def _read_file(path: Path) -> Demonstrations:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DemonstrationError(f"{path}: cannot be read: {error.strerror}") from None
    meta, brain, pairs = _parse(path, data)
    if not pairs:
        raise DemonstrationError(f"{path}: holds no decisions; was the recording stopped at once?")
    try:
        spec = behavior_spec_from_proto(brain, pairs[0].agent_info)
        agents = [pair.agent_info for pair in pairs]
        obs = [_sensor(spec, index, agents) for index in range(len(spec.observation_specs))]
    except (LinkError, ValueError, IndexError) as error:
        raise DemonstrationError(f"{path}: damaged: {error}") from None
    ids = np.array([agent.id for agent in agents])
    goes_on = ~np.array([agent.done for agent in agents])[:-1] & (ids[1:] == ids[:-1])
    asked = np.flatnonzero(goes_on)
    if len(asked) == 0:
        raise DemonstrationError(f"{path}: no message is followed by another of its episode; nothing to learn from")
    answered = asked if meta.demonstration_name == OWN_NAME else asked + 1
    action = _actions(path, spec.action_spec, [pairs[index].action_info for index in answered])
    return Demonstrations(path, spec, [sensor[asked] for sensor in obs], action, len(np.unique(ids[asked])))


def _parse(path: Path, data: bytes) -> tuple[Any, Any, list[Any]]:
    """Return the metadata, the behavior and the pairs."""
    meta, end = _next(path, data, 0, DemonstrationMetaProto)
    if end > HEADER or meta.api_version not in API_VERSIONS:
        raise DemonstrationError(f"{path}: not an ML-Agents demonstration of version {' or '.join('01')}")
    brain, at = _next(path, data, HEADER, BrainParametersProto)
    pairs: list[Any] = []
    never_closed = meta.number_episodes == 0  # by a crash of Unity; else its metadata stands behind the pairs once more
    while at < len(data) and (never_closed or len(pairs) < meta.number_steps):
        pair, at = _next(path, data, at, AgentInfoActionPairProto)
        pairs.append(pair)
    if len(pairs) < meta.number_steps:
        raise DemonstrationError(
            f"{path}: damaged: {len(pairs):,} of {meta.number_steps:,} steps; is the file complete?"
        )
    return meta, brain, pairs


def _next(path: Path, data: bytes, at: int, kind: Any) -> tuple[Any, int]:
    """Return the message at byte `at`, and where the next one begins."""
    try:
        size, start = read_varint(data, at)
        if start + size > len(data):
            raise IndexError
        return kind.FromString(data[start : start + size]), start + size
    except IndexError:
        what = "ends inside a message" if at else "not an ML-Agents demonstration: too short"
        raise DemonstrationError(f"{path}: {what} (byte {at:,}); is the file complete?") from None
    except DecodeError:
        raise DemonstrationError(f"{path}: not an ML-Agents demonstration, or damaged (byte {at:,})") from None


def _sensor(spec: BehaviorSpec, index: int, agents: Sequence[Any]) -> Array:
    """Return one sensor's observations, (messages, *shape)."""
    sensor = spec.observation_specs[index]
    reader = SensorReader(f"sensor {sensor.name or index}", tuple(sensor.shape))
    blobs = [agent.observations[index].SerializeToString() for agent in agents]
    return reader.read(blobs, np.array([agent.id for agent in agents]))


def _actions(path: Path, spec: ActionSpec, actions: Sequence[Any]) -> ActionTuple:
    """Return the decisions; files of 2020 and before have them all in one list."""
    older = [action.vector_actions_deprecated for action in actions]
    continuous = [new.continuous_actions or old for new, old in zip(actions, older, strict=True)]
    discrete = [new.discrete_actions or old for new, old in zip(actions, older, strict=True)]
    sizes = [(continuous, spec.continuous_size), (discrete, spec.discrete_size)]
    if any(len(row) != size for rows, size in sizes if size for row in rows):
        raise DemonstrationError(f"{path}: damaged: not every step has {describe_actions(spec)}")
    result: ActionTuple = spec.empty_action(len(actions))
    if spec.continuous_size:
        result.continuous[:] = [list(row) for row in continuous]
    if spec.discrete_size:
        result.discrete[:] = [list(row) for row in discrete]
        if ((result.discrete < 0) | (result.discrete >= np.array(spec.discrete_branches))).any():
            raise DemonstrationError(f"{path}: damaged: a choice that none of {describe_actions(spec)} has")
    if not np.isfinite(result.continuous).all():
        raise DemonstrationError(f"{path}: damaged: an action that is not a number")
    return result
