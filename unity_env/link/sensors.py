"""One sensor's observations, bytes -> array."""

import math
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError
from mlagents_envs.communicator_objects.observation_pb2 import NONE, ObservationProto
from mlagents_envs.rpc_utils import process_pixels

from unity_env.link.errors import MalformedMessageError, NonFiniteError, ObservationShapeError
from unity_env.link.wire import packed_floats

Array = np.ndarray

_PNG_SIZE = struct.Struct(">8x4x4xII")  # signature, chunk length, "IHDR", width, height


class SensorReader:
    """Reads one sensor's observations of a batch of agents.

    An observation of floats consists of a head (shape), the floats, and a tail (name, type). Head and tail are the
    same for every agent in every step, so they are looked at field by field once. What has the same head, tail and
    length can differ in nothing but the floats, and of those numpy reads all at once. Anything else is read one by
    one, as the official client does.

    Args:
        label: behavior and sensor, for error messages.
        shape: of one observation, as the behavior announced it.
    """

    def __init__(self, label: str, shape: tuple[int, ...]) -> None:
        self._label = label
        self._shape = shape
        self._size = math.prod(shape)
        self._is_image = len(shape) == 3
        self._layout: tuple[bytes, bytes] | None = None

    def read(self, blobs: Sequence[bytes], ids: Array) -> Array:
        """Return float32 (N, *shape).

        Args:
            blobs: serialised ObservationProtos, at least one.
            ids: the agents'.
        """
        floats = self._floats(blobs)
        if len(floats) != len(blobs):
            self._layout = self._find_layout(blobs[0], ids[0])
            floats = self._floats(blobs)
        if len(floats) == len(blobs):
            batch = np.frombuffer(bytearray().join(floats), dtype=np.float32).reshape(len(blobs), *self._shape)
        else:
            batch = np.stack([self._one(blob, agent) for blob, agent in zip(blobs, ids, strict=True)])
        # As in the official client, images are let through: looking for NaN there costs more than it finds.
        if not self._is_image and not all_finite(batch):
            raise NonFiniteError(name_non_finite(batch, ids, self._label))
        return batch

    def _floats(self, blobs: Sequence[bytes]) -> list[bytes]:
        """Cut the floats out of those observations that have the known layout."""
        if self._layout is None:
            return []
        head, tail = self._layout
        start, end = len(head), len(head) + 4 * self._size
        size = end + len(tail)
        return [
            blob[start:end] for blob in blobs if len(blob) == size and blob.startswith(head) and blob.endswith(tail)
        ]

    def _find_layout(self, blob: bytes, agent: int) -> tuple[bytes, bytes] | None:
        """Return head and tail of an observation of packed floats, None for one of any other kind."""
        obs = self._parse(blob, agent)
        floats = packed_floats(blob)
        if floats is None or obs.compression_type != NONE or tuple(obs.shape) != self._shape:
            return None
        start, end = floats
        return (blob[:start], blob[end:]) if end - start == 4 * self._size else None

    def _parse(self, blob: bytes, agent: int) -> Any:
        try:
            return ObservationProto.FromString(blob)
        except DecodeError as error:
            raise MalformedMessageError(f"{self._label}, agent {agent}: unreadable observation ({error})") from error

    def _one(self, blob: bytes, agent: int) -> Array:
        """Read one observation of any legal encoding."""
        obs = self._parse(blob, agent)
        if tuple(obs.shape) != self._shape:
            raise ObservationShapeError(
                f"{self._label}, agent {agent}: shape {tuple(obs.shape)}, announced was {self._shape}"
            )
        if self._is_image and obs.compression_type != NONE:
            return _image(obs, f"{self._label}, agent {agent}")
        values = np.array(obs.float_data.data, dtype=np.float32)
        if values.size != self._size:
            raise ObservationShapeError(f"{self._label}, agent {agent}: {values.size} numbers for shape {self._shape}")
        return values.reshape(self._shape)


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


def all_finite(values: Array) -> bool:
    """Tell whether there is no NaN and no infinity; on small arrays in a third of the time of `isfinite().all()`."""
    return bool(np.count_nonzero(np.isfinite(values)) == values.size)


def name_non_finite(values: Array, ids: Array, label: str) -> str:
    """Name the first number that is not finite; row i belongs to agent ids[i]."""
    bad = np.argwhere(~np.isfinite(values))
    where = tuple(int(index) for index in bad[0])
    row, component = where[0], where[1:]
    at = f", component {component[0] if len(component) == 1 else component}" if component else ""
    return f"{label}, agent {ids[row]}{at}: {values[where]}; {len(bad)} of {values.size} numbers are not finite"
