"""Lines of a log -> for each shape of line, the numbers of all its lines."""

import dataclasses
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from unstuck.naming import is_epoch, is_step, named, words_of
from unstuck.reading.decimals import comma_of, floats, grouped, settled
from unstuck.reading.fields import (
    HOLE,
    TRAINING,
    VALIDATING,
    Field,
    Shape,
    shape_of,
    shape_of_row,
    split_line,
)
from unstuck.reading.tables import LEARNING, is_log
from unstuck.records import Floats

MOST_SHAPES = 5_000  # templates held at a time; a log has tens, and hostile text one a line
MOST_LOOKED_AT = 50_000  # templates of one log that are understood at all
LONGEST_HEADER = 1_000  # characters of a line that may be the header of a table
WIDEST_HEADER = 60  # columns


@dataclass(frozen=True, slots=True, eq=False)
class Lines:
    """The lines of one shape: where each stands in the log, and its numbers, one row a line."""

    shape: Shape
    place: NDArray[np.int64]
    number: Floats

    @property
    def learning(self) -> list[Field]:
        """The fields that are a loss, a metric or a learning rate."""
        names = learning(tuple(field.name for field in self.shape.fields))
        return [field for field in self.shape.fields if field.name in names]

    def changes(self, field: Field) -> bool:
        return np.unique(self.number[:, field.number]).size > 1


@dataclass(slots=True)
class _Gathered:
    shape: Shape
    place: list[int] = dataclasses.field(default_factory=list)
    texts: list[list[str]] = dataclasses.field(default_factory=list)

    def lines(self, number: Floats, unclear: set[int]) -> Lines:
        """As arrays, without the fields whose numbers can be read in two ways."""
        if unclear:
            fields = tuple(f for f in self.shape.fields if f.number not in unclear)
            self.shape = replace(self.shape, fields=fields)
        return Lines(self.shape, np.array(self.place, dtype=np.int64), number)


def scanned(lines: Iterable[str]) -> list[Lines]:
    """The shapes of a log that have a number with a name or a place in the training."""
    found: dict[tuple[str, tuple[str, ...]], _Gathered | None] = {}
    header: tuple[str, ...] = ()
    left = MOST_LOOKED_AT
    for place, line in enumerate(lines):
        if not line or line.isspace():
            continue
        template, texts = split_line(line)
        if not texts:
            header = _header(line) or header
            continue
        key = (template, header if header and _may_be_row(template) else ())
        group = found.get(key)
        if group is None:
            if key in found or not left:
                continue
            left -= 1
            if len(found) >= MOST_SHAPES:  # what came once so far will hardly come again
                found = {k: g for k, g in found.items() if g is not None and len(g.place) > 1}
                left = left if len(found) < MOST_SHAPES // 2 else 0
            shape = shape_of_row(template, header) if key[1] else None
            shape = shape or shape_of(template)
            if not (shape.fields or shape.counters):
                found[key] = None
                continue
            group = found[key] = _Gathered(shape)
        group.place.append(place)
        group.texts.append(texts)
    return _numbered([group for group in found.values() if group is not None])


def _numbered(groups: Sequence[_Gathered]) -> list[Lines]:
    """The texts of numbers as numbers, once all that tells what their commas are was seen."""
    plain: dict[int, Floats] = {}
    columns: dict[int, list[tuple[str, ...]]] = {}
    for i, group in enumerate(groups):
        try:
            plain[i] = np.array(group.texts, dtype=np.float64)
        except ValueError:
            columns[i] = list(zip(*group.texts, strict=True))
    commas = {i: [comma_of(column) for column in columns[i]] for i in columns}
    said = {commas[i][f.number] for i in columns for f in groups[i].shape.fields}
    usual = settled(said, any(map(_has_points, groups))) if "open" in said else "neither"
    found = []
    for i, group in enumerate(groups):
        if i in plain:
            found.append(group.lines(plain[i], set()))
            continue
        counting = {c.number for c in group.shape.counters}
        for n, column in enumerate(columns[i]):
            if commas[i][n] == "open":
                counted = n in counting or (usual == "neither" and grouped(column))
                commas[i][n] = "thousands" if counted else usual
        both = zip(columns[i], commas[i], strict=True)
        number = np.column_stack([floats(column, comma) for column, comma in both])
        found.append(group.lines(number, {n for n, it in enumerate(commas[i]) if it == "neither"}))
    return found


def _has_points(group: _Gathered) -> bool:
    """Whether named numbers of lines that come again have a decimal point."""
    fields = [field.number for field in group.shape.fields]
    return len(group.place) > 1 and any("." in row[n] for row in group.texts for n in fields)


def bars_apart(groups: Sequence[Lines]) -> list[Lines]:
    """Bars of the same words that take turns: the shorter is of a validation, said or not."""
    found: list[Lines] = []
    for group in groups:
        bar = next((c for c in group.shape.counters if c.kind == "part" and c.total), None)
        if bar is None or bar.total is None or group.shape.validates or not group.shape.fields:
            found.append(group)
            continue
        total = group.number[:, bar.total]
        long = total == total.max()
        turns = int(np.count_nonzero(np.diff(long.astype(np.int8))))
        if turns < 2 or np.unique(total[~long]).size != 1:
            found.append(group)
            continue
        fields = tuple(replace(f, name=f"val {f.name}") for f in group.shape.fields)
        shape = Shape(group.shape.counters, fields, "val")
        found.append(Lines(group.shape, group.place[long], group.number[long]))
        found.append(Lines(shape, group.place[~long], group.number[~long]))
    return found


@lru_cache(maxsize=4_096)
def learning(names: tuple[str, ...]) -> frozenset[str]:
    """Those of the names of one line that speak of a loss, a metric or a learning rate."""
    bare = {n: " ".join(w for w in words_of(n) if w not in _SPLITS) or "-" for n in names}
    roles = {raw: it.role for raw, it in named(dict.fromkeys(bare.values())).items()}
    return frozenset(name for name in names if roles[bare[name]] in LEARNING)


_SPLITS = VALIDATING | TRAINING


@lru_cache(maxsize=4_096)
def _may_be_row(template: str) -> bool:
    return template.startswith(HOLE) or not any(character.isalpha() for character in template)


@lru_cache(maxsize=4_096)
def _header(line: str) -> tuple[str, ...]:
    """The columns named by a line without numbers, where a table may follow; else none."""
    if len(line) > LONGEST_HEADER:
        return ()
    words = tuple(line.split())
    if bars := [bar for bar in "│┃|" if bar in line]:
        cells = re.split("[│┃|]", line.strip("│┃| \t"))
        words = tuple(" ".join(cell.split()) for cell in cells)
        if len(bars) > 1 or not all(words):
            words = tuple(re.sub("[│┃|]", " ", line).split())
    if not 2 <= len(words) <= WIDEST_HEADER:
        return ()
    axis = any(is_epoch(w) or is_step(w) for w in words)
    return words if axis and is_log(words) and bool(learning(words)) else ()
