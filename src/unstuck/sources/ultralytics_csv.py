"""ultralytics-csv: `results.csv` of a YOLO training, and the `args.yaml` beside it.

## What is read

One row an epoch: `train/*` are the losses of the training, `val/*` those of the validation,
`metrics/*` are measured on the validation too, `lr/pg0`, `lr/pg1`, ... (in older files `x/lr0`) are
the learning rates of the groups of parameters. A step is an epoch. The arguments become the recipe.

The path may be the file, the directory of one training, or any directory above.

## How it is recognised

A `results.csv`, its header padded with spaces or not, with a column `epoch`, one that starts with
`train/`, and one that starts with `metrics/` or `val/`.

## What is left out

The time since the start of the training; a last row that was cut off; weights and pictures.

## References

- <https://docs.ultralytics.com/modes/train/>
- <https://github.com/ultralytics/ultralytics>
"""

import re
from pathlib import Path

from unstuck.naming import LEARNING_RATE, VALIDATION
from unstuck.reading.columns import tabled
from unstuck.reading.delimited import header_of, table_in
from unstuck.reading.recipes import flattened, yaml_settings
from unstuck.records import Run
from unstuck.source import Source

FILE = "results.csv"
SETTINGS = ("args.yaml", "opt.yaml")  # the second beside YOLOv5's
_RATE = re.compile(r"(?:lr|x)/(?:pg|lr)\d+")


def knows(path: Path) -> bool:
    """Whether `path` is the directory of a training, or the table in it."""
    file = path / FILE if path.is_dir() else path
    if not file.name.startswith("results") or not file.is_file():
        return False
    names = header_of(file)
    parts = {name.partition("/")[0] for name in names if "/" in name}
    return "epoch" in names and "train" in parts and bool(parts & {"metrics", "val"})


def read(path: Path) -> list[Run]:
    """The run of one training; UnreadableRunError where its table cannot be read."""
    file = path / FILE if path.is_dir() else path
    table, facts = table_in(file)
    beside = [file.with_name(name) for name in SETTINGS]
    recipe = flattened(next((yaml_settings(it) for it in beside if it.is_file()), None))
    roles = {n: VALIDATION for n in table.columns if n.startswith("metrics/")}
    roles |= {n: LEARNING_RATE for n in table.columns if _RATE.fullmatch(n)}
    name = file.absolute().parent.name
    return [tabled(name, table.columns, "ultralytics-csv", recipe=recipe, facts=facts, roles=roles)]


ultralytics_csv = Source("ultralytics-csv", knows, read)
