"""Which gradient is this, given those of the micro-batches? Told by which combination it is.

A batch's gradient is `expected @ parts`: every micro-batch with its weight. What an accumulation
leaves is compared with that, then with what each known fault would have left.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

COUPLED = "coupled samples"
RIDGE = 1e-10
NUMBERS = 8  # for each micro-batch; of fewer numbers everything is some combination
EXACT = 0.05  # of the gradient; with more to spare some weights always fit
HALVINGS = 50


@dataclass(frozen=True, slots=True)
class Told:
    """The fault (empty: none), how many micro-batches are in it, the factor on all of them."""

    cause: str
    kept: int
    factor: float = 1.0


def rule(whole: Tensor, parts: Tensor, tolerance: float) -> tuple[str, Tensor]:
    """How a loss puts its samples together, and the weight (k,) of each micro-batch in a batch.

    Empty for a mean; else `sum over samples`, `unequal micro-batches` (a mean over what is not
    equally many in each) or `coupled samples`.
    """
    ones = torch.ones_like(parts[:, 0])
    mean = ones / len(parts)
    if near(whole, mean @ parts, tolerance):
        return "", mean
    if near(whole, ones @ parts, tolerance):
        return "sum over samples", ones
    weights = _combination(whole, parts)
    if weights is None or tolerance > EXACT or not bool((weights > 0).all()):
        return COUPLED, mean
    if near(whole, weights @ parts, tolerance):
        return "unequal micro-batches", weights
    return COUPLED, mean


def matched(target: Tensor, parts: Tensor, expected: Tensor, tolerance: float) -> Told:
    """What became of gradients (k, p) in a gradient (p,), where the weights (k,) were expected."""
    count = len(parts)
    weighted = expected[:, None] * parts
    least = tolerance * float(weighted.norm())

    def fits(wanted: Tensor) -> bool:
        return float((target - wanted).norm()) <= max(least, tolerance * float(wanted.norm()))

    if not bool(target.any()):
        return Told("discarded", 0)
    for told, chosen in _faults(count):
        if fits(torch.tensor(chosen).to(weighted) @ weighted):
            return told
    whole = weighted.sum(0)
    factor = float(target @ whole / whole.square().sum().clamp_min(1e-30))
    if fits(factor * whole):
        return Told("scaled as a whole", count, factor)
    if any(_clipped(target, weighted * by, fits) for by in (1, count)):
        return Told("clipped per micro-batch", count, factor)
    weights = _combination(target, parts)
    if weights is not None and fits(weights @ parts):
        return Told("unequal micro-batches", count, factor)
    return Told("other", count, factor)


def near(first: Tensor, second: Tensor, tolerance: float) -> bool:
    """Whether two gradients are the same up to a share of the larger."""
    return float((first - second).norm()) <= tolerance * float(max(first.norm(), second.norm()))


def gap(made: Tensor, right: Tensor) -> float:
    """The difference of two gradients over the second."""
    return float((made - right).norm() / right.norm().clamp_min(1e-30))


def _faults(count: int) -> Iterator[tuple[Told, list[float]]]:
    """What each fault does to micro-batches that have their weights."""
    yield Told("", count), [1.0] * count
    yield Told("unscaled", count, float(count)), [float(count)] * count
    for kept in range(count - 1, 0, -1):
        lost = [0.0] * (count - kept)
        for factor in (1.0, float(count)):
            yield Told("discarded", kept, factor), [*lost, *[factor] * kept]
        for factor in (1.0, float(count), count / kept):
            yield Told("stepped early", kept, factor), [*[factor] * kept, *lost]


def _clipped(target: Tensor, parts: Tensor, fits: Callable[[Tensor], bool]) -> bool:
    """Whether the sum was clipped after each part, or each part before it was added."""
    limit, running = target.norm(), torch.zeros_like(target)
    for part in parts:
        running = running + part
        running = running * (limit / running.norm().clamp_min(1e-30)).clamp_max(1.0)
    if fits(running):
        return True
    sizes = parts.norm(dim=1).clamp_min(1e-30)
    low, high = torch.zeros_like(limit), sizes.max()
    for _ in range(HALVINGS):  # the sum grows with the limit
        middle = (low + high) / 2
        shorter = ((middle / sizes).clamp_max(1.0) @ parts).norm() < limit
        low, high = (middle, high) if shorter else (low, middle)
    return fits((high / sizes).clamp_max(1.0) @ parts)


def _combination(target: Tensor, parts: Tensor) -> Tensor | None:
    """Weights (k,) with which the parts come closest; None where anything could be made of them."""
    if parts.shape[1] < NUMBERS * len(parts):
        return None
    wide = parts.cpu().double()
    gram, right = wide @ wide.T, wide @ target.cpu().double()
    ridge = RIDGE * gram.diagonal().mean().clamp_min(1e-30) * torch.eye(len(gram)).to(gram)
    weights: Tensor = torch.linalg.solve(gram + ridge, right)
    return weights.to(target)
