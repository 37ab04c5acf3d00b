"""Logs in LevelDB's format: records cut into blocks of 32 KiB, each piece with a CRC32.

A piece is its sum (4 bytes), its length (2), its kind (1: whole, 2: first, 3: middle, 4: last) and
its data. Where a sum is wrong, reading goes on at the next block, as LevelDB itself does.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from unstuck.source import UnreadableRunError

BLOCK = 32_768
LONGEST = 16_000_000  # bytes of one record; longer ones are passed over
_BLOCKS = 128  # read at a time
_PIECE = struct.Struct("<IHB")
_WHOLE, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4


@dataclass(slots=True)
class Damage:
    """What of a log could not be read."""

    places: int = 0
    cut_off: bool = False

    def remark(self) -> str:
        told = (
            [f"damaged places whose records were left out: {self.places:,}"] if self.places else []
        )
        told += ["the last record is cut off and was left out"] if self.cut_off else []
        return "; ".join(told)


def records(path: Path, header: int, damage: Damage) -> Iterator[bytes]:
    """The records of a log file that starts with a header of so many bytes."""
    try:
        with path.open("rb") as file:
            yield from _joined(_pieces(file, header, damage), damage)
    except OSError as error:
        raise UnreadableRunError(f"{path} cannot be read ({error.strerror or error})") from None


def _joined(pieces: Iterator[tuple[int, bytes]], damage: Damage) -> Iterator[bytes]:
    held: list[bytes] | None = None
    size = 0
    for kind, data in pieces:
        if kind in (_WHOLE, _FIRST):
            damage.places += held is not None
            held, size = None, 0
        if kind == _WHOLE:
            yield data
        elif kind == _FIRST:
            held, size = [data], len(data)
        elif held is not None:
            size += len(data)
            if size > LONGEST:
                damage.places += 1
                held = None
                continue
            held.append(data)
            if kind == _LAST:
                yield b"".join(held)
                held = None
    damage.cut_off |= held is not None


def _pieces(file: BinaryIO, header: int, damage: Damage) -> Iterator[tuple[int, bytes]]:
    at = header
    while blocks := file.read(BLOCK * _BLOCKS):
        for start in range(0, len(blocks), BLOCK):
            stop = min(start + BLOCK, len(blocks))
            yield from _pieces_of_block(blocks, start + at, stop, stop - start == BLOCK, damage)
            at = 0


def _pieces_of_block(
    data: bytes, at: int, stop: int, full: bool, damage: Damage
) -> Iterator[tuple[int, bytes]]:
    """The pieces of one block; a last block that is not full may end within one."""
    while at + _PIECE.size <= stop:
        crc, length, kind = _PIECE.unpack_from(data, at)
        at += _PIECE.size
        content = data[at : min(at + length, stop)]
        if len(content) < length and not full:
            damage.cut_off = True
            return
        if crc != zlib.crc32(content, zlib.crc32(bytes([kind]))) or not _WHOLE <= kind <= _LAST:
            damage.places += 1
            return
        yield kind, content
        at += length
    damage.cut_off |= not full and at < stop
