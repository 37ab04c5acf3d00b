"""How two pictures of the same thing lie to each other: phase correlation of their edges.

Edges with their direction, up to its sign, are what styles, contrasts and modalities of one thing
share, inverted or not. The cross spectrum of a pair is whitened by half (Kuglin & Hines, 1975,
whiten it all) and the finest frequencies weigh least; the mean over all pairs has its peak where
most pairs agree, read to a hundredth of a pixel from the spectrum itself (Guizar-Sicairos, Thurman
& Fienup, 2008, <https://doi.org/10.1364/OL.33.000156>). What of the one picture lies outside the
other is cut off once the offset is known, and the second window moves with what it shows: neither
pulls the answer towards zero.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unstuck.records import Floats

Complexes = NDArray[np.complex128]
Whole = NDArray[np.int64]

BLUR = 1.5  # px: the Gaussian whose derivative is the gradient
FINEST = 1.0  # px: details finer than this weigh least
WHITENED = 0.5  # 1 would keep the phases alone, and with them the noise of what is hardly there
ROUNDS = 4
FARTHEST = 0.3  # of the shorter side; beyond it too little of both pictures is there
SMALLEST = 16  # px of a side
NOTHING = 1e-150


@dataclass(frozen=True, slots=True)
class Offsets:
    """How far the second pictures lie from the first, in px to the right and down.

    `dx`, `dy`: what the pairs together say; `low`, `high`: bounds of its length, 95 %, from
    resampled pairs; `each`: (n, 2) what each pair alone says; `height`: (n,) each pair's peak over
    the root mean square of its correlation.
    """

    dx: float
    dy: float
    low: float
    high: float
    each: Floats
    height: Floats

    @property
    def length(self) -> float:
        return float(np.hypot(self.dx, self.dy))

    @property
    def apart(self) -> Floats:
        """(n,) how far each pair's own offset lies from that of all."""
        return np.asarray(np.hypot(self.each[:, 0] - self.dx, self.each[:, 1] - self.dy))


def edges(pictures: Floats) -> Complexes:
    """Steepness and, as twice its angle, direction of the edges, (n, c, h, w) -> (n, h, w).

    Twice the angle: from dark to bright and from bright to dark are the same edge.
    """
    from scipy.ndimage import gaussian_filter1d

    def slope(axis: int, other: int) -> Floats:
        steep = gaussian_filter1d(pictures, BLUR, axis=axis, order=1, mode="nearest")
        return np.asarray(gaussian_filter1d(steep, BLUR, axis=other, mode="nearest"))

    gradient = slope(-1, -2) + 1j * slope(-2, -1)
    doubled = gradient**2 / np.maximum(np.abs(gradient), NOTHING)
    return np.asarray(doubled.sum(1))


def offsets(first: Complexes, second: Complexes, draws: int = 200) -> Offsets:
    """Of edges (n, h, w) of pictures and (n, h, w) of their partners."""
    found = np.zeros(2)  # down, right
    for _ in range(ROUNDS):
        whole = np.rint(found).astype(np.int64)
        spectra = _spectra(*overlap(first, second, whole), found - whole)
        now = whole + _peaks(spectra.mean(0, keepdims=True))[0]
        if not _inside(now, first.shape):
            break
        settled, found = bool(np.abs(now - found).max() < 0.01), now
        if settled:
            break
    each = whole + _peaks(spectra)
    low, high = _bounds(spectra, found - whole, whole, draws)
    down, right = (float(part) for part in found)
    return Offsets(right, down, low, high, each[:, ::-1], _heights(spectra))


def heights(first: Complexes, second: Complexes) -> Floats:
    """(n,) each pair's peak over the root mean square of its correlation, as they lie."""
    return _heights(_spectra(first, second, np.zeros(2)))


def overlap(first: Complexes, second: Complexes, by: Whole) -> tuple[Complexes, Complexes]:
    """The part of both in which second[y + by] shows what first[y] does; `by`: down, right."""
    cut_a, cut_b = [slice(None)], [slice(None)]
    for size, shift in zip(first.shape[1:], by.tolist(), strict=True):
        cut_a.append(slice(max(0, -shift), size - max(0, shift)))
        cut_b.append(slice(max(0, shift), size - max(0, -shift)))
    return first[tuple(cut_a)], second[tuple(cut_b)]


def _inside(offset: Floats, shape: tuple[int, ...]) -> bool:
    return bool(np.abs(offset).max() <= FARTHEST * min(shape[1:]))


def _spectra(first: Complexes, second: Complexes, rest: Floats) -> Complexes:
    """Cross spectra (n, h, w) of equal weight; their transform peaks at the offset.

    The window of the second pictures lies `rest` further down and right, as what they show does.
    """
    height, width = first.shape[1:]

    def transformed(pictures: Complexes, by: Floats) -> Complexes:
        window = np.outer(_window(height, by[0]), _window(width, by[1]))
        level = (pictures * window).sum((1, 2), keepdims=True) / window.sum()
        return np.asarray(np.fft.fft2((pictures - level) * window))

    cross = transformed(first, np.zeros(2)).conj() * transformed(second, rest)
    length = np.abs(cross)
    least = 1e-9 * length.max((1, 2), keepdims=True) + NOTHING
    fine = np.add.outer(np.fft.fftfreq(height) ** 2, np.fft.fftfreq(width) ** 2)
    kept = cross / np.maximum(length, least) ** WHITENED
    kept *= np.exp(-0.5 * (2 * np.pi * FINEST) ** 2 * fine)
    return np.asarray(kept / np.maximum(np.abs(kept).mean((1, 2), keepdims=True), NOTHING))


def _window(size: int, by: float) -> Floats:
    """1 in the middle, falling to 0 over a quarter of the side at both ends."""
    inward = np.minimum(np.arange(size) - by + 0.5, size - (np.arange(size) - by + 0.5))
    return np.asarray(0.5 - 0.5 * np.cos(np.pi * np.clip(4 * inward / size, 0, 1)))


def _peaks(spectra: Complexes) -> Floats:
    """(n, 2): how far down and to the right the transform of each spectrum is largest."""
    count, height, width = spectra.shape
    surface = np.fft.ifft2(spectra).real
    place = np.where(_far(height, width), -np.inf, surface).reshape(count, -1).argmax(1)
    at = np.stack([_signed(place // width, height), _signed(place % width, width)], 1).astype(float)
    for reach, grain in ((1.0, 0.1), (0.1, 0.01)):
        near = np.arange(-reach, reach + grain / 2, grain)
        best = _around(spectra, at, near).reshape(count, -1).argmax(1)
        at = at + np.stack([near[best // len(near)], near[best % len(near)]], 1)
    return at


def _around(spectra: Complexes, at: Floats, near: Floats) -> Floats:
    """(n, k, k): the transform of each spectrum around its own place."""
    height, width = spectra.shape[1:]
    down = np.exp(2j * np.pi * (at[:, :1] + near)[:, :, None] * np.fft.fftfreq(height))
    right = np.exp(2j * np.pi * (at[:, 1:] + near)[:, :, None] * np.fft.fftfreq(width))
    return np.asarray((down @ spectra @ right.transpose(0, 2, 1)).real)


def _heights(spectra: Complexes) -> Floats:
    surface = np.fft.ifft2(spectra).real
    spread = np.sqrt((surface**2).mean((1, 2)))
    return np.asarray(surface.max((1, 2)) / np.maximum(spread, NOTHING))


def _bounds(spectra: Complexes, rest: Floats, whole: Whole, draws: int) -> tuple[float, float]:
    """Of the length of the offset: the pairs drawn again and again with replacement."""
    count = len(spectra)
    near = np.arange(-1.5, 1.51, 0.1)
    values = _around(spectra, np.tile(rest, (count, 1)), near).reshape(count, -1)
    rng = np.random.default_rng(0)
    best = (rng.multinomial(count, np.full(count, 1 / count), draws) @ values).argmax(1)
    found = rest + whole + np.stack([near[best // len(near)], near[best % len(near)]], 1)
    low, high = np.percentile(np.hypot(found[:, 0], found[:, 1]), [2.5, 97.5])
    return float(low), float(high)


def _far(height: int, width: int) -> NDArray[np.bool_]:
    """Offsets by which next to nothing of the one picture lies on the other."""
    most = FARTHEST * min(height, width)
    down = np.abs(_signed(np.arange(height), height)) > most
    right = np.abs(_signed(np.arange(width), width)) > most
    return np.asarray(np.logical_or.outer(down, right))


def _signed(index: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    return np.asarray(np.where(index > size // 2, index - size, index))
