"""csv-table: tables of text with a header: CSV, TSV, semicolons; one row for each time of logging.

## What is read

Every column of numbers, under its name in the header. Rows are numbered by a column such as `step`,
`iteration` or `epoch`; steps that start anew in each epoch are counted on; without such a column
rows number themselves. Written by the Keras `CSVLogger`, pandas, spreadsheets, the export of a
Weights & Biases history and of its charts (`"Step","run - loss","run - loss__MIN",...`: each run of
the chart is a run), the download of a TensorBoard chart (`Wall time,Step,Value`), and by hand.

A column `run`, `run_name`, `trial`, `seed` or `fold` with several entries makes one run of each
entry. Columns `metric` and `value` are read as one series for each metric.

Cells may be quoted, padded, empty (no reading), `nan`, `99%`, `1,234.5`, `0,5` (where columns are
separated by semicolons or tabs), `tensor(0.5, device='cuda:0')`,
`0.5±0.1`. A header that a restarted run writes once more may bring other columns. Where steps go
back, the later rows count.

## How it is recognised

Text whose first rows hold a header and numbers below it, with a column that names steps or epochs,
or one that names a loss, a metric or a learning rate: a table of data is none.

## What is left out

Columns of words; rows with another number of cells than the header, such as a Keras `CSVLogger`
writes that was begun anew with other metrics; a last row that was cut off; the `__MIN` and `__MAX`
columns of charts; lines before the header, and those that start with `#`.

## References

- RFC 4180, Common Format and MIME Type for Comma-Separated Values (CSV) Files
- <https://keras.io/api/callbacks/csv_logger/>
- <https://docs.wandb.ai/guides/app/features/panels/line-plot>
"""

import re
from pathlib import Path

from unstuck import naming
from unstuck.reading.delimited import header_of, table_in
from unstuck.reading.tables import Table, runs_in
from unstuck.records import Run
from unstuck.source import Source, UnreadableRunError

SOURCE = "csv-table"
_CHART = re.compile(r"(?P<run>.+) - (?P<metric>.+?)(?P<edge>__MIN|__MAX)?")
_CHART_AXES = {"step", "global step", "epoch", "wall time", "relative time process"}


def knows(path: Path) -> bool:
    """Whether a file is a table of text that a training could have written."""
    return bool(header_of(path))


def read(path: Path) -> list[Run]:
    """The runs in a table; UnreadableRunError where it has none."""
    table, facts = table_in(path)
    tables = _charts(table, path.stem)
    runs = [run for name, part in tables for run in runs_in(name, part, SOURCE, facts)]
    runs = [run for run in runs if run.series]
    if not runs:
        raise UnreadableRunError(f"{path} is a table without a number")
    return runs


def _charts(table: Table, stem: str) -> list[tuple[str, Table]]:
    """The table itself, or that of each run where it is the download of a chart."""
    names = list(table.columns)
    axes = [n for n in names if " ".join(naming.words_of(n)) in _CHART_AXES]
    if {" ".join(naming.words_of(n)) for n in names} == {"wall time", "step", "value"}:
        tag = stem.rpartition("-tag-")[2]
        columns = {tag if n.lower() == "value" else n: c for n, c in table.columns.items()}
        return [(stem, Table(columns, table.labels))]
    parts = {n: _CHART.fullmatch(n) for n in names if n not in axes}
    edges = {n for n, part in parts.items() if part and part["edge"]}
    if not axes or not edges:
        return [(stem, table)]
    runs: dict[str, Table] = {}
    for name, part in parts.items():
        if part and name not in edges and not naming.is_step(part["metric"]):
            own = runs.setdefault(part["run"], Table({n: table.columns[n] for n in axes}))
            own.columns[part["metric"]] = table.columns[name]
    return list(runs.items()) or [(stem, table)]


csv_table = Source(SOURCE, knows, read, rank=1)
