"""A table of numbers, one row a time of logging -> a Run: which column counts the steps?"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unstuck import naming
from unstuck.reading.assemble import FURTHEST, Readings, assembled
from unstuck.records import Floats, Recipe, Run, Scalar

MISSING = {
    "",
    "-",
    "--",
    "---",
    "none",
    "null",
    "n/a",
    "na",
}  # a cell without a reading; NaN is one
_WRAPPED = re.compile(  # tensor(0.5, device='cuda:0'), np.float32(0.5), [0.5], 0.5±0.1, 1,234.5
    r"(?P<open>[a-z_][\w.]*\()?\[*\s*(?P<number>[-+]?(?:\d{1,3}(?:,\d{3})+(?:\.\d*)?|\d+\.?\d*|\.\d+)"
    r"(?:e[-+]?\d+)?|[-+]?inf|nan)\s*\]*(?(open)(?:,\s*[a-z_]+=.*)?\))(?:\s*(?:±|\+/-).*)?"
)
_WORDS = {"true": 1.0, "false": 0.0, "infinity": np.inf, "-infinity": -np.inf}


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """The numbers of one column and whether each row has one."""

    value: Floats
    present: NDArray[np.bool_]

    @classmethod
    def of(cls, cells: Sequence[object]) -> "Column":
        """From text or numbers; what is no number counts as absent.

        >>> c = Column.of(["1.5", "", "nan", "x"])
        >>> c.value.tolist(), c.present.tolist()
        ([1.5, nan, nan, nan], [True, False, True, False])
        """
        try:
            value = np.array(cells if None not in cells else [""], dtype=np.float64)
            return cls(value, np.ones(value.shape, dtype=np.bool_))
        except (ValueError, TypeError, OverflowError):
            pass
        numbers = [number_of(cell) for cell in cells]
        present = np.array([n is not None for n in numbers], dtype=np.bool_)
        return cls(np.array([np.nan if n is None else n for n in numbers]), present)

    @classmethod
    def joined(cls, parts: Sequence["Column"]) -> "Column":
        """Parts of a column, one below the other."""
        if not parts:
            return cls(np.empty(0), np.empty(0, dtype=np.bool_))
        present = np.concatenate([part.present for part in parts])
        return cls(np.concatenate([part.value for part in parts]), present)


def number_of(cell: object) -> float | None:
    """A cell as a number; None where it holds none (`nan` is one, an empty cell is not)."""
    if isinstance(cell, bool | int | float | np.number):
        try:
            return float(cell)
        except OverflowError:
            return None
    if not isinstance(cell, str) or len(cell) > 400:
        return None
    text = cell.strip().lower()
    if text in MISSING:
        return None
    if text in _WORDS:
        return _WORDS[text]
    try:
        return float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        wrapped = _WRAPPED.fullmatch(text)
        return float(wrapped["number"].replace(",", "")) if wrapped else None


def tabled(
    name: str,
    columns: Mapping[str, Column],
    source: str,
    *,
    recipe: Recipe | None = None,
    facts: Mapping[str, Scalar] | None = None,
    roles: Mapping[str, str] | None = None,
) -> Run:
    """The run in a table. Rows are numbered by a step column, else by epochs, else by themselves.

    A step that starts anew with each epoch is counted on; UnreadableRunError where no column
    holds a number.
    """
    numeric = {raw: c for raw, c in columns.items() if c.present.any()}
    steps = _first((n for n, c in numeric.items() if _whole(c)), naming.is_step)
    epochs = _first(numeric, naming.is_epoch)
    axis, unit, used = _axis(numeric, steps, epochs)
    wall = _wall(numeric)
    readings = {}
    for raw, column in numeric.items():
        if raw in used or naming.is_wall(raw):
            continue
        rows = column.present & (axis >= 0)
        readings[raw] = Readings(
            axis[rows], column.value[rows], None if wall is None else wall[rows]
        )
    return assembled(name, readings, source, recipe=recipe, facts=facts, unit=unit, roles=roles)


def _axis(
    columns: Mapping[str, Column], steps: str | None, epochs: str | None
) -> tuple[NDArray[np.int64], str, set[str]]:
    """The step of every row (-1: it has none), its unit, and the columns used up by it."""
    count = max((c.value.size for c in columns.values()), default=0)
    if steps is not None:
        step = _filled(columns[steps])
        if epochs is not None and _whole(columns[epochs]):
            step = counted_on(step, _filled(columns[epochs]))
        return step, "step", {steps}
    if epochs is not None and _whole(columns[epochs]):
        epoch = _filled(columns[epochs])
        others = [c for raw, c in columns.items() if raw != epochs]
        if all(_once_each(epoch[c.present]) for c in others):
            return epoch, "epoch", {epochs}
    return np.arange(count, dtype=np.int64), "row", set()


def _once_each(epoch: NDArray[np.int64]) -> bool:
    """Whether a column has about one reading an epoch, restarts apart."""
    return epoch.size < 2 or float(np.mean(np.diff(epoch) != 0)) > 0.5


def counted_on(step: NDArray[np.int64], epoch: NDArray[np.int64]) -> NDArray[np.int64]:
    """Steps that start anew in each epoch as steps of the whole run.

    >>> counted_on(np.array([0, 50, 0, 50]), np.array([1, 1, 2, 2])).tolist()
    [0, 50, 51, 101]
    """
    both = np.flatnonzero((step >= 0) & (epoch >= 0))
    steps, epochs = step[both], epoch[both]
    ends = np.flatnonzero(np.diff(epochs) > 0)
    if not ends.size or not np.all(steps[ends + 1] <= steps[ends]):
        return step
    longest, first = int(steps.max()) + 1, int(epochs.min())
    if (int(epochs.max()) - first) * longest > FURTHEST:
        return step
    last = np.searchsorted(both, np.arange(step.size), side="right") - 1  # with an epoch so far
    passes = np.where(last >= 0, epochs[np.maximum(last, 0)] - first, 0)
    return np.where(step >= 0, passes * longest + step, step)


def _whole(column: Column) -> bool:
    """Whether a column can number rows: whole numbers, none of them negative."""
    value = column.value[column.present]
    return bool(
        np.all(np.isfinite(value))
        and np.all((value >= 0) & (value <= FURTHEST))
        and np.all(value == np.floor(value))
    )


def _filled(column: Column) -> NDArray[np.int64]:
    """The column as whole numbers; -1 where a row has none."""
    return np.where(column.present, np.nan_to_num(column.value, nan=-1.0), -1).astype(np.int64)


def _wall(columns: Mapping[str, Column]) -> Floats | None:
    name = _first(columns, naming.is_wall)
    if name is None:
        return None
    column = columns[name]
    return np.where(column.present, column.value, np.nan)


def _first(names: Iterable[str], matches: Callable[[str], bool]) -> str | None:
    return next((name for name in names if matches(name)), None)
