"""As much of protobuf's wire format as the codec reads and writes itself."""

from collections.abc import Iterator

_VARINT, _FIXED64, _DELIMITED, _FIXED32 = 0, 1, 2, 5
_COMPRESSED_DATA, _FLOAT_DATA = 3, 4  # ObservationProto: the two members of one oneof
_PACKED_DATA = 0x0A  # FloatData.data: field 1, length-delimited


def varint(value: int) -> bytes:
    """Encode a non-negative integer, seven bits a byte, the lowest first."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """Return the integer that starts at `at`, and where the next byte is.

    Raises:
        IndexError: the data ends inside it.
    """
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
        shift += 7


def fields(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield (field number, first byte, byte after the last) of every length-delimited field, in order.

    The data must be a message that protobuf has accepted.

    Raises:
        ValueError: it has a group, which ends where only its content tells.
    """
    at = 0
    while at < len(data):
        tag, at = read_varint(data, at)
        number, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            _, at = read_varint(data, at)
        elif kind == _DELIMITED:
            length, at = read_varint(data, at)
            yield number, at, at + length
            at += length
        elif kind in (_FIXED64, _FIXED32):
            at += 8 if kind == _FIXED64 else 4
        else:
            raise ValueError(f"field {number}: wire type {kind}")


def packed_floats(observation: bytes) -> tuple[int, int] | None:
    """Find the floats of an ObservationProto that has them all in one packed list.

    Returns:
        (first byte, byte after the last), or None where the message is encoded in any other legal way.
    """
    try:
        found = [field for field in fields(observation) if field[0] in (_COMPRESSED_DATA, _FLOAT_DATA)]
    except ValueError:
        return None
    if len(found) != 1 or found[0][0] != _FLOAT_DATA:
        return None
    _, start, end = found[0]
    if start == end or observation[start] != _PACKED_DATA:
        return None
    length, first = read_varint(observation, start + 1)
    return (first, end) if first + length == end else None
