"""TensorBoard: series as scalars, findings as text, in the user's event files or in own ones.

with unstuck.watch(model) as run, tensorboard.mirror(run, writer): ...
tensorboard.write(unstuck.load("runs/train-1"), "tb/train-1")
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from unstuck.integrations import findings
from unstuck.integrations.sink import PREFIX, Mirror, Reading, Watched, put
from unstuck.records import Diagnosis, Run


class TensorBoard:
    """Writes with a `SummaryWriter`, given or made for a directory.

    A name `loss/train` becomes the tag `unstuck.loss/train`: beside the user's own, in groups of
    its kind.
    """

    def __init__(self, to: SummaryWriter | str | Path) -> None:
        self._mine = not isinstance(to, SummaryWriter)
        self._writer = to if isinstance(to, SummaryWriter) else SummaryWriter(str(to))
        self._last = 0

    def readings(self, readings: list[Reading]) -> None:
        for name, step, value, wall in readings:
            self._writer.add_scalar(PREFIX + name, value, step, walltime=wall)
            self._last = max(self._last, step)

    def findings(self, diagnosis: Diagnosis) -> None:
        self._writer.add_text(f"{PREFIX}findings", findings.markdown(diagnosis), self._last)

    def close(self) -> None:
        self._writer.flush()
        if self._mine:
            self._writer.close()


def write(what: Run | Diagnosis, to: SummaryWriter | str | Path) -> None:
    """Write a run and what is found in it; a directory gets an event file more."""
    put(what, TensorBoard(to))


@contextmanager
def mirror(run: Watched, to: SummaryWriter | str | Path, every: float = 30.0) -> Iterator[Mirror]:
    """Write a run while it is recorded, every so many seconds, and its findings."""
    with Mirror(run, TensorBoard(to), every) as mirroring:
        yield mirroring
