"""A table of cells that may hold several runs -> one Run each."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest

import numpy as np
from numpy.typing import NDArray

from unstuck import naming
from unstuck.reading.columns import Column, number_of, tabled
from unstuck.records import Run, Scalar
from unstuck.source import UnreadableRunError
from unstuck.words import TRAIN, VALIDATION

RUN_COLUMNS = {
    *("run", "run name", "run id", "runname", "trial", "trial name", "trial id", "experiment"),
    *("experiment name", "seed", "fold", "exp", "exp name"),
}
METRIC_COLUMNS = {"metric", "metric name", "tag", "series", "variable", "key", "name", "scalar"}
VALUE_COLUMNS = {"value", "metric value", "scalar value"}
MOST_RUNS = 1_000  # of one table; a column with more different entries names no runs
MOST_COLUMNS = 20_000
MOST_CELLS = 50_000_000
CELLS_AT_ONCE = 200_000  # held as text before they become numbers
LEARNING = {
    *(naming.LOSS, naming.GENERATOR, naming.DISCRIMINATOR, naming.LEARNING_RATE),
    *(naming.VALIDATION, naming.TRAINING, naming.GRADIENT_NORM, *naming.TERM_ROLES),
}
_ALSO_DATA = TRAIN | VALIDATION | {"cost", "criterion"}


@dataclass(slots=True)
class Table:
    """Columns under their names; what names runs or metrics is kept as text too."""

    columns: dict[str, Column] = field(default_factory=dict)
    labels: dict[str, list[str]] = field(default_factory=dict)


def is_log(names: Sequence[str]) -> bool:
    """Whether a header could be that of a log: steps and something beside them, or a loss."""
    axes = [n for n in names if naming.is_step(n) or naming.is_epoch(n)]
    if axes and len(names) > len(axes):
        return True
    return any(_speaks_of_training(n, it.role) for n, it in naming.named(names).items())


def _speaks_of_training(name: str, role: str) -> bool:
    """Whether a column alone makes a table a log; `score`, `map`, `test`, `cost` are data too."""
    words = set(naming.words_of(name))
    if words <= _ALSO_DATA:
        return False
    return role in LEARNING and (role != naming.TRAINING or bool(words & TRAIN))


def keeps_words(name: str) -> bool:
    """Whether the words in a column matter: they name runs, or metrics."""
    return _words(name) in RUN_COLUMNS | METRIC_COLUMNS


def table_of(names: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """The columns of rows of cells; a cell that a row lacks is absent.

    >>> t = table_of(["step", "loss"], [["0", "2.5"], ["1"], ["2", "1.5"]])
    >>> t.columns["loss"].value.tolist(), t.columns["loss"].present.tolist()
    ([2.5, nan, 1.5], [True, False, True])
    """
    names = distinct(names)
    parts: list[list[Column]] = [[] for _ in names]
    wordy = [i for i, name in enumerate(names) if keeps_words(name)]
    labels: dict[str, list[str]] = {names[i]: [] for i in wordy}
    count = 0
    for block in _blocks(rows, len(names)):
        count += len(block)
        if count * len(names) > MOST_CELLS:
            raise UnreadableRunError(
                f"a table of more than {MOST_CELLS:,} cells; give a part of it"
            )
        empty = [""] * len(block)
        cells = list(zip_longest(*block, fillvalue=""))
        for i, part in enumerate(parts):
            part.append(Column.of(cells[i] if i < len(cells) else empty))
        for i in wordy:
            column = cells[i] if i < len(cells) else empty
            labels[names[i]] += [str(cell)[:200].strip() for cell in column]
    return Table({n: Column.joined(p) for n, p in zip(names, parts, strict=True)}, labels)


def runs_in(
    name: str, table: Table, source: str, facts: Mapping[str, Scalar] | None = None
) -> list[Run]:
    """The runs of a table: one, or one for each entry of a column that names runs."""
    label = next((n for n, cells in table.labels.items() if _names_runs(n, cells)), None)
    if label is None:
        return [tabled(name, _oldest_first(_widened(table)), source, facts=facts)]
    found = []
    entries = np.array(table.labels[label])
    for entry in dict.fromkeys(table.labels[label]):
        if not entry:
            continue
        rows = np.flatnonzero(entries == entry)
        part = Table(
            {n: _taken(c, rows) for n, c in table.columns.items() if n != label},
            {n: [cells[i] for i in rows] for n, cells in table.labels.items() if n != label},
        )
        number = number_of(entry)
        run = entry if number is None else f"{label} {number:g}"
        found.append(tabled(run, _oldest_first(_widened(part)), source, facts=facts))
    return found


def distinct(names: Sequence[str]) -> list[str]:
    """Names of columns, none twice and none empty."""
    if len(names) > MOST_COLUMNS:
        raise UnreadableRunError(f"a table of {len(names):,} columns: more than are read")
    found: dict[str, None] = {}
    for place, name in enumerate(names):
        plain = name.strip() or f"column {place + 1}"
        while plain in found:
            plain = f"{plain}~{place + 1}"
        found[plain] = None
    return list(found)


def _blocks(rows: Iterable[Sequence[object]], width: int) -> Iterator[list[Sequence[object]]]:
    longest = CELLS_AT_ONCE // max(width, 1) + 1
    block: list[Sequence[object]] = []
    for row in rows:
        block.append(row[:width])
        if len(block) == longest:
            yield block
            block = []
    if block:
        yield block


def _taken(column: Column, rows: NDArray[np.intp]) -> Column:
    return Column(column.value[rows], column.present[rows])


def _names_runs(name: str, cells: Sequence[str]) -> bool:
    """Whether a column tells runs apart: by words, or by numbers of which there are several."""
    if _words(name) not in RUN_COLUMNS:
        return False
    entries = set(cells) - {""}
    if not 1 <= len(entries) <= MOST_RUNS:
        return False
    return len(entries) > 1 or any(number_of(e) is None for e in entries)


def _widened(table: Table) -> dict[str, Column]:
    """A table of (name of a metric, its value) rows with one column for each metric."""
    value = next((n for n in table.columns if _words(n) in VALUE_COLUMNS), None)
    label = next((n for n in table.labels if _words(n) in METRIC_COLUMNS), None)
    if value is None or label is None:
        return table.columns
    entries = np.array(table.labels[label])
    kinds = [e for e in dict.fromkeys(table.labels[label]) if e and number_of(e) is None]
    if not 1 <= len(kinds) <= MOST_RUNS:
        return table.columns
    numbers = table.columns[value]
    wide = {n: c for n, c in table.columns.items() if n not in (value, label)}
    return wide | {k: Column(numbers.value, numbers.present & (entries == k)) for k in kinds}


def _oldest_first(columns: dict[str, Column]) -> dict[str, Column]:
    """Rows in the order of training, where a table was sorted the other way round."""
    axis = next((n for n in columns if naming.is_step(n)), None) or next(
        (n for n in columns if naming.is_epoch(n)), None
    )
    if axis is None:
        return columns
    steps = columns[axis].value[columns[axis].present]
    if steps.size < 3 or not np.all(np.diff(steps) < 0):
        return columns
    return {n: Column(c.value[::-1], c.present[::-1]) for n, c in columns.items()}


def _words(name: str) -> str:
    return " ".join(naming.words_of(name))
