"""Similarities that codes or embeddings are trained to have: what they ask of unlike samples."""

from torch import Tensor

from unstuck.watcher.collector import Collector
from unstuck.watcher.rows import MOST_ROWS, correlation, off_diagonal, rows, unit

FEWEST = 4
OUTER = 20  # one in so many of the targets lies below `low`, and as many above `high`


class SimilarityTargets(Collector):
    """`target_similarity/<name>/...` of square matrices that `targets` is told.

    With codes of as many rows told before the same backward pass, how far the two agree.
    """

    hears = ("targets", "embedding")
    every_step = True  # what was told is forgotten at every backward pass
    _codes: tuple[int, Tensor] | None = None  # how many were told, and a part of them
    _asked: tuple[int, str, Tensor] | None = None

    def told(self, kind: str, names: tuple[str, ...], tensors: tuple[Tensor, ...]) -> None:
        if kind == "embedding":
            codes = rows(tensors[0])
            self._codes = None if codes is None else (tensors[0].shape[0], codes)
        else:
            self._read(names[0], tensors[0].detach())
        self.rest(False)
        if self._codes is not None and self._asked is not None:
            count, where, asked = self._asked
            if count == self._codes[0]:
                u = unit(self._codes[1])
                met = off_diagonal(u @ u.T)
                values = [met.mean(), correlation(met, asked)]
                self.hold(values, [f"{where}/met", f"{where}/correlation"])

    def before_backward(self, loss: str, root: Tensor, value: Tensor) -> None:
        self._codes = self._asked = None
        self.rest()

    def _read(self, name: str, asked: Tensor) -> None:
        if asked.ndim != 2 or asked.shape[0] != asked.shape[1] or asked.shape[0] < FEWEST:
            return
        stride = -(-asked.shape[0] // MOST_ROWS)
        beside = off_diagonal(asked[::stride, ::stride].float())
        ordered = beside.reshape(-1).sort().values
        outer = ordered.numel() // OUTER
        where = f"target_similarity/{name}"
        values = [ordered.mean(), ordered[outer], ordered[-1 - outer]]
        self.hold(values, [f"{where}/{key}" for key in ("mean", "low", "high")])
        self._asked = asked.shape[0], where, beside
