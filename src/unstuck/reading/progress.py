"""Shapes of lines -> readings: at which step of the training each line of a log was written.

Lines say where training is in many ways: a step, a batch of so many in an epoch, an epoch, or
nothing at all. The finest counter that most lines of the training have numbers the steps; lines
without one, above all those of a validation, belong to the training line before them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from unstuck.naming import words_of
from unstuck.reading.assemble import FURTHEST, Readings
from unstuck.reading.fields import VALIDATING, Field, Shape
from unstuck.reading.scan import Lines, bars_apart
from unstuck.records import Floats

Steps = NDArray[np.int64]

MOSTLY = 0.9  # share of whole numbers in what counts; a damaged line may hold another


@dataclass(frozen=True, slots=True, eq=False)
class Axis:
    """The lines that say where training is: their place in the log, step, and run."""

    place: Steps
    step: Steps
    start: Steps  # the how-manieth start of training in this log each belongs to
    unit: str

    def at(self, place: Steps) -> tuple[Steps, Steps]:
        """The step and the start of lines: of the last line before each that says one."""
        last = np.maximum(np.searchsorted(self.place, place, side="right") - 1, 0)
        return self.step[last], self.start[last]


@dataclass(frozen=True, slots=True, eq=False)
class _Counted:
    """Of each line that counts: where it stands, and what it says (NaN: nothing)."""

    place: Steps
    epoch: Floats
    count: Floats
    total: Floats

    def of(self, chosen: NDArray[np.bool_]) -> "_Counted":
        return _Counted(
            self.place[chosen], self.epoch[chosen], self.count[chosen], self.total[chosen]
        )


def readings_of(groups: Sequence[Lines]) -> tuple[list[dict[str, Readings]], str]:
    """The readings of every start of training in a log, and what one step is."""
    kept = _kept([_settled(group) for group in bars_apart(groups)])
    _inherit_split(kept)
    axis = _axis(kept)
    if axis is None:
        return [], "row"
    columns: dict[str, list[tuple[Steps, Floats]]] = {}
    for group in kept:
        for field in group.shape.fields:
            place, value = group.place, _values(group.number, field, group.shape.validates)
            if (fresh := _fresh(group, field)) is not None:
                place, value = place[fresh], value[fresh]
            columns.setdefault(field.name, []).append((place, value))
    starts: list[dict[str, Readings]] = [{} for _ in range(int(axis.start.max()) + 1)]
    for name, parts in sorted(columns.items(), key=lambda it: -sum(p.size for p, _ in it[1])):
        place = np.concatenate([p for p, _ in parts])
        value = np.concatenate([v for _, v in parts])
        order = np.argsort(place, kind="stable")
        step, start = axis.at(place[order])
        for number in np.unique(start):
            chosen = start == number
            starts[number][name] = Readings(step[chosen], value[order][chosen])
    return [start for start in starts if start], axis.unit


def _settled(group: Lines) -> Lines:
    """Epochs with fractions count nothing, but are a reading."""
    for counter in group.shape.counters:
        if counter.kind == "epoch":
            epochs = group.number[:, counter.number]
            if np.mean(_whole(epochs)) < MOSTLY:
                others = tuple(c for c in group.shape.counters if c is not counter)
                fields = (*group.shape.fields, Field("epoch", counter.number))
                return Lines(Shape(others, fields, group.shape.split), group.place, group.number)
    return group


def _kept(groups: Sequence[Lines]) -> list[Lines]:
    """Lines that come again and speak of learning, rarer ones of the same names, and counters."""
    names: set[str] = set()
    for group in groups:
        telling = group.learning
        if group.place.size > 1 and (
            (telling and group.shape.counters) or any(map(group.changes, telling))
        ):
            names.update(f.name for f in group.shape.fields)
    return [group for group in groups if all(f.name in names for f in group.shape.fields)]


def _inherit_split(groups: list[Lines]) -> None:
    """A summary without a counter, written after lines of a validation, is about the same data."""
    fielded = [g for g in groups if g.shape.fields]
    if not fielded:
        return
    place = np.concatenate([g.place for g in fielded])
    index = np.repeat(np.arange(len(fielded)), [len(g.place) for g in fielded])
    order = np.argsort(place)
    place, index = place[order], index[order]
    trained = {f.name for g in fielded if g.shape.counters for f in g.shape.fields}
    for number, group in enumerate(fielded):
        shape = group.shape
        if shape.counters or shape.validates or not trained & {f.name for f in shape.fields}:
            continue
        before = np.searchsorted(place, group.place) - 1
        splits = [fielded[index[b]].shape.split if b >= 0 else "" for b in before]
        if splits and splits.count("") < 0.5 * len(splits) and number not in index[before]:
            split = next(s for s in splits if s)
            fields = tuple(replace(f, name=f"{split} {f.name}") for f in shape.fields)
            groups[groups.index(group)] = Lines(Shape((), fields, split), group.place, group.number)


def _axis(groups: Sequence[Lines]) -> Axis | None:
    """The steps of the training lines, by the finest counter that most of them have."""
    training = [g for g in groups if g.shape.fields and not g.shape.validates]
    training = training or [g for g in groups if g.shape.fields]
    if not training:
        return None
    lines = _counted(training)
    whole_log = _counted(groups)
    counts, epochs = np.isfinite(lines.count), np.isfinite(lines.epoch)
    if not counts.any() and not epochs.any():  # a progress bar beside lines without a counter
        bars = _counted([g for g in groups if not g.shape.fields])
        bars = bars.of(bars.total == np.nanmax(bars.total, initial=0.0))
        lines, counts = (bars, np.isfinite(bars.count)) if bars.place.size else (lines, counts)
    if counts.sum() >= 0.5 * lines.place.size and counts.any():
        lines = lines.of(counts)
        epoch = _before(whole_log, lines.place)
        step = _global_steps(lines, epoch)
        steady = _steady(step)
        return Axis(lines.place[steady], step[steady], _starts(step[steady]), "step")
    epoch = _before(whole_log, lines.place)
    if epochs.sum() >= 0.5 * lines.place.size or _each_once(training, epoch):
        known = np.isfinite(epoch)
        step = epoch[known].astype(np.int64)
        return Axis(lines.place[known], step, _starts(step), "epoch")
    most = max(training, key=lambda g: len(g.place)).place
    return Axis(most, np.arange(most.size), np.zeros(most.size, dtype=np.int64), "row")


def _counted(groups: Sequence[Lines]) -> _Counted:
    """What the lines of some shapes count, in the order of the log."""
    rows: list[Floats] = []
    for group in groups:
        row = np.full((4, len(group.place)), np.nan)
        row[0] = group.place
        for counter in reversed(group.shape.counters):  # a step counts finer than a part
            count = group.number[:, counter.number]
            whole = _whole(count)
            if np.mean(whole) < MOSTLY:
                continue
            count = np.where(whole, count, np.nan)
            if counter.kind == "epoch":
                row[1] = count
                continue
            total = np.full(count.shape, np.nan)
            if counter.total is not None:
                said = group.number[:, counter.total]
                total = np.where(_whole(said), said, np.nan)
            row[2] = np.where(_within(count, total), count, np.nan)
            row[3] = total
        rows.append(row)
    table = np.concatenate(rows, axis=1) if rows else np.empty((4, 0))
    table = table[:, np.argsort(table[0], kind="stable")]
    return _Counted(table[0].astype(np.int64), table[1], table[2], table[3])


def _before(lines: _Counted, place: Steps) -> Floats:
    """The last epoch named at or before each place; NaN before the first."""
    known = np.isfinite(lines.epoch)
    if not known.any():
        return np.full(place.shape, np.nan)
    last = np.searchsorted(lines.place[known], place, side="right") - 1
    return np.where(last >= 0, lines.epoch[known][np.maximum(last, 0)], np.nan)


def _global_steps(lines: _Counted, epoch: Floats) -> Steps:
    """Counts that start anew in each epoch as steps of the whole run."""
    count = lines.count
    totals = lines.total[np.isfinite(lines.total)]
    longest = float(np.median(totals)) if totals.size else float(count.max()) + 1
    known = np.isfinite(epoch)
    passes = np.zeros(count.shape)
    if np.unique(epoch[known]).size > 1:
        epoch = np.where(known, epoch, epoch[known][0])
        later = np.flatnonzero(np.diff(epoch) > 0)
        if later.size and np.mean(count[later + 1] <= count[later]) > 0.5:
            passes = epoch - epoch.min()
    elif np.isfinite(lines.total).all():
        passes = _passes(count, lines.total)
    if passes.max(initial=0.0) * longest > FURTHEST:
        passes = np.zeros(count.shape)
    step: Steps = (passes * longest + count).astype(np.int64)
    return step


def _passes(count: Floats, total: Floats) -> Floats:
    """How often a count of so many was completed and begun anew before each line."""
    change = np.diff(count)
    ahead = change[change > 0]
    interval = float(np.median(ahead)) if ahead.size else 0.0
    complete = (change < 0) & (count[:-1] + 1.5 * interval >= total[:-1])
    return np.concatenate([[0.0], np.cumsum(complete)])


def _steady(step: Steps) -> NDArray[np.bool_]:
    """All lines but a lone one that goes back, as a bar does when it is drawn anew."""
    steady = np.ones(step.shape, dtype=np.bool_)
    if step.size > 2:
        steady[1:-1] = (step[1:-1] >= step[:-2]) | (step[2:] < step[:-2])
    return steady


def _starts(step: Steps) -> Steps:
    """Numbers the starts of training: a new one where steps go back to where the last began."""
    start = np.zeros(step.shape, dtype=np.int64)
    ahead = np.diff(step)
    interval = int(np.median(ahead[ahead > 0])) if np.any(ahead > 0) else 0
    first, number = 0, 0
    for back in np.flatnonzero(ahead < 0) + 1:
        if step[back] <= step[first] and step[back] <= 2 * interval and back - first > 1:
            first, number = int(back), number + 1
            start[back:] = number
    return start


def _each_once(groups: Sequence[Lines], epoch: Floats) -> bool:
    """Whether lines that name no epoch themselves come about once in each."""
    known = epoch[np.isfinite(epoch)]
    return known.size > 1 and bool(np.unique(known).size >= 0.5 * known.size / len(groups))


def _values(numbers: Floats, field: Field, validates: bool) -> Floats:
    """The readings of a field: of a validation the mean over its batches, else what is now."""
    if validates and field.mean is not None:
        value: Floats = numbers[:, field.mean]
        return value
    value = numbers[:, field.number]
    if field.total is not None:
        total = numbers[:, field.total]
        share = _whole(value) & _whole(total) & (value <= total) & (total > 0)
        value = np.where(share, value / np.where(share, total, 1.0), value)
    return value / 100 if field.percent else value


def _fresh(group: Lines, field: Field) -> NDArray[np.bool_] | None:
    """Where a reading is new that a progress bar goes on showing, such as the last validation's.

    None where every reading is: it is about the training, or no bar shows it.
    """
    bar = next((c for c in group.shape.counters if c.kind == "part" and c.total), None)
    words = words_of(field.name)
    if bar is None or group.shape.validates:
        return None
    if not set(words) & VALIDATING and words[-1:] != ("epoch",):
        return None
    value = group.number[:, field.number]
    full: NDArray[np.bool_] = group.number[:, bar.number] >= group.number[:, bar.total or 0]
    changed: NDArray[np.bool_] = np.append(True, value[1:] != value[:-1])
    return full | changed


def _whole(numbers: Floats) -> NDArray[np.bool_]:
    plain = np.where(np.isfinite(numbers), numbers, -1.0)
    whole: NDArray[np.bool_] = (plain >= 0) & (plain <= FURTHEST) & (plain == np.floor(plain))
    return whole


def _within(count: Floats, total: Floats) -> NDArray[np.bool_]:
    """Whether a count is one: no more than its total, where it has one."""
    return ~(np.nan_to_num(count, nan=0.0) > np.nan_to_num(total, nan=np.inf))
