"""How far the targets lie off the sources, told before anything is trained on them.

A pixel loss asks for the offset, too, and what is drawn has it ever after. Characters are drawn
with their ink in the middle, so what is compared is the middle of the ink of both pictures of a
pair: right to half a pixel even between a sans and a running hand. Phase correlation, which is
better where both pictures show the same thing, is not here: of pairs of a sans and a kai font a
fifth agree within a pixel, and of a sans and a brush it finds 4 px where there are none.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

PAIRS = 200  # looked at, evenly chosen
END = 0.01  # share of the ink outside the two ends, so that a speck of a scan is no end
FAR = 0.75  # px of 64: eight fonts drawn in the middle lie up to 0.54 off a sans
AGREE = 1.5  # px of 64: pairs closer to the common offset agree with it
MOST = 0.5  # of the pairs have to agree, or they lie here and there and no shift would help
LEAST = 1e-6  # ink of a picture that has any

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Registration:
    """Offset of targets against sources in px, right and down positive.

    `confidence`: share of pairs whose own offset lies within AGREE px of 64 of it; `spread`: the
    median distance (px) of the pairs' own offsets; `pairs`: how many were looked at; `size`: side
    of the pictures, px.
    """

    x: float
    y: float
    confidence: float
    spread: float
    pairs: int
    size: int

    @property
    def length(self) -> float:
        return math.hypot(self.x, self.y)


def registration(source: Tensor, target: Tensor) -> Registration:
    """Of pictures (n, 1, s, s) in [-1, 1] and their partners; ValueError where shapes differ.

    The offset is the mean of the half of the pairs that lie in the middle, in x and in y.
    """
    if source.shape != target.shape or source.ndim != 4 or source.shape[1] != 1:
        raise ValueError(
            f"sources {tuple(source.shape)} and targets {tuple(target.shape)} are no pairs of "
            "pictures (n, 1, s, s)"
        )
    count, size = len(source), source.shape[-1]
    rows = torch.linspace(0, max(0, count - 1), min(PAIRS, count)).round().long()
    apart = _middles(target[rows]) - _middles(source[rows])
    apart = apart[np.isfinite(apart).all(1)]
    if not len(apart):
        return Registration(0.0, 0.0, 0.0, math.inf, 0, size)
    x, y = (_mean_of_half(column) for column in apart.T)
    far = np.hypot(apart[:, 0] - x, apart[:, 1] - y)
    confidence = float((far < AGREE * size / 64).mean())
    return Registration(x, y, confidence, float(np.median(far)), len(apart), size)


def _middles(pictures: Tensor) -> Floats:
    """(n, 2), px to the right and down: midway between the ends of the ink; nan without ink."""
    ink: Floats = ((1 - pictures[:, 0].double()) / 2).numpy()
    found = np.stack([_middle(ink.sum(1)), _middle(ink.sum(2))], 1)
    return np.asarray(np.where(ink.sum((1, 2))[:, None] < LEAST, np.nan, found))


def _middle(profile: Floats) -> Floats:
    """(n,) of the ink along one axis (n, s): ends between pixels are read off a straight line."""
    inside = np.cumsum(profile, 1) / np.maximum(profile.sum(1, keepdims=True), LEAST)
    inside = np.pad(inside, ((0, 0), (1, 0)))
    edge = np.arange(inside.shape[1])
    ends = [[float(np.interp(part, row, edge)) for part in (END, 1 - END)] for row in inside]
    return np.asarray(np.mean(np.reshape(ends, (-1, 2)), 1))


def _mean_of_half(values: Floats) -> float:
    ordered = np.sort(values)
    quarter = len(values) // 4
    return float(ordered[quarter : len(values) - quarter].mean())


def described(found: Registration) -> str:
    """
    >>> described(Registration(0.12, -0.05, 0.9, 0.4, 64, 64))
    'targets lie 0.1 px right of and 0.1 px above their sources (90% of 64 pairs agree)'
    """
    across = f"{abs(found.x):.1f} px {'right' if found.x >= 0 else 'left'} of"
    down = f"{abs(found.y):.1f} px {'below' if found.y >= 0 else 'above'}"
    agree = f"({found.confidence:.0%} of {found.pairs} pairs agree)"
    return f"targets lie {across} and {down} their sources {agree}"


def warning(found: Registration) -> str | None:
    """One line to be said before training, or None where pairs lie on each other.

    >>> warning(Registration(2.0, 0.1, 0.9, 0.4, 64, 64))[-49:]
    'drawn: shift them with target_x=-2 or source_x=+2'
    >>> warning(Registration(0.5, 0.1, 0.9, 0.4, 64, 64))
    """
    if found.length <= FAR * found.size / 64 or found.confidence < MOST:
        return None
    parts = [(axis, round(by)) for axis, by in (("x", found.x), ("y", found.y)) if round(by)]
    ways = [
        " ".join(f"{side}_{axis}={sign * by:+d}" for axis, by in parts)
        for side, sign in (("target", -1), ("source", 1))
    ]
    return f"{described(found)}, and so will what is drawn: shift them with {' or '.join(ways)}"
