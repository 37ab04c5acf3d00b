"""The gradient noise scale from the products of micro-batches' gradients with each other.

With gradients g_1 .. g_k of micro-batches of b samples (McCandlish et al. 2018, appendix A.1):
the signal |G|^2 is the mean of g_i . g_j over pairs i != j, the noise tr(Sigma) is b times the
spread of the g_i about their mean; both are unbiased. The scale is noise / signal. Where there is
little signal that ratio runs off to infinity, so its inverse gets the interval (jackknife over
micro-batches, Student's t), which ends at zero signal and not at infinite noise.
"""

import math
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from unstuck.records import Floats

COLUMNS = 1 << 16  # numbers that are multiplied at a time in double precision


@dataclass(frozen=True, slots=True)
class NoiseScale:
    """In samples. `samples` and `high` are inf where the signal cannot be told from zero."""

    samples: float
    low: float
    high: float


def products(vectors: Tensor, weight: Tensor | None = None) -> Floats:
    """(k, k) products of k vectors (k, p) with each other, in double precision."""
    gram = np.zeros((len(vectors), len(vectors)))
    for at in range(0, vectors.shape[1], COLUMNS):
        block = vectors[:, at : at + COLUMNS].cpu().double()
        if weight is not None:
            block = block * weight[at : at + COLUMNS].cpu().double()
        gram += (block @ block.T).numpy()
    return gram


def spread(gram: Floats) -> float:
    """Mean square distance of the vectors from their mean, unbiased."""
    count = len(gram)
    return float((np.trace(gram) - gram.sum() / count) / (count - 1))


def noise_scale_of(gram: Floats, size: int, confidence: float = 0.95) -> NoiseScale:
    """The noise scale from the products of k >= 3 gradients of micro-batches of `size` samples."""
    from scipy.stats import t

    count = len(gram)
    square, row = np.diag(gram), gram.sum(1)
    squares, total = square.sum(), row.sum()
    inverse = float(_inverse(squares, total, count, size))
    if not math.isfinite(inverse):  # every sample asks for the same
        return NoiseScale(0.0, 0.0, 0.0)
    without = _inverse(squares - square, total - 2 * row + square, count - 1, size)
    error = math.sqrt((count - 1) / count * np.sum((without - without.mean()) ** 2))
    reach = float(t.ppf(0.5 + confidence / 2, count - 1)) * error
    least, most = inverse - reach, inverse + reach
    low = 1 / most if most > 0 else float(count * size)
    return NoiseScale(_turned(inverse), low, _turned(least))


def _inverse(squares: Floats, total: Floats, count: int, size: int) -> Floats:
    """Signal over noise, in 1 / samples."""
    signal = (total - squares) / (count * (count - 1))
    noise = size * (squares - total / count) / (count - 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(noise > 1e-12 * np.abs(signal), signal / noise, np.inf)


def _turned(inverse: float) -> float:
    return 1 / inverse if inverse > 0 else math.inf
