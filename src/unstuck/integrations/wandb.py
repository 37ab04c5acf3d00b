"""Weights & Biases: series as history, findings as summary and table.

In the user's run, the active one, or a new offline one:

with wandb.init() as board, unstuck.watch(model) as run, unstuck_wandb.mirror(run, board): ...
unstuck_wandb.write(unstuck.load("runs/train-1"), folder="boards")     # a new offline run
"""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any

import wandb  # type: ignore[import-not-found, unused-ignore]

from unstuck.integrations import findings
from unstuck.integrations.sink import Mirror, Reading, Watched, put
from unstuck.records import Diagnosis, Run

PROJECT = "unstuck"  # of a run that nobody has named one for
OURS = "unstuck/"  # W&B takes a dot for a path into a nested value
STEP = f"{OURS}step"


class WandB:
    """Writes into a run, by default the active one; where there is none, into a new offline one.

    W&B counts a step for every row, and drops rows that come late. So the steps of training stand
    in `unstuck/step`, which all the series are drawn over, and the user's own run gets them at the
    end, when no row of the user's can be late for it; what is found is in its summary at once.
    """

    def __init__(self, run: Any = None, folder: str | Path | None = None, name: str = "") -> None:
        given = run if run is not None or folder is not None else wandb.run
        self._mine = given is None
        self.run: Any = given
        if self._mine:
            self.run = wandb.init(
                mode="offline",
                project=PROJECT,
                name=name or None,
                dir=None if folder is None else str(folder),
                reinit="create_new",
                settings=wandb.Settings(console="off", silent=True, x_disable_stats=True),
            )
        self.run.define_metric(f"{OURS}*", step_metric=STEP)
        self._held: list[Reading] = []
        self._table: Any = None

    def readings(self, readings: list[Reading]) -> None:
        if self._mine:
            self._log(readings)
        else:
            self._held += readings

    def _log(self, readings: list[Reading]) -> None:
        for step, row in groupby(readings, lambda reading: reading[1]):
            values: dict[str, float] = {OURS + name: value for name, _, value, _ in row}
            self.run.log({STEP: step} | values)

    def findings(self, diagnosis: Diagnosis) -> None:
        for key, text in findings.tags(diagnosis).items():
            self.run.summary[OURS + key] = text
        rows = [[f.severity, f.code, f.where, f.message, f.since] for f in diagnosis.findings]
        columns = ["severity", "code", "where", "message", "since step"]
        self._table = wandb.Table(columns=columns, data=rows[: findings.MOST_FINDINGS])

    def close(self) -> None:
        self._log(self._held)
        if self._table is not None:
            self.run.log({f"{OURS}table": self._table})
        if self._mine:
            self.run.finish()


def write(what: Run | Diagnosis, run: Any = None, *, folder: str | Path | None = None) -> Any:
    """Write a run and what is found in it; the W&B run it was written into."""
    name = (what.run if isinstance(what, Diagnosis) else what).name
    sink = WandB(run, folder, name)
    put(what, sink)
    return sink.run


@contextmanager
def mirror(
    run: Watched, board: Any = None, *, folder: str | Path | None = None, every: float = 30.0
) -> Iterator[Mirror]:
    """Write a run while it is recorded, every so many seconds, and its findings."""
    with Mirror(run, WandB(board, folder, run.path.name), every) as mirroring:
        yield mirroring
