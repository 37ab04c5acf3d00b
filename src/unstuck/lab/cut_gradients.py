"""What a model and its loss make of a batch that is cut into micro-batches."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from unstuck.experiment import NotProbed
from unstuck.lab.accumulated import COUPLED, gap, rule
from unstuck.lab.flat_gradient import Flat
from unstuck.lab.micro_batches import CANNOT, batch_norms, freeze
from unstuck.lab.subject import Subject
from unstuck.lab.untouched import untouched

SURE = 3.0  # standard errors that random numbers must not reach
DRAWS = 8  # of random numbers, where the loss has some of its own
EQUAL = 0.01  # of the gradient: rounding in single precision stays a thousand times below
EQUAL_HALF = 0.05  # the same in half precision
NORMALISATION = "batch-dependent normalisation"
CHANGING = "state that passes change"
Gradients = Callable[[Subject, Flat, list[Any], int], Tensor]


@dataclass(frozen=True, slots=True)
class OfModel:
    """Why the gradient of the batch is not the mean of its micro-batches' (empty: it is)."""

    parts: Tensor  # (k, p) gradients, with the random numbers of the seed
    cause: str
    weights: Tensor  # (k,) of the micro-batches in the batch
    norm_gap: float | None  # that batch normalisation makes
    random: float  # gap that random numbers make
    tolerance: float


def of_model(subject: Subject, flat: Flat, batch: Any, parts: list[Any], seed: int) -> OfModel:
    half = any(p.dtype in (torch.float16, torch.bfloat16) for p in flat.parameters)
    pieces = _in_turn(subject, flat, parts, seed)
    quiet = gap(*(alone(subject, flat, batch, s) for s in (seed + 1, seed)))
    tolerance = EQUAL_HALF if half else EQUAL
    count = DRAWS if quiet > tolerance else 1

    def ruled(gradients: Gradients) -> tuple[str, Tensor, float]:
        seeds = range(seed, seed + count)
        wholes = torch.stack([alone(subject, flat, batch, s) for s in seeds])
        drawn = torch.stack([gradients(subject, flat, parts, s) for s in seeds])
        whole, each = wholes.mean(0), drawn.mean(0)
        unsure = SURE * _error_of_mean(wholes - drawn.mean(1)) / float(whole.norm())
        cause, weights = rule(whole, each, max(tolerance, unsure))
        return cause, weights, gap(weights @ each, whole)

    cause, weights, norm_gap = ruled(_in_turn)
    norms = batch_norms(subject.model)
    if norms and cause:
        with untouched((subject.model, *subject.others), subject.optimizer):
            freeze(norms.values())
            cause, weights, _ = ruled(_in_turn)
        cause = cause or NORMALISATION
    if cause == COUPLED and not ruled(_from_one_state)[0]:
        cause = CHANGING
    return OfModel(pieces, cause, weights, norm_gap if norms else None, quiet, tolerance)


def _error_of_mean(draws: Tensor) -> float:
    """How far the mean of vectors (r, p) lies from what more draws would give."""
    count = len(draws)
    if count < 2:
        return 0.0
    return math.sqrt(float((draws - draws.mean(0)).square().sum() / (count * (count - 1))))


def alone(subject: Subject, flat: Flat, batch: Any, seed: int) -> Tensor:
    """The gradient of one batch; the model's own state is put back."""
    with untouched((subject.model, *subject.others), subject.optimizer):
        return flat.gradient(subject, batch, seed=seed)


def _in_turn(subject: Subject, flat: Flat, parts: list[Any], seed: int) -> Tensor:
    """(k, p) gradients of the micro-batches one after the other, as training would."""
    with untouched((subject.model, *subject.others), subject.optimizer):
        torch.manual_seed(seed)
        try:
            return torch.stack([flat.gradient(subject, part) for part in parts])
        except CANNOT as error:
            raise NotProbed(
                f"a part of the batch fails, so it cannot be accumulated: {type(error).__name__}: "
                f"{' '.join(str(error).split())[:200]}"
            ) from error


def _from_one_state(subject: Subject, flat: Flat, parts: list[Any], seed: int) -> Tensor:
    """The same, each beginning with the model as it was before all of them."""
    seeds = range(seed * len(parts), (seed + 1) * len(parts))  # no two draw the same
    return torch.stack(
        [alone(subject, flat, part, s) for part, s in zip(parts, seeds, strict=True)]
    )
