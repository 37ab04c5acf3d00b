"""From steps measured on small batches to the memory of a large one.

Every moment of the step grows by itself: bytes = fixed + per sample x batch (+ per pair of samples
where the loss compares all with all). The peak of a large batch is the largest of the grown
moments, which need not be the moment that was largest when the batch was small.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from unstuck.lab.allocation import PHASES, Moments
from unstuck.records import Floats

MOST_SAMPLES = 2**24  # beyond it "the largest batch" is of no use to anybody
SCRATCH = "kernels' scratch"
PARTS = ("activations", "backward pass", "optimizer's step", SCRATCH)  # columns of Moments.alive


@dataclass(frozen=True, slots=True)
class Growth:
    """Bytes of a step as a function of the batch.

    `moments`: (1 + degree, moments, 4) coefficients of each power of the batch size; `standing`
    and `layers` likewise, by name.
    """

    moments: Floats
    standing: Mapping[str, Floats]
    layers: Mapping[str, Floats]
    gradients: int
    unseen: tuple[float, ...] = (0.0,)

    def parts(self, batch: int, *, accumulating: bool = False) -> dict[str, int]:
        """What the memory holds at its peak, by kind; their sum is the peak.

        `accumulating`: the gradients of earlier micro-batches are there all the time.
        """
        alive = np.maximum(_at(self.moments, batch), 0.0)
        held = {name: max(0, int(_at(c, batch))) for name, c in self.standing.items()}
        peak = alive[int(alive.sum(1).argmax())] if len(alive) else np.zeros(4)
        held |= {part: int(size) for part, size in zip(PARTS, peak, strict=True)}
        held[PARTS[1]] += self.gradients if accumulating else 0
        held[SCRATCH] += int(max(0.0, float(_at(np.array(self.unseen), batch))))
        return {name: size for name, size in held.items() if size}

    def peak(self, batch: int, *, accumulating: bool = False) -> int:
        """Bytes at the worst moment of a step."""
        return sum(self.parts(batch, accumulating=accumulating).values())

    def line(self, batch: int) -> tuple[int, int]:
        """Bytes for each sample and bytes for any batch, between 8 and 16 times this batch.

        At a small batch the worst moment may be the optimizer's, which no sample moves.
        """
        low, high = self.peak(8 * batch), self.peak(16 * batch)
        slope = (high - low) // (8 * batch)
        return slope, low - slope * 8 * batch

    def by_layer(self, batch: int) -> dict[str, int]:
        """Bytes that are kept for the backward pass, by layer, the largest first."""
        found = {name: int(_at(c, batch)) for name, c in self.layers.items()}
        return dict(sorted(((n, b) for n, b in found.items() if b > 0), key=lambda i: -i[1]))

    def largest(self, limit: float, *, accumulating: bool = False) -> int:
        """The largest batch whose peak stays within a limit; 0 where not even one sample does."""

        def fits(batch: int) -> bool:
            return self.peak(batch, accumulating=accumulating) <= limit

        if not fits(1):
            return 0
        low, high = 1, 2
        while high <= MOST_SAMPLES and fits(high):
            low, high = high, 2 * high
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if fits(middle) else (low, middle)
        return low

    def split(self, wanted: int, limit: float) -> tuple[int, int]:
        """Micro-batch and their number for a wanted batch; (0, 0) where not one sample fits.

        Micro-batches of equal size are preferred to the fewest, up to twice as many.
        """
        if self.peak(wanted) <= limit:
            return wanted, 1
        most = min(wanted, self.largest(limit, accumulating=True))
        if not most:
            return 0, 0
        even = [size for size in range(most, most // 2, -1) if wanted % size == 0]
        micro = even[0] if even else most
        return micro, math.ceil(wanted / micro)

    @property
    def compares_all(self) -> bool:
        """Whether memory grows faster than the batch."""
        return len(self.moments) > 2


def grown(sizes: Sequence[int], steps: Sequence[Moments]) -> Growth:
    """The growth through steps measured at one to three batch sizes, smallest first."""
    same = len({step.during for step in steps}) == 1
    tables = [step.alive if same else _worst_of_each_phase(step) for step in steps]
    line = _through(sizes[-2:], [np.array(float(s.unseen)) for s in steps[-2:]])
    return Growth(
        _through(sizes, tables),
        _each(sizes, [step.standing for step in steps]),
        _each(sizes, [step.layers for step in steps]),
        steps[-1].gradients,
        tuple(float(c) for c in line),
    )


def _each(sizes: Sequence[int], found: Sequence[Mapping[str, int]]) -> dict[str, Floats]:
    names = dict.fromkeys(name for one in found for name in one)
    return {n: _through(sizes, [np.array(float(one.get(n, 0))) for one in found]) for n in names}


def _worst_of_each_phase(step: Moments) -> Floats:
    """Where the operations differ from batch to batch: the peak of each phase alone."""
    during = np.asarray(step.during)
    rows = np.zeros((len(PHASES), step.alive.shape[1]))
    for phase in range(len(PHASES)):
        alive = step.alive[during == phase]
        if len(alive):
            rows[phase] = alive[int(alive.sum(1).argmax())]
    return rows


def _through(sizes: Sequence[int], values: Sequence[Floats]) -> Floats:
    """Coefficients, lowest power first, of the curve through these values.

    A line through the two largest sizes; a parabola only where the smallest lies above that line,
    as it does where every sample meets every other (the bytes are exact: there is no noise). For
    the scratch of kernels a line at all events: which kernel is taken depends on the batch.
    """
    if len(sizes) == 1:
        return np.stack([values[0]])
    (first, last), (low, high) = sizes[-2:], values[-2:]
    slope = (high - low) / (last - first)
    line = np.stack([low - slope * first, slope])
    if len(sizes) < 3:
        return line
    least = sizes[0]
    bend = (values[0] - _at(line, least)) / ((least - first) * (least - last))
    bend = np.where(bend > 0, bend, 0.0)
    if bend.ndim == 2:
        bend[:, PARTS.index(SCRATCH)] = 0.0
    if not bend.any():
        return line
    return np.stack([line[0] + bend * first * last, slope - bend * (first + last), bend])


def _at(coefficients: Floats, batch: int) -> Floats:
    powers = float(batch) ** np.arange(len(coefficients))
    found: Floats = np.tensordot(powers, coefficients, axes=1)
    return found
