"""Commands and actions -> the bytes of a UnityMessageProto."""

from collections.abc import Mapping

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
    both = continuous if discrete.shape[1] == 0 else np.hstack([continuous, discrete.astype(np.float32)])
    record = np.hstack(
        [
            _field(_ANY_ACTIONS, _float_bytes(both)),
            _field(_CONTINUOUS_ACTIONS, _float_bytes(continuous)),
            _field(_DISCRETE_ACTIONS, _varint_bytes(discrete)),
        ]
    )
    return _with_header(_LIST_VALUE, record).tobytes()


def _field(number: int, payload: Array) -> Array:
    """Prefix (N, size) bytes with tag and length; an empty list is not sent at all."""
    return _with_header(number, payload) if payload.shape[1] else payload


def _with_header(number: int, payload: Array) -> Array:
    header = varint(number << 3 | _DELIMITED) + varint(payload.shape[1])
    columns = np.empty((len(payload), len(header) + payload.shape[1]), dtype=np.uint8)
    columns[:, : len(header)] = np.frombuffer(header, dtype=np.uint8)
    columns[:, len(header) :] = payload
    return columns


def _float_bytes(values: Array) -> Array:
    return np.ascontiguousarray(values, dtype="<f4").view(np.uint8)


def _varint_bytes(values: Array) -> Array:
    """Encode int32 (N, k) as varints of one width, (N, k * width)."""
    unsigned = np.ascontiguousarray(values, dtype=np.int32).view(np.uint32)
    width = max(1, -(-int(unsigned.max(initial=0)).bit_length() // 7))
    groups = unsigned[:, :, None] >> np.arange(0, 7 * width, 7, dtype=np.uint32) & 0x7F
    groups[:, :, :-1] |= 0x80
    return groups.astype(np.uint8).reshape(len(values), -1)
