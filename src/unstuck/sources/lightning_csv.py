"""lightning-csv: `metrics.csv` of Lightning's CSVLogger, and the `hparams.yaml` beside it.

## What is read

Every column of numbers by its `step`; rows of training and of validation are mixed and mostly
empty, as Lightning writes them. Of a value logged both for each step and for each epoch
(`train_loss_step`, `train_loss_epoch`) the one of the steps is the loss, the one of the epochs a
metric; of a validation only the one of the epochs counts. The hyperparameters become the recipe.

The path may be the file, the directory of one version, or any directory above, in which each
version is a run.

## How it is recognised

A `metrics.csv` with the columns `epoch` and `step`, beside a `hparams.yaml` or with a pair of
columns that end with `_step` and `_epoch`. Any other such table is read as csv-table.

## What is left out

Columns of words; a last row that was cut off; checkpoints; Python objects in `hparams.yaml`.

## References

- <https://lightning.ai/docs/pytorch/stable/api/lightning.pytorch.loggers.csv_logs.html>
- <https://lightning.ai/docs/pytorch/stable/extensions/logging.html>
"""

from collections.abc import Iterable
from pathlib import Path

from unstuck.naming import OTHER, TRAINING, VALIDATION, named
from unstuck.reading.columns import tabled
from unstuck.reading.delimited import header_of, table_in
from unstuck.reading.recipes import flattened, yaml_settings
from unstuck.records import Run
from unstuck.source import Source

FILE = "metrics.csv"
SETTINGS = "hparams.yaml"
LOGGED_EACH = ("step", "epoch")


def knows(path: Path) -> bool:
    """Whether `path` is the directory of a version, or the table in it."""
    file = path / FILE if path.is_dir() else path
    if file.name != FILE or not file.is_file():
        return False
    names = header_of(file)
    if not set(LOGGED_EACH) <= set(names):
        return False
    return file.with_name(SETTINGS).is_file() or bool(_twins(names))


def read(path: Path) -> list[Run]:
    """The run of one version; UnreadableRunError where its table cannot be read."""
    file = path / FILE if path.is_dir() else path
    table, facts = table_in(file)
    recipe = flattened(yaml_settings(file.with_name(SETTINGS)))
    name = file.absolute().parent.name
    roles = _roles(table.columns)
    return [tabled(name, table.columns, "lightning-csv", recipe=recipe, facts=facts, roles=roles)]


def _twins(names: Iterable[str]) -> set[str]:
    """What was logged both for each step and for each epoch."""
    ends = {end: {n.removesuffix(f"_{end}") for n in names if n.endswith(f"_{end}")}
            for end in LOGGED_EACH}  # fmt: skip
    return (ends["step"] & ends["epoch"]) - {""}


def _roles(names: Iterable[str]) -> dict[str, str]:
    twins = _twins(list(names))
    alone = {twin: it.role for twin, it in named(twins).items()}
    epochs = {f"{t}_epoch": VALIDATION if r == VALIDATION else TRAINING for t, r in alone.items()}
    steps = {f"{t}_step": OTHER if r == VALIDATION else r for t, r in alone.items()}
    return epochs | steps


lightning_csv = Source("lightning-csv", knows, read)
