"""parquet-table: Parquet tables with one row for each time of logging.

## What is read

Every column of numbers, by a column such as `step`, `_step`, `iteration` or `epoch`, as in
csv-table; columns that name runs, seeds or metrics are followed too. Written by pandas, polars,
pyarrow, and by Weights & Biases for the history of a run. Needs pyarrow
(`pip install 'unstuck[parquet]'`).

## How it is recognised

The mark `PAR1` at both ends, and names of columns of which one counts steps or epochs, or one
speaks of a loss, a metric or a learning rate: a data set is none.

## What is left out

Columns of words, dates, lists and structures.

## References

- <https://parquet.apache.org/docs/file-format/>
- <https://arrow.apache.org/docs/python/parquet.html>
"""

import re
from pathlib import Path
from typing import Any

import numpy as np

from unstuck.reading.bounds import MOST_BYTES, MOST_READINGS, head
from unstuck.reading.columns import Column
from unstuck.reading.tables import MOST_COLUMNS, Table, is_log, keeps_words, runs_in
from unstuck.records import Run
from unstuck.source import Source, UnreadableRunError

SOURCE = "parquet-table"
MARK = b"PAR1"
LARGEST_FOOTER = 4_000_000  # bytes that name the columns
LARGEST_GROUP = 400_000_000  # bytes of a group of rows, unpacked
ROWS_AT_ONCE = 65_536
_NAME = re.compile(rb"[A-Za-z_][\w/.\- ]{0,100}")


def knows(path: Path) -> bool:
    """Whether a file is a Parquet table that a training could have written."""
    return head(path, 4) == MARK and is_log(_names(path))


def read(path: Path) -> list[Run]:
    """The runs in a table; UnreadableRunError where it is damaged or pyarrow is not there."""
    try:
        import pyarrow as arrow
        from pyarrow import parquet
    except ImportError:
        raise UnreadableRunError(
            f"{path} needs pyarrow to be read: pip install 'unstuck[parquet]'"
        ) from None
    try:
        with parquet.ParquetFile(path) as file:
            table = _table(file, path)
    except (arrow.ArrowException, OSError, ValueError, TypeError, KeyError, IndexError) as error:
        if isinstance(error, UnreadableRunError):
            raise
        reason = " ".join(str(error).split())[:200]
        raise UnreadableRunError(f"{path} is a damaged Parquet file ({reason})") from None
    runs = [run for run in runs_in(path.stem, table, SOURCE) if run.series]
    if not runs:
        raise UnreadableRunError(f"{path} is a table without a number")
    return runs


def _table(file: Any, path: Path) -> Table:
    """The numbers of a table and the words that name runs or metrics, group by group."""
    about, schema = file.metadata, file.schema_arrow
    kept = [f for f in schema if _is_number(f.type) or (_is_text(f.type) and keeps_words(f.name))]
    if len(kept) > MOST_COLUMNS or about.num_rows * len(kept) > MOST_READINGS:
        raise UnreadableRunError(
            f"{path} has {about.num_rows:,} rows of {len(kept):,} columns, more than are read"
        )
    groups = [about.row_group(i).total_byte_size for i in range(about.num_row_groups)]
    if max(groups, default=0) > min(LARGEST_GROUP, MOST_BYTES):
        raise UnreadableRunError(f"{path} has groups of more than {LARGEST_GROUP:,} bytes")
    names = list(dict.fromkeys(f.name for f in kept))
    parts: dict[str, list[Column]] = {name: [] for name in names}
    labels: dict[str, list[str]] = {f.name: [] for f in kept if keeps_words(f.name)}
    for batch in file.iter_batches(ROWS_AT_ONCE, columns=names, use_threads=False):
        for name in names:
            cells = batch.column(batch.schema.get_field_index(name))
            parts[name].append(_column(cells))
            if name in labels:
                labels[name] += ["" if c is None else str(c)[:200] for c in cells.to_pylist()]
    return Table({n: Column.joined(p) for n, p in parts.items()}, labels)


def _column(cells: Any) -> Column:
    """The numbers of one column of a batch; null is no reading."""
    if _is_text(cells.type):
        return Column.of(cells.to_pylist())
    present = np.asarray(cells.is_valid().to_numpy(zero_copy_only=False), dtype=np.bool_)
    value = cells.to_numpy(zero_copy_only=False)
    return Column(np.where(present, value, np.nan).astype(np.float64), present)


def _is_number(kind: Any) -> bool:
    return str(kind).startswith(("int", "uint", "float", "double", "halffloat", "bool"))


def _is_text(kind: Any) -> bool:
    return str(kind) in ("string", "large_string", "string_view")


def _names(path: Path) -> list[str]:
    """What could be a column's name in the footer of a file."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            file.seek(max(size - 8, 0))
            end = file.read(8)
            length = int.from_bytes(end[:4], "little")
            if end[4:] != MARK or length > min(LARGEST_FOOTER, size):
                return []
            file.seek(size - 8 - length)
            footer = file.read(length)
    except OSError:
        return []
    return [name.decode() for name in dict.fromkeys(_NAME.findall(footer[:65_536]))][:MOST_COLUMNS]


parquet_table = Source(SOURCE, knows, read, rank=1)
