"""What a model and its loss make of a batch that is cut into micro-batches."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from unstuck.experiment import NotProbed
from unstuck.lab.accumulated import gap, rule
from unstuck.lab.flat_gradient import Flat
from unstuck.lab.micro_batches import CANNOT, batch_norms, freeze
from unstuck.lab.subject import Subject
from unstuck.lab.untouched import untouched

DRAWS = 8  # of random numbers, where the loss has some of its own
EQUAL = 0.01  # of the gradient: rounding in single precision stays a thousand times below
EQUAL_HALF = 0.05  # the same in half precision
NORMALISATION = "batch-dependent normalisation"


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
    whole, pieces = _gradients(subject, flat, batch, parts, seed)
    quiet = gap(flat.gradient(subject, batch, seed=seed + 1), whole)
    tolerance = EQUAL_HALF if half else EQUAL
    count = DRAWS if quiet > tolerance else 1

    def ruled() -> tuple[str, Tensor, float]:
        draws = [_gradients(subject, flat, batch, parts, seed + i) for i in range(count)]
        mean, each = (torch.stack(one).mean(0) for one in zip(*draws, strict=True))
        cause, weights = rule(mean, each, max(tolerance, 2 * quiet / count**0.5))
        return cause, weights, gap(weights @ each, mean)

    cause, weights, norm_gap = ruled()
    norms = batch_norms(subject.model)
    if norms and cause:
        with untouched((subject.model, *subject.others), subject.optimizer):
            freeze(norms.values())
            cause, weights, _ = ruled()
        cause = cause or NORMALISATION
    return OfModel(pieces, cause, weights, norm_gap if norms else None, quiet, tolerance)


def _gradients(
    subject: Subject, flat: Flat, batch: Any, parts: list[Any], seed: int
) -> tuple[Tensor, Tensor]:
    """Of the batch, and (k, p) of its micro-batches one after the other, as training would."""
    with untouched((subject.model, *subject.others), subject.optimizer):
        whole = flat.gradient(subject, batch, seed=seed)
    with untouched((subject.model, *subject.others), subject.optimizer):
        torch.manual_seed(seed)
        try:
            return whole, torch.stack([flat.gradient(subject, part) for part in parts])
        except CANNOT as error:
            raise NotProbed(
                f"a part of the batch fails, so it cannot be accumulated: {type(error).__name__}: "
                f"{' '.join(str(error).split())[:200]}"
            ) from error
