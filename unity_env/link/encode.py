"""Commands and actions -> the bytes of a UnityMessageProto."""

from collections.abc import Mapping
from functools import cache

import numpy as np
from mlagents_envs.base_env import ActionTuple
from mlagents_envs.communicator_objects.command_pb2 import RESET, STEP

from unity_env.link.messages import GOODBYE, OK, ShallowMessage
from unity_env.link.wire import varint

Array = np.ndarray

_DELIMITED = 2
_LIST_VALUE = 1  # ListAgentActionProto
_ANY_ACTIONS, _CONTINUOUS_ACTIONS, _DISCRETE_ACTIONS = 1, 6, 7  # AgentActionProto; the first for old players


def encode_step(actions: Mapping[str, ActionTuple], side_channel: bytes) -> bytes:
    """Return the message that sends actions, (N, size) per behavior, in the order of its DecisionSteps."""
    message = ShallowMessage()
    message.header.status = OK
    rl_input = message.unity_input.rl_input
    rl_input.SetInParent()  # a step without actions is a step all the same
    for behavior, action in actions.items():
        if len(action.continuous):
            rl_input.agent_actions[behavior] = pack_actions(action)
    rl_input.command = STEP
    rl_input.side_channel = side_channel
    return bytes(message.SerializeToString())


def encode_reset(side_channel: bytes) -> bytes:
    """Return the message that restarts every agent."""
    message = ShallowMessage()
    message.header.status = OK
    message.unity_input.rl_input.command = RESET
    message.unity_input.rl_input.side_channel = side_channel
    return bytes(message.SerializeToString())


def encode_initialization(parameters: bytes) -> bytes:
    """Return the answer to a player's first message; `parameters` is a UnityRLInitializationInputProto."""
    message = ShallowMessage()
    message.header.status = OK
    message.unity_input.rl_initialization_input.MergeFromString(parameters)
    return bytes(message.SerializeToString())


def encode_goodbye() -> bytes:
    """Return the message that makes a player quit."""
    message = ShallowMessage()
    message.header.status = GOODBYE
    return bytes(message.SerializeToString())


def pack_actions(action: ActionTuple) -> bytes:
    """Return a ListAgentActionProto.

    All agents' records get the same length, so that the whole list is one byte table whose tags and lengths are
    constant columns: integers are written with as many bytes as the largest one needs, which is legal protobuf.
    """
    continuous, discrete = action.continuous, action.discrete
    floats = _float_bytes(continuous)
    payloads = {_ANY_ACTIONS: floats, _CONTINUOUS_ACTIONS: floats}
    if discrete.shape[1]:
        payloads[_ANY_ACTIONS] = np.hstack([floats, _float_bytes(discrete)])
        payloads[_DISCRETE_ACTIONS] = _varint_bytes(discrete)
    record, starts = _record_layout(tuple((number, payload.shape[1]) for number, payload in payloads.items()))
    table = np.empty((len(continuous), len(record)), dtype=np.uint8)
    table[:] = record
    for start, payload in zip(starts, payloads.values(), strict=True):
        table[:, start : start + payload.shape[1]] = payload
    return table.tobytes()


@cache
def _record_layout(sizes: tuple[tuple[int, int], ...]) -> tuple[Array, list[int]]:
    """Lay out one agent's entry of the list.

    Args:
        sizes: (field number, bytes) of its packed lists.

    Returns:
        The entry with zeros for the lists, (bytes,) uint8; where each list starts.
    """
    fields = [_header(number, size) if size else b"" for number, size in sizes]  # an empty list is not sent
    body_size = sum(len(field) for field in fields) + sum(size for _, size in sizes)
    record = bytearray(_header(_LIST_VALUE, body_size))
    starts = []
    for field, (_, size) in zip(fields, sizes, strict=True):
        record += field
        starts.append(len(record))
        record += bytes(size)
    return np.frombuffer(bytes(record), dtype=np.uint8), starts


def _header(number: int, size: int) -> bytes:
    return varint(number << 3 | _DELIMITED) + varint(size)


def _float_bytes(values: Array) -> Array:
    return np.ascontiguousarray(values, dtype="<f4").view(np.uint8)


def _varint_bytes(values: Array) -> Array:
    """Encode int32 (N, k) as varints of one width, (N, k * width)."""
    unsigned = np.ascontiguousarray(values, dtype=np.int32).view(np.uint32)
    width = max(1, -(-int(unsigned.max(initial=0)).bit_length() // 7))
    groups = unsigned[:, :, None] >> np.arange(0, 7 * width, 7, dtype=np.uint32) & 0x7F
    groups[:, :, :-1] |= 0x80
    return groups.astype(np.uint8).reshape(len(values), -1)
