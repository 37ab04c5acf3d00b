"""TensorFlow's record files: where each record lies, a block of the file at a time.

A record is its length (8 bytes), the length's CRC32C, the data, the data's CRC32C.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from unstuck.reading.checksums import crc32c, masked
from unstuck.source import UnreadableRunError

BEFORE, AFTER = 12, 4  # bytes around the data of a record
BLOCK = 16_000_000  # bytes of a file that are held at a time; longer records are passed over
PADDING = 16  # zeros behind a block, so that a record may be looked at in whole words
_LENGTH = struct.Struct("<Q")


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Some records of a file: where each one's data starts in `data`, and its length."""

    data: NDArray[np.uint8]
    start: NDArray[np.int64]
    length: NDArray[np.int64]


def begins(head: bytes) -> bool:
    """Whether a file begins like a record file: a length and its right sum."""
    return len(head) >= BEFORE and _length_sum(head[:8]) == int.from_bytes(head[8:12], "little")


def blocks(path: Path, remarks: list[str]) -> Iterator[Block]:
    """The records of a file; what is wrong with it, in words, is added to `remarks`."""
    try:
        with path.open("rb") as file:
            yield from _blocks(file, remarks)
    except OSError as error:
        raise UnreadableRunError(f"{path} cannot be read ({error.strerror or error})") from None


def _blocks(file: BinaryIO, remarks: list[str]) -> Iterator[Block]:
    held = b""
    while True:
        more = file.read(BLOCK)
        held += more
        starts, at = _walked(held)
        block = _block(held, starts, at)
        intact = _intact(block)
        yield Block(block.data, block.start[:intact], block.length[:intact])
        held = held[at:]
        if intact < block.start.size or (len(held) >= BEFORE and not begins(held[:BEFORE])):
            remarks.append("the file is damaged: what follows the damage was left out")
            return
        if len(held) >= BEFORE:
            size = _LENGTH.unpack_from(held)[0] + BEFORE + AFTER
            if size > BLOCK and _passed_over(file, size - len(held)):
                held = b""
                continue
        if not more:
            if held:
                remarks.append("the last record is cut off and was left out")
            return


def _walked(held: bytes) -> tuple[list[int], int]:
    """Where the data of each whole record starts, and where the last of them ends."""
    at, end, unpack = 0, len(held) - BEFORE - AFTER, _LENGTH.unpack_from
    starts: list[int] = []
    while at <= end:
        after = at + unpack(held, at)[0] + BEFORE + AFTER
        if after > end + BEFORE + AFTER:
            break
        starts.append(at + BEFORE)
        at = after
    return starts, at


def _block(held: bytes, starts: list[int], end: int) -> Block:
    data = np.zeros(len(held) + PADDING, dtype=np.uint8)
    data[: len(held)] = np.frombuffer(held, dtype=np.uint8)
    start = np.array(starts, dtype=np.int64)
    return Block(data, start, np.diff(start, append=end + BEFORE) - BEFORE - AFTER)


def _intact(block: Block) -> int:
    """How many records come before the first whose length does not have the right sum."""
    lengths, which = np.unique(block.length, return_inverse=True)
    right = np.array([_length_sum(_LENGTH.pack(n)) for n in lengths.tolist()], dtype=np.uint32)
    windows = np.lib.stride_tricks.sliding_window_view(block.data, 4)
    stored = windows[block.start - 4].view("<u4").ravel()
    wrong = np.flatnonzero(stored != right[which])
    return int(wrong[0]) if wrong.size else block.start.size


def _length_sum(packed: bytes) -> int:
    return int(masked(np.array([crc32c(packed)], dtype=np.uint32))[0])


def _passed_over(file: BinaryIO, count: int) -> bool:
    """Skip `count` bytes; False where the file has fewer."""
    here = file.tell()
    end = file.seek(0, 2)
    file.seek(min(here + count, end))
    return here + count <= end
