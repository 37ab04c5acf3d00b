"""Representations the user tells of: how much they vary, and how they fill their space."""

import torch
from torch import Tensor

from unstuck.watcher.collector import Collector
from unstuck.watcher.rows import TINY, off_diagonal, rows, unit
from unstuck.watcher.statistics import latent_spread


class Embeddings(Collector):
    """`latent/<name>/...` of what `embedding` is told: spread, size, rank, uniformity."""

    hears = ("embedding",)

    def told(self, kind: str, names: tuple[str, ...], tensors: tuple[Tensor, ...]) -> None:
        x = rows(tensors[0])
        if x is None:
            return
        spread = latent_spread(x)
        keys = ("batch_std", "rms", "effective_rank", "uniformity")
        values = [*spread, participation(x), uniformity(x)]
        self.hold(values, [f"latent/{names[0]}/{key}" for key in keys])


def participation(x: Tensor) -> Tensor:
    """How many directions the rows vary in: (sum of eigenvalues)^2 over the sum of their squares.

    Of the covariance; both sums are read from the Gram matrix, without its eigenvalues.
    """
    centred = x - x.mean(dim=0)
    gram = centred @ centred.T
    return gram.trace().square() / gram.square().sum().clamp_min(TINY**2)


def uniformity(x: Tensor) -> Tensor:
    """Log of the mean Gaussian potential of pairs on the unit sphere; 0 where all are one point."""
    u = unit(x)
    squares = (2 - 2 * off_diagonal(u @ u.T)).clamp_min(0)
    return torch.exp(-2 * squares).mean().log()
