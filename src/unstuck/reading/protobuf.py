r"""The wire format of protocol buffers, walked without a schema: which field lies where.

>>> [(number, value_of(data, wire, start, stop)) for data in [b"\x08\x96\x01\x12\x02hi"]
...  for number, wire, start, stop in fields(data)]
[(1, 150), (2, b'hi')]
"""

import struct
from collections.abc import Iterator

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # wire types; 3 and 4 (groups) went out of use
LONGEST_VARINT = 10
_SIZES = {FIXED64: 8, FIXED32: 4}
_DOUBLE, _FLOAT = struct.Struct("<d"), struct.Struct("<f")

Field = tuple[int, int, int, int]  # number, wire type, where its content starts and stops


class WireError(ValueError):
    """Bytes that are no protocol buffer."""


def varint(data: bytes, at: int, stop: int) -> tuple[int, int]:
    """The whole number written at `at`, and where it ends."""
    value = 0
    for i, byte in enumerate(data[at : min(stop, at + LONGEST_VARINT)]):
        value |= (byte & 0x7F) << (7 * i)
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, at + i + 1
    raise WireError("a whole number does not end")


def fields(data: bytes, start: int = 0, stop: int | None = None) -> Iterator[Field]:
    """The fields of one message in order; WireError where they do not fit into it."""
    at, end = start, len(data) if stop is None else stop
    while at < end:
        key = data[at]
        at += 1
        if key >= 0x80:
            key, at = varint(data, at - 1, end)
        wire = key & 7
        if wire == BYTES:
            size, first = varint(data, at, end)
        elif wire == VARINT:
            first = at
            size = varint(data, at, end)[1] - at
        else:
            first, size = at, _SIZES.get(wire, -1)
        at = first + size
        if size < 0 or at > end or key < 8:
            raise WireError("a field does not fit into its message")
        yield key >> 3, wire, first, at


def value_of(data: bytes, wire: int, start: int, stop: int) -> int | float | bytes:
    """A field's content: a whole number, a float or bytes by its wire type."""
    if wire == VARINT:
        return varint(data, start, stop)[0]
    if wire == FIXED64:
        return float(_DOUBLE.unpack_from(data, start)[0])
    if wire == FIXED32:
        return float(_FLOAT.unpack_from(data, start)[0])
    return data[start:stop]


def text(data: bytes, start: int, stop: int) -> str:
    """A text field; bytes that are no UTF-8 are replaced."""
    return data[start:stop].decode("utf-8", "replace")
