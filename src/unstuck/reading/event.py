"""One TensorBoard event: where in its bytes the step, the wall time and each scalar lie."""

from dataclasses import dataclass, field

from unstuck.reading.protobuf import BYTES, FIXED32, FIXED64, VARINT, Field, fields, text, varint

SCALARS, HPARAMS = "scalars", "hparams"  # plugins whose values are read
_START = 1  # of a session: what an earlier one wrote from this step on is void
_WALL_TIME, _STEP, _SUMMARY, _SESSION_LOG = (1, FIXED64), (2, VARINT), (5, BYTES), (7, BYTES)
_TAG, _SIMPLE_VALUE, _TENSOR, _METADATA = (1, BYTES), (2, FIXED32), (8, BYTES), (9, BYTES)
_CONTENT = 4  # of a tensor: its numbers as they lie in memory
_TYPES = {  # DataType: its numpy type, else the field of its values and how they are coded there
    1: ("<f4", 5, "<f4"),
    2: ("<f8", 6, "<f8"),
    3: ("<i4", 7, "int"),
    4: ("|u1", 7, "int"),
    5: ("<i2", 7, "int"),
    6: ("|i1", 7, "int"),
    9: ("<i8", 10, "int"),
    10: ("|u1", 11, "int"),
    14: ("bfloat16", 13, "bfloat16 bits"),
    17: ("<u2", 7, "int"),
    19: ("<f2", 13, "half bits"),
    22: ("<u4", 16, "int"),
    23: ("<u8", 17, "int"),
}
_SIZES = {"bfloat16": 2}


@dataclass(frozen=True, slots=True)
class ScalarAt:
    """A scalar of an event: its tag, where its value lies, how it is coded there."""

    tag: str
    start: int
    stop: int
    coding: str  # a numpy type, or "int", "half bits", "bfloat16 bits" for a varint
    is_tensor: bool


@dataclass(slots=True)
class Layout:
    """Where things lie in an event. Events that differ in these places alone share one layout."""

    wall: int = -1
    step: tuple[int, int] = (0, 0)
    scalars: list[ScalarAt] = field(default_factory=list)
    scalar_tags: list[str] = field(default_factory=list)  # said to hold scalars by this event
    hparams: bytes = b""
    restarts: bool = False

    def places(self) -> tuple[tuple[int, int, int], ...]:
        """(start, stop, bits that tell the layout) of what differs from event to event."""
        varying = [(*self.step, 0x80)] if self.step[1] else []
        if self.wall >= 0:
            varying.append((self.wall, self.wall + 8, 0))
        coded = [(s.start, s.stop, 0x80 if s.coding[-1] in "ts" else 0) for s in self.scalars]
        return tuple(varying + coded)


def layout_of(event: bytes) -> Layout:
    """The layout of one event; WireError where its bytes are none."""
    found = Layout()
    for number, wire, start, stop in fields(event):
        kind = (number, wire)
        if kind == _WALL_TIME:
            found.wall = start
        elif kind == _STEP:
            found.step = (start, stop)
        elif kind == _SUMMARY:
            for inner, wire_, first, last in fields(event, start, stop):
                if (inner, wire_) == (1, BYTES):
                    _add_value(event, first, last, found)
        elif kind == _SESSION_LOG:
            found.restarts = (1, _START) in (
                (n, varint(event, a, b)[0]) for n, w, a, b in fields(event, start, stop) if w == 0
            )
    return found


def _add_value(event: bytes, start: int, stop: int, found: Layout) -> None:
    """One value of a summary: a scalar is noted, anything else passed over."""
    tag, plugin, content = "", "", b""
    simple: Field | None = None
    tensor: tuple[int, int, str] | None = None
    for one in fields(event, start, stop):
        number, wire, first, last = one
        kind = (number, wire)
        if kind == _TAG:
            tag = text(event, first, last)
        elif kind == _SIMPLE_VALUE:
            simple = one
        elif kind == _TENSOR:
            tensor = _single_number(event, first, last)
        elif kind == _METADATA:
            plugin, content = _plugin(event, first, last)
    if plugin == SCALARS:
        found.scalar_tags.append(tag)
    if plugin == HPARAMS and tag.endswith("session_start_info"):
        found.hparams = content
    if simple:
        found.scalars.append(ScalarAt(tag, simple[2], simple[3], "<f4", False))
    elif tensor and plugin in ("", SCALARS):
        found.scalars.append(ScalarAt(tag, *tensor, True))


def _plugin(event: bytes, start: int, stop: int) -> tuple[str, bytes]:
    """The plugin a value is meant for, and what it says to it."""
    name, content = "", b""
    for number, wire, first, last in fields(event, start, stop):
        if (number, wire) == (1, BYTES):
            for inner, wire_, a, b in fields(event, first, last):
                if (inner, wire_) == (1, BYTES):
                    name = text(event, a, b)
                elif (inner, wire_) == (2, BYTES):
                    content = event[a:b]
    return name, content


def _single_number(event: bytes, start: int, stop: int) -> tuple[int, int, str] | None:
    """Where the one number of a tensor lies and how it is coded; None where it has not one."""
    parts = {number: (wire, a, b) for number, wire, a, b in fields(event, start, stop)}
    if 1 not in parts or parts[1][0] != VARINT:
        return None
    in_memory, number, coding = _TYPES.get(varint(event, *parts[1][1:])[0], ("", 0, ""))
    if not number:
        return None
    if _CONTENT in parts and parts[_CONTENT][0] == BYTES:
        wire, a, b = parts[_CONTENT]
        size = _SIZES.get(in_memory) or int(in_memory[-1])
        return (a, b, in_memory) if b - a == size else None
    wire, a, b = parts.get(number, (-1, 0, 0))
    if coding.startswith("<"):
        return (a, b, coding) if b - a == int(coding[-1]) else None
    if wire == BYTES:
        wire = VARINT if b > a and varint(event, a, b)[1] == b else -1
    return (a, b, coding) if wire == VARINT else None
