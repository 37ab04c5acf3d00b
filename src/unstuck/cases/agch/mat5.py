"""Look over a matrix of a MATLAB 5 file before scipy reads it.

scipy.io.loadmat takes the codes of types from the file as they are: a damaged one makes it end the
whole process. The format: MathWorks, "MAT-File Format", chapter 1. An element is a tag (type and
size, 4 bytes each, or 2 and 2 where 4 bytes of data follow at once) and data up to a multiple of 8.
"""

import struct
import zlib
from pathlib import Path
from typing import BinaryIO, Protocol

HEADER = 128  # bytes, the last two tell the order of bytes
MATRIX, COMPRESSED = 14, 15
SPARSE, LAST_CLASS = 5, 15  # classes of arrays; those between are numbers of some kind
COMPLEX = 0x800
BYTES = {1: 1, 2: 1, 3: 2, 4: 2, 5: 4, 6: 4, 7: 4, 9: 8, 12: 8, 13: 8}  # of a number, by its type
LONGEST = 1024  # bytes of dimensions or of a name
CHUNK = 1 << 20


class Stream(Protocol):
    def read(self, size: int, /) -> bytes: ...


class Inflated:
    """What a compressed element holds, as far as it is asked for."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self.file, self.left = file, size
        self.inflate = zlib.decompressobj()

    def read(self, size: int, /) -> bytes:
        found = b""
        while len(found) < size:
            packed = self.inflate.unconsumed_tail
            if not packed:
                packed = self.file.read(min(self.left, CHUNK))
                self.left -= len(packed)
            more = self.inflate.decompress(packed, size - len(found))
            if not packed and not more:
                break
            found += more
        return found


def check(file: Path, key: str) -> None:
    """ValueError unless the matrix `key` is of numbers and its parts are of the sizes they say."""
    with file.open("rb") as opened:
        header = opened.read(HEADER)
        if 0 in header[:4]:
            return  # MATLAB 4, which scipy reads without such codes
        order = "<" if header[-2:] == b"IM" else ">"
        while len(tag := opened.read(8)) == 8:
            kind, size = struct.unpack(f"{order}II", tag)
            end = opened.tell() + size
            stream: Stream = opened
            if kind == COMPRESSED:
                stream = Inflated(opened, size)
                kind = struct.unpack(f"{order}II", _exactly(stream, 8))[0]
            if kind != MATRIX:
                raise ValueError(f"an element of type {kind} where a matrix is expected")
            if _is_sound(stream, order, key):
                return
            opened.seek(end)
    raise ValueError("the file ends before it")


def _is_sound(stream: Stream, order: str, key: str) -> bool:
    """Whether a matrix has this name; ValueError where it has and is damaged or has no numbers."""
    flags, _ = struct.unpack(f"{order}II", _small(stream, order)[:8].ljust(8, b"\0"))
    sides = _small(stream, order)
    if _small(stream, order).decode("latin-1") != key:
        return False
    kind = flags & 0xFF
    if not SPARSE <= kind <= LAST_CLASS:
        raise ValueError("it holds no numbers")
    expected = 1
    for side in struct.unpack(f"{order}{len(sides) // 4}i", sides[: len(sides) // 4 * 4]):
        expected *= side
    parts = (2 if kind == SPARSE else 0) + (2 if flags & COMPLEX else 1)
    for _ in range(parts):
        number, size, here = _tag(stream, order)
        if number not in BYTES:
            raise ValueError(f"a part of it is of type {number}, which no number is of")
        if kind != SPARSE and size != expected * BYTES[number]:
            raise ValueError(f"{size:,} bytes of numbers, expected {expected * BYTES[number]:,}")
        _skip(stream, here)
    return True


def _tag(stream: Stream, order: str) -> tuple[int, int, int]:
    """Type and size of an element, and how many bytes follow; none if they were in the tag."""
    first = _exactly(stream, 4)
    kind = struct.unpack(f"{order}I", first)[0]
    if kind >> 16:
        _exactly(stream, 4)
        return kind & 0xFFFF, kind >> 16, 0
    size = struct.unpack(f"{order}I", _exactly(stream, 4))[0]
    return kind, size, -(-size // 8) * 8


def _small(stream: Stream, order: str) -> bytes:
    """The data of an element that is short: flags, dimensions or a name."""
    tag = _exactly(stream, 8)
    kind, size = struct.unpack(f"{order}II", tag)
    if kind >> 16:
        return tag[4 : 4 + min(4, kind >> 16)]
    if size > LONGEST:
        raise ValueError(f"a name or dimensions of {size:,} bytes")
    return _exactly(stream, -(-size // 8) * 8)[:size]


def _skip(stream: Stream, size: int) -> None:
    while size:
        size -= len(_exactly(stream, min(size, CHUNK)))


def _exactly(stream: Stream, size: int) -> bytes:
    found = stream.read(size)
    if len(found) != size:
        raise ValueError("the file ends too early")
    return found
