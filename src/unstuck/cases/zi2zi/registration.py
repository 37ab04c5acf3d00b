"""How far the targets lie off the sources, told before anything is trained on them.

A pixel loss asks for the offset, too, and what is drawn has it ever after. A font is drawn with its
ink in the middle on average, so what is compared is the middle of the ink of both pictures of a
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

from unstuck.cases.zi2zi.typeface import mean_of_half, middles

PAIRS = 200  # looked at, evenly chosen
FAR = 0.75  # px of 64: whole pixels leave 0.5 at most between fonts drawn in the middle
AGREE = 1.5  # px of 64: pairs closer to the common offset agree with it
MOST = 0.5  # of the pairs have to agree, or they lie here and there and no shift would help


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
    apart = middles(_ink(target[rows])) - middles(_ink(source[rows]))
    apart = apart[np.isfinite(apart).all(1)]
    if not len(apart):
        return Registration(0.0, 0.0, 0.0, math.inf, 0, size)
    x, y = mean_of_half(apart)
    far = np.hypot(apart[:, 0] - x, apart[:, 1] - y)
    confidence = float((far < AGREE * size / 64).mean())
    return Registration(x, y, confidence, float(np.median(far)), len(apart), size)


def _ink(pictures: Tensor) -> NDArray[np.float64]:
    return np.asarray((1 - pictures[:, 0].double()) / 2)


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
