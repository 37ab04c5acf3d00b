"""Similarities that codes or embeddings are trained to have: what they ask of unlike samples."""

from torch import Tensor

from unstuck.watcher.collector import Collector
from unstuck.watcher.rows import MOST_ROWS, correlation, off_diagonal, rows, unit

FEWEST = 4
OUTER = 20  # one in so many of the targets lies below `low`, and as many above `high`


class SimilarityTargets(Collector):
    """`target_similarity/<name>/...` of square matrices that `targets` is told.

    With codes of as many rows told in the same step, how far the two agree.
    """

    hears = ("targets", "embedding")
    _codes: tuple[int, int, Tensor | None] = (-1, 0, None)  # step, rows, and a part of them

    def told(self, kind: str, names: tuple[str, ...], tensors: tuple[Tensor, ...]) -> None:
        step = self.recorder.clock.step
        if kind == "embedding":
            codes = rows(tensors[0])
            self._codes = (step, 0 if codes is None else tensors[0].shape[0], codes)
            return
        asked = tensors[0].detach()
        if asked.ndim != 2 or asked.shape[0] != asked.shape[1] or asked.shape[0] < FEWEST:
            return
        stride = -(-asked.shape[0] // MOST_ROWS)
        asked = off_diagonal(asked[::stride, ::stride].float())
        ordered = asked.reshape(-1).sort().values
        outer = ordered.numel() // OUTER
        where = f"target_similarity/{names[0]}"
        values = [ordered.mean(), ordered[outer], ordered[-1 - outer]]
        self.hold(values, [f"{where}/{key}" for key in ("mean", "low", "high")])
        at, count, codes = self._codes
        if codes is not None and at == step and count == tensors[0].shape[0]:
            u = unit(codes)
            met = off_diagonal(u @ u.T)
            self.hold([met.mean()], [f"{where}/met"])
            self.hold([correlation(met, asked)], [f"{where}/correlation"])

