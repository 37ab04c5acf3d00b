"""TensorBoard event files -> the scalars in them, without a Python object for each.

Records of one length are laid into the rows of a matrix. Rows that are equal but for the bytes of
step, wall time and value share a layout: one of them is parsed, all are read by its places.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unstuck.reading.assemble import Readings
from unstuck.reading.bounds import MOST_READINGS, MOST_SERIES
from unstuck.reading.checksums import LONGEST, crc32c_of_rows, masked
from unstuck.reading.event import Layout, ScalarAt, layout_of
from unstuck.reading.protobuf import WireError
from unstuck.reading.tfrecord import AFTER, Block, blocks
from unstuck.records import Floats
from unstuck.source import UnreadableRunError

Rows = NDArray[np.uint8]
Ints = NDArray[np.int64]
Places = tuple[tuple[int, int, int], ...]
_MIX = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio: odd, without a pattern
_MOST_RESTARTS = 10_000
_MOST_MISSES = 8  # groups of another layout before the rest waits for its own turn


@dataclass(slots=True)
class EventLog:
    """What the event files of one directory hold, in the order they were written."""

    pieces: dict[str, list[tuple[Ints, Ints, Floats, Floats]]] = field(default_factory=dict)
    restarts: list[tuple[int, int]] = field(default_factory=list)  # (record, step)
    hparams: list[bytes] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    records: int = 0
    readings: int = 0
    _tensors: set[str] = field(default_factory=set)  # tags with values that may be no scalars
    _scalars: set[str] = field(default_factory=set)  # tags that are said to be scalars

    def add(self, file: Path) -> None:
        """Read one more file."""
        remarks: list[str] = []
        damaged = 0
        for block in blocks(file, remarks):
            for rows, which in _by_length(block):
                damaged += self._add_rows(rows, which + self.records)
            self.records += block.start.size
        if damaged:
            remarks.append(f"damaged records that were left out: {damaged:,}")
        self.remarks += [f"{file.name}: {remark}" for remark in remarks]

    def scalars(self) -> dict[str, Readings]:
        """The readings of every scalar; those a restart has made void are left out."""
        dubious = self._tensors - self._scalars
        first = {tag: min(int(p[0][0]) for p in pieces) for tag, pieces in self.pieces.items()}
        return {
            tag: self._joined(self.pieces[tag])
            for tag in sorted(self.pieces, key=first.__getitem__)
            if tag not in dubious
        }

    def _joined(self, pieces: Sequence[tuple[Ints, Ints, Floats, Floats]]) -> Readings:
        record, step, value, wall = (np.concatenate(part) for part in zip(*pieces, strict=True))
        if np.any(np.diff(record) < 0):
            order = np.argsort(record, kind="stable")
            record, step, value, wall = record[order], step[order], value[order], wall[order]
        for restart, first in self.restarts:
            kept = (record > restart) | (step < first)
            if not kept.all():
                record, step, value, wall = record[kept], step[kept], value[kept], wall[kept]
        return Readings(step, value, wall)

    def _add_rows(self, rows: Rows, which: Ints) -> int:
        """Note the scalars of records of one length; how many records were damaged."""
        damaged = 0
        handled = np.zeros(len(rows), dtype=np.bool_)
        waiting = np.arange(len(rows))
        while waiting.size:
            first = waiting[0]
            layout = _layout(rows[first])
            if layout is None or not layout.scalars:
                waiting = waiting[1:]
                if layout is None:
                    damaged += 1
                elif layout.hparams or layout.restarts:
                    damaged += self._add_alike(layout, rows[[first]], which[[first]])
                continue
            places, misses = layout.places(), 0
            for group in _alike(rows, waiting, places):
                layout = _layout(rows[group[0]])
                if layout is None:
                    damaged += group.size
                elif layout.places() == places:
                    damaged += self._add_alike(layout, rows[group], which[group])
                elif (misses := misses + 1) < _MOST_MISSES:
                    continue
                else:
                    break
                handled[group] = True
            waiting = waiting[~handled[waiting]]
        return damaged

    def _add_alike(self, layout: Layout, rows: Rows, which: Ints) -> int:
        """Note the scalars of records of one layout; how many of them were damaged."""
        right = _undamaged(layout, rows)
        damaged = int(np.count_nonzero(~right))
        if damaged:
            rows, which = rows[right], which[right]
        if not len(rows):
            return damaged
        step = _varints(rows, *layout.step)
        wall = np.full(len(rows), np.nan)
        if layout.wall >= 0:
            wall = _fixed(rows, layout.wall, layout.wall + 8, "<f8")
        for scalar in layout.scalars:
            self.pieces.setdefault(scalar.tag, []).append((which, step, _value(rows, scalar), wall))
        self._tensors.update(s.tag for s in layout.scalars if s.is_tensor)
        self._scalars.update(layout.scalar_tags)
        if layout.hparams:
            self.hparams.append(layout.hparams)
        if layout.restarts and len(self.restarts) < _MOST_RESTARTS:
            self.restarts += zip(which.tolist(), step.tolist(), strict=True)
        self.readings += len(rows) * len(layout.scalars)
        if self.readings > MOST_READINGS or len(self.pieces) > MOST_SERIES:
            raise UnreadableRunError(
                f"more than {MOST_SERIES:,} series or {MOST_READINGS:,} readings in one directory "
                "of event files; give a part of it"
            )
        return damaged


def _by_length(block: Block) -> Iterator[tuple[Rows, Ints]]:
    """The records of a block, those of one length together: one a row, its sum at the end."""
    order = np.argsort(block.length, kind="stable")
    starts = np.flatnonzero(np.diff(block.length[order], prepend=-1))
    for which in np.split(order, starts[1:]) if order.size else []:
        width = int(block.length[which[0]]) + AFTER
        windows = np.lib.stride_tricks.sliding_window_view(block.data, width)
        yield windows[block.start[which]], which


def _layout(row: Rows) -> Layout | None:
    try:
        return layout_of(row[:-AFTER].tobytes())
    except WireError:
        return None


def _alike(rows: Rows, waiting: Ints, places: Places) -> Iterator[Ints]:
    """Rows that are equal outside the places of the first row's layout.

    The group of the first row comes first, then the largest.
    """
    same = waiting[_built_alike(rows, waiting, places)]
    length = rows.shape[1] - AFTER
    kept = np.full(-(-length // 8) * 8, 0xFF, dtype=np.uint8)
    kept[length:] = 0
    for start, stop, bits in places:
        kept[start:stop] = bits
    words = np.zeros((same.size, kept.size), dtype=np.uint8)
    words[:, :length] = rows[same, :length]
    mixed = np.zeros(same.size, dtype=np.uint64)
    for word, mask in zip(words.view(np.uint64).T, kept.view(np.uint64), strict=True):
        mixed = (mixed ^ (word & mask)) * _MIX
        mixed ^= mixed >> np.uint64(29)
    order = np.argsort(mixed, kind="stable")
    same, starts = same[order], np.flatnonzero(np.diff(mixed[order], prepend=mixed[order[0]] ^ 1))
    stops = np.append(starts[1:], same.size)
    size = stops - starts
    size[np.flatnonzero(same[starts] == waiting[0])[0]] = same.size + 1
    for group in np.argsort(-size, kind="stable"):
        yield same[starts[group] : stops[group]]


def _built_alike(rows: Rows, waiting: Ints, places: Places) -> NDArray[np.bool_]:
    """Whether rows have, around the given places and in the bits that count there, the same."""
    same = np.ones(waiting.size, dtype=np.bool_)
    for start, stop, bits in places:
        told = [(start - 1, 0xFF), *((c, bits) for c in range(start, stop) if bits)]
        if stop < rows.shape[1] - AFTER:
            told.append((stop, 0xFF))
        for column, mask in told:
            byte = rows[waiting, column] & np.uint8(mask)
            same &= byte == byte[0]
    return same


def _undamaged(layout: Layout, rows: Rows) -> NDArray[np.bool_]:
    """Whether each row has the right sum; long records are not checked."""
    if rows.shape[1] > LONGEST:
        return np.ones(len(rows), dtype=np.bool_)
    columns = [c for start, stop, _ in layout.places() for c in range(start, stop)]
    sums = masked(crc32c_of_rows(rows[:, :-AFTER], columns))
    return np.asarray(sums == np.ascontiguousarray(rows[:, -AFTER:]).view("<u4").ravel())


def _value(rows: Rows, scalar: ScalarAt) -> Floats:
    start, stop, coding = scalar.start, scalar.stop, scalar.coding
    if coding == "int":
        return _varints(rows, start, stop).astype(np.float64)
    if coding == "half bits":
        return _varints(rows, start, stop).astype(np.uint16).view(np.float16).astype(np.float64)
    if coding == "bfloat16 bits":
        return _bfloat16(_varints(rows, start, stop).astype(np.uint16))
    if coding == "bfloat16":
        return _bfloat16(np.ascontiguousarray(rows[:, start:stop]).view("<u2").ravel())
    return _fixed(rows, start, stop, coding)


def _bfloat16(bits: NDArray[np.uint16]) -> Floats:
    """The upper half of a float32."""
    return (bits.astype(np.uint32) << np.uint32(16)).view(np.float32).astype(np.float64)


def _fixed(rows: Rows, start: int, stop: int, coding: str) -> Floats:
    with np.errstate(invalid="ignore"):  # a signalling NaN is a NaN
        return np.ascontiguousarray(rows[:, start:stop]).view(coding).ravel().astype(np.float64)


def _varints(rows: Rows, start: int, stop: int) -> Ints:
    """Whole numbers of equally many bytes; a negative one has ten."""
    value = np.zeros(len(rows), dtype=np.uint64)
    for i, column in enumerate(range(start, stop)):
        value |= (rows[:, column] & np.uint8(0x7F)).astype(np.uint64) << np.uint64(7 * i)
    return value.view(np.int64)
