"""Agents' records -> DecisionSteps and TerminalSteps, a whole batch with a handful of numpy calls.

Equal, bit for bit, to `mlagents_envs.rpc_utils.steps_from_proto`, except where that one lets something pass that
cannot be right (a changed shape) or says less when it refuses (NaN without agent or component). Images may also
be channels-first, as Unity's package sends them since 3.0: the client 0.28.0 refuses those.
"""

import math
import struct
from collections.abc import Sequence
from operator import attrgetter, itemgetter
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError
from mlagents_envs.base_env import BehaviorSpec, DecisionSteps, ObservationSpec, TerminalSteps
from mlagents_envs.communicator_objects.observation_pb2 import NONE, ObservationProto
from mlagents_envs.rpc_utils import process_pixels

from unity_env.link.errors import MalformedMessageError, NonFiniteError, ObservationShapeError
from unity_env.link.wire import packed_floats

Array = np.ndarray

_PNG_SIZE = struct.Struct(">8x4x4xII")  # signature, chunk length, "IHDR", width, height


def decode_steps(behavior: str, agents: Sequence[Any], spec: BehaviorSpec) -> tuple[DecisionSteps, TerminalSteps]:
    """Split one behavior's records into agents that want an action and agents whose episode ended.

    Args:
        behavior: name, for error messages.
        agents: AgentInfoProtos of `messages.ShallowMessage`, in the order in which the player sent them.
        spec: what the behavior announced.

    Returns:
        Fresh, writable arrays; row order is the order of `agents`.

    Raises:
        ObservationShapeError: an observation differs in shape from the specification.
        NonFiniteError: NaN or infinity in a vector observation or a reward.
        MalformedMessageError: an observation that cannot be read.
    """
    agents = list(agents)
    if not agents:
        return DecisionSteps.empty(spec), TerminalSteps.empty(spec)
    ids = _column(agents, "id", np.int32)
    obs = _observations(behavior, agents, ids, spec.observation_specs)
    rew = _column(agents, "reward", np.float32)
    group_rew = _column(agents, "group_reward", np.float32)
    _refuse_non_finite(rew, ids, f"behavior {behavior}, reward")
    _refuse_non_finite(group_rew, ids, f"behavior {behavior}, group reward")
    group_ids = _column(agents, "group_id", np.int32)
    done = _column(agents, "done", np.bool_)
    if not done.any():
        decisions = DecisionSteps(obs, rew, ids, _action_mask(agents, spec), group_ids, group_rew)
        return decisions, TerminalSteps.empty(spec)
    going = ~done
    deciding = [agent for agent in agents if not agent.done]
    interrupted = _column(agents, "max_step_reached", np.bool_)
    decisions = DecisionSteps(
        [sensor[going] for sensor in obs],
        rew[going],
        ids[going],
        _action_mask(deciding, spec),
        group_ids[going],
        group_rew[going],
    )
    terminals = TerminalSteps(
        [sensor[done] for sensor in obs], rew[done], interrupted[done], ids[done], group_ids[done], group_rew[done]
    )
    return decisions, terminals


def _column(agents: Sequence[Any], field: str, dtype: type[np.generic]) -> Array:
    return np.fromiter(map(attrgetter(field), agents), dtype, len(agents))


def _observations(behavior: str, agents: Sequence[Any], ids: Array, sensors: Sequence[ObservationSpec]) -> list[Array]:
    rows = list(map(attrgetter("observations"), agents))
    counts = list(map(len, rows))
    if min(counts) < len(sensors):
        fewest = counts.index(min(counts))
        raise ObservationShapeError(
            f"behavior {behavior}, agent {ids[fewest]}: {min(counts)} observations, announced were {len(sensors)}"
        )
    batches = []
    for index, sensor in enumerate(sensors):
        label = f"behavior {behavior}, sensor {sensor.name or index}"
        batch = _sensor_batch(list(map(itemgetter(index), rows)), sensor.shape, label, ids)
        if len(sensor.shape) != 3:  # as in the official client: looking for NaN in images costs more than it finds
            _refuse_non_finite(batch, ids, label)
        batches.append(batch)
    return batches


def _sensor_batch(blobs: Sequence[bytes], shape: tuple[int, ...], label: str, ids: Array) -> Array:
    try:
        batch = _equal_layouts(blobs, shape)
    except DecodeError as error:
        raise MalformedMessageError(f"{label}, agent {ids[0]}: unreadable observation ({error})") from error
    if batch is not None:
        return batch
    return np.stack([_one(blob, shape, f"{label}, agent {agent}") for blob, agent in zip(blobs, ids, strict=True)])


def _equal_layouts(blobs: Sequence[bytes], shape: tuple[int, ...]) -> Array | None:
    """Read float observations that differ in nothing but their floats; None where they are not such.

    The first one is looked at field by field. The others must be equal to it before and after the floats, byte
    for byte, so that what holds for its shape, compression and encoding holds for all.
    """
    first = blobs[0]
    head = ObservationProto.FromString(first)
    floats = packed_floats(first)
    if floats is None or head.compression_type != NONE or tuple(head.shape) != shape:
        return None
    start, end = floats
    if end - start != 4 * math.prod(shape) or len(set(map(len, blobs))) != 1:
        return None
    table = np.frombuffer(b"".join(blobs), dtype=np.uint8).reshape(len(blobs), len(first))
    differs = table != table[0]
    if differs[:, :start].any() or differs[:, end:].any():
        return None
    values: Array = table[:, start:end].copy().view("<f4").reshape(len(blobs), *shape)
    return values.astype(np.float32, copy=False)


def _one(blob: bytes, shape: tuple[int, ...], label: str) -> Array:
    """Read one observation of any legal encoding."""
    try:
        obs = ObservationProto.FromString(blob)
    except DecodeError as error:
        raise MalformedMessageError(f"{label}: unreadable observation ({error})") from error
    if tuple(obs.shape) != shape:
        raise ObservationShapeError(f"{label}: shape {tuple(obs.shape)}, announced was {shape}")
    if len(shape) == 3 and obs.compression_type != NONE:
        return _image(obs, label)
    values = np.array(obs.float_data.data, dtype=np.float32)
    if values.size != math.prod(shape):
        raise ObservationShapeError(f"{label}: {values.size} numbers for shape {shape}")
    return values.reshape(shape)


def _image(obs: Any, label: str) -> Array:
    """Decode a PNG, or several in a row, into the channel order that the player uses."""
    shape = tuple(obs.shape)
    data = obs.compressed_data
    if len(data) < _PNG_SIZE.size:
        raise MalformedMessageError(f"{label}: {len(data)} bytes are no PNG")
    width, height = _PNG_SIZE.unpack_from(data)
    if shape[:2] == (height, width):
        channels, order = shape[2], (0, 1, 2)
    elif shape[1:] == (height, width):
        channels, order = shape[0], (2, 0, 1)
    else:
        raise ObservationShapeError(f"{label}: an image {width} wide and {height} high for shape {shape}")
    try:
        image: Array = process_pixels(data, channels, list(obs.compressed_channel_mapping)).transpose(order)
    except Exception as error:  # Pillow's decoders raise whatever a damaged file happens to trip
        raise MalformedMessageError(f"{label}: unreadable image ({error})") from error
    if image.shape != shape:
        raise ObservationShapeError(f"{label}: image of shape {image.shape}, announced was {shape}")
    return image


def _refuse_non_finite(values: Array, ids: Array, label: str) -> None:
    """Raise unless every number is finite; row i belongs to agent ids[i]."""
    finite = np.isfinite(values)
    if finite.all():
        return
    where = tuple(int(index) for index in np.argwhere(~finite)[0])
    row, component = where[0], where[1:]
    at = f", component {component[0] if len(component) == 1 else component}" if component else ""
    raise NonFiniteError(
        f"{label}, agent {ids[row]}{at}: {values[where]}; {np.count_nonzero(~finite)} of {values.size} numbers "
        "are not finite"
    )


def _action_mask(deciding: Sequence[Any], spec: BehaviorSpec) -> list[Array] | None:
    """Return one (N, branch size) array per branch, True = unavailable; an agent without a mask may do anything."""
    branches = spec.action_spec.discrete_branches
    if not branches or not deciding:
        return None
    size = sum(branches)
    masks = [agent.action_mask for agent in deciding]
    rows = [bytes(mask) if len(mask) == size else bytes(size) for mask in masks]
    table = np.frombuffer(bytearray(b"".join(rows)), dtype=np.bool_).reshape(len(rows), size)
    return np.split(table, np.cumsum(branches)[:-1], axis=1)
