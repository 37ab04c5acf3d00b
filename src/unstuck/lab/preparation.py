"""How pictures as they are prepared at use differ from the same ones as training saw them."""

from dataclasses import dataclass

import numpy as np

from unstuck.lab.phase import SMALLEST, edges, offsets
from unstuck.records import Floats

ORDERS = {"same": slice(None), "reversed": slice(None, None, -1)}
FLIPS = {"none": (1, 1), "left-right": (1, -1), "up-down": (-1, 1), "both": (-1, -1)}
CELL = 4  # px
NOTHING = 1e-12
CLEARLY = 0.02  # of correlation: what another order or side must gain to be believed


@dataclass(frozen=True, slots=True)
class Preparation:
    """The pictures at use against those of training.

    `gain`: slope of their brightness; `bias`: how far their mean has moved, in spreads;
    `sharpness`: detail at use over detail in training, contrast for contrast; `correlation`: what
    is left when all that is named here is undone, 1 if nothing else differs.
    """

    order: str
    flip: str
    dx: float
    dy: float
    gain: float
    bias: float
    sharpness: float
    correlation: float


def compared(trained: Floats, used: Floats) -> Preparation:
    """Of (n, c, h, w) pictures as training saw them and the same ones as they are at use."""
    order, flip = _turned(trained, used)
    undone = _undone(used, order, flip)
    dx = dy = 0.0
    if min(trained.shape[2:]) >= SMALLEST:
        found = offsets(edges(trained), edges(undone), draws=1)
        dx, dy = found.dx, found.dy
    undone = _moved(undone, dx, dy)
    inner = (slice(None), slice(None), *(_inner(size) for size in trained.shape[2:]))
    a, b = trained[inner], undone[inner]
    channels = list(zip(a.swapaxes(0, 1), b.swapaxes(0, 1), strict=True))
    lines = [_line(x, y) for x, y in channels]
    gain, bias = (float(np.median(part)) for part in zip(*lines, strict=True))
    detail = float(np.median([_detail(y) / max(_detail(x), NOTHING) for x, y in channels]))
    return Preparation(order, flip, dx, dy, gain, bias, detail, _correlation(a, b))


def _turned(trained: Floats, used: Floats) -> tuple[str, str]:
    """The order of channels and the side under which they are most alike."""
    orders = list(ORDERS) if trained.shape[1] == 3 else ["same"]
    alike = {
        (order, flip): _correlation(trained, _undone(used, order, flip))
        for order in orders
        for flip in FLIPS
    }
    best = max(alike, key=lambda key: alike[key])
    return best if alike[best] > alike["same", "none"] + CLEARLY else ("same", "none")


def _undone(used: Floats, order: str, flip: str) -> Floats:
    down, right = FLIPS[flip]
    return used[:, ORDERS[order], ::down, ::right]


def _moved(pictures: Floats, dx: float, dy: float) -> Floats:
    from scipy.ndimage import shift

    if not np.rint([10 * dx, 10 * dy]).any():
        return pictures
    return np.asarray(shift(pictures, (0, 0, -dy, -dx), order=3, mode="nearest"))


def _inner(size: int) -> slice:
    return slice(size // 8, size - size // 8)


def _correlation(a: Floats, b: Floats) -> float:
    """Over all pixels, each channel about its own mean."""
    x = (a - a.mean((0, 2, 3), keepdims=True)).ravel()
    y = (b - b.mean((0, 2, 3), keepdims=True)).ravel()
    return float(x @ y / max(float(np.linalg.norm(x) * np.linalg.norm(y)), NOTHING))


def _line(x: Floats, y: Floats) -> tuple[float, float]:
    """Slope of y over x, and how many spreads of x its mean lies above that of x.

    From coarse cells, which blur leaves alone.
    """
    spread = max(float(x.std()), NOTHING)
    x, y = _coarse(x), _coarse(y)
    centred = x - x.mean()
    gain = float((centred * (y - y.mean())).sum() / max(float((centred**2).sum()), NOTHING))
    return gain, float(y.mean() - x.mean()) / spread


def _coarse(pictures: Floats) -> Floats:
    from scipy.ndimage import uniform_filter

    return np.asarray(uniform_filter(pictures, (0, CELL, CELL))[:, ::CELL, ::CELL])


def _detail(pictures: Floats) -> float:
    """The finest differences, over the contrast there is."""
    fine = np.hypot(np.diff(pictures, axis=1)[..., :-1], np.diff(pictures, axis=2)[:, :-1])
    return float(np.sqrt((fine**2).mean())) / max(float(pictures.std()), NOTHING)
