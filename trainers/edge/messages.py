"""What travels between the robot's program and the runtime: packed float32, or JSON.

A packed observation is `<4sII` OBS1, sequence, flags (1 = forget the episode before this one), then float32, all
little-endian: the components in order, then the masks where there are any. The answer is `<4sIII` ACT1, the same
sequence, status (0 policy, 1 safe action, 2 refused), microseconds of computing, then the action as float32.

JSON is {"obs": [..] or {component: [..]}, "sequence": n, "reset": true, "order": [component, ..]}, of which only obs
is needed, or the bare list; the answer says the action, what it means in SI units, the status and why.
"""

from __future__ import annotations

import json
import struct
from typing import Any, NamedTuple, Optional, Sequence

import numpy as np

from .errors import EdgeError

Array = np.ndarray
REQUEST, ANSWER = struct.Struct("<4sII"), struct.Struct("<4sIII")
ASK, SAY = b"OBS1", b"ACT1"
RESET = 1
POLICY, SAFE, REFUSED = range(3)
STATUS = ("policy", "safe", "refused")


class Request(NamedTuple):
    """An observation that was sent.

    Attributes:
        obs: as `ActorRunner.act` takes it.
        sequence: the sender's number.
        reset: begin a new episode with it.
        order: names of its components; None where the sender does not say.
        packed: whether the answer is to be packed, too.
    """

    obs: Any
    sequence: int = 0
    reset: bool = False
    order: Optional[Sequence[str]] = None
    packed: bool = False


class Answer(NamedTuple):
    """What the robot is to do.

    Attributes:
        action: (A,).
        status: POLICY, SAFE or REFUSED.
        sequence: of the observation that it answers.
        computed_us: microseconds from the observation's arrival to the action.
        reason: why it is not the policy's.
        command: the action in SI units, by name.
    """

    action: Array
    status: int
    sequence: int
    computed_us: int
    reason: str
    command: Any = None


def pack_request(obs: Array, sequence: int = 0, *, reset: bool = False) -> bytes:
    """Pack an observation, (D,) or (D + M,)."""
    return REQUEST.pack(ASK, sequence, RESET if reset else 0) + np.asarray(obs, "<f4").tobytes()


def unpack_request(data: bytes) -> Request:
    """Read a packed or JSON observation.

    Raises:
        EdgeError: it is neither.
    """
    if data[:4] == ASK:
        if len(data) < REQUEST.size or (len(data) - REQUEST.size) % 4:
            raise EdgeError(f"request: {len(data)} bytes are not {REQUEST.size} and a multiple of 4")
        _, sequence, flags = REQUEST.unpack_from(data)
        return Request(np.frombuffer(data, "<f4", offset=REQUEST.size), sequence, bool(flags & RESET), packed=True)
    try:
        said = json.loads(data.decode())
    except (ValueError, RecursionError):
        raise EdgeError(f"request: {data[:20]!r} is neither JSON nor begins with {ASK.decode()}") from None
    if isinstance(said, list):
        return Request(said)
    if not isinstance(said, dict) or "obs" not in said:
        raise EdgeError('request: no "obs" in it')
    sequence, order = said.get("sequence", 0), said.get("order")
    if not isinstance(sequence, int):
        raise EdgeError(f"request: sequence {sequence!r} is not a whole number")
    if not isinstance(order, (list, type(None))):
        raise EdgeError(f"request: order {order!r} is not a list of components")
    return Request(said["obs"], sequence, bool(said.get("reset")), order)


def pack_answer(answer: Answer, *, packed: bool) -> bytes:
    """Pack an answer, or write it as JSON."""
    if packed:
        head = ANSWER.pack(SAY, answer.sequence & 0xFFFFFFFF, answer.status, min(answer.computed_us, 0xFFFFFFFF))
        return head + answer.action.astype("<f4").tobytes()
    said = {
        "action": [round(float(value), 7) for value in answer.action],
        "si": answer.command,
        "status": STATUS[answer.status],
        "sequence": answer.sequence,
        "computed_us": answer.computed_us,
    }
    return json.dumps({**said, "reason": answer.reason} if answer.reason else said).encode()


def unpack_answer(data: bytes) -> Answer:
    """Read a packed answer.

    Raises:
        EdgeError: it is none.
    """
    if len(data) < ANSWER.size or data[:4] != SAY:
        raise EdgeError(f"answer: {data[:20]!r} does not begin with {SAY.decode()}")
    _, sequence, status, computed_us = ANSWER.unpack_from(data)
    return Answer(np.frombuffer(data, "<f4", offset=ANSWER.size), status, sequence, computed_us, "")
