"""How low a loss can get at all: its value for predictions that nothing restricts.

The model's output is replaced by free numbers, which are then optimised through the loss. Samples
with equal inputs share theirs, since no model tells them apart. So the floor of soft targets is
their entropy, that of one input with two labels log 2, and that of a regression 0.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from unstuck.experiment import NotProbed
from unstuck.lab.batch import tensors
from unstuck.lab.short_training import seeded
from unstuck.lab.subject import Call, Subject
from unstuck.lab.untouched import untouched

ROUNDS = 200  # of Rprop, whose steps grow by a fifth: enough from 0.01 to any scale
STILL_FALLING = 0.05  # of the whole fall, in the last quarter
CLOSE = 1e-3  # to a sum of one, or a length of one

Shape = Callable[[Tensor], Tensor]  # free numbers -> a prediction of the model's kind


@dataclass(frozen=True, slots=True)
class Floor:
    """`value`: of the best predictions; `constant`: of the best one that is the same for all."""

    value: float
    constant: float | None = None
    known: bool = True


def floor_of(subject: Subject, batch: Any) -> Floor:
    """The floor of the loss on a batch; not known (0) where the output is not one tensor.

    NotProbed where the loss has no lower bound.
    """
    seeded(0)
    calls = subject.calls(batch)
    if len(calls) != 1 or not _free(calls[0].output):
        return Floor(0.0, known=False)
    output = calls[0].output.detach()
    shape, start = _kind(output, batch)
    groups = _groups(calls[0], len(output))
    try:
        value = _lowest(subject, batch, lambda u: shape(u)[groups], _firsts(start, groups))
        constant = _lowest(
            subject, batch, lambda u: shape(u).expand_as(output), start.mean(0, keepdim=True)
        )
    except NotProbed:
        raise
    except (RuntimeError, ValueError, TypeError, IndexError, AttributeError):
        return Floor(0.0, known=False)  # the loss takes none but the model's own predictions
    return Floor(min(value, constant), constant)


def _free(output: Any) -> bool:
    return isinstance(output, Tensor) and output.is_floating_point() and output.ndim > 0


def _kind(output: Tensor, batch: Any) -> tuple[Shape, Tensor]:
    """What kind of numbers the model gives, and free numbers that give the same."""
    out = output.float()
    for dim in (1, -1) if out.ndim > 1 else ():
        if out.shape[dim] == 1:
            continue
        if _all_near(out.logsumexp(dim), 0.0):
            return partial(functional.log_softmax, dim=dim), out
        if bool((out >= 0).all()) and _all_near(out.sum(dim), 1.0):
            return partial(functional.softmax, dim=dim), out.clamp(min=1e-6).log()
        if _all_near(out.norm(dim=dim), 1.0):
            return partial(functional.normalize, dim=dim), out
    if _within_one(out) and all(_within_one(t) for t in tensors(batch) if t.shape == out.shape):
        return torch.sigmoid, out.clamp(1e-6, 1 - 1e-6).logit()
    return (lambda u: u), out


def _within_one(values: Tensor) -> bool:
    return bool((values >= 0).all()) and bool((values <= 1).all())


def _all_near(values: Tensor, wanted: float) -> bool:
    return bool(((values - wanted).abs() < CLOSE).all())


def _groups(call: Call, count: int) -> Tensor:
    """For each sample which of the distinct inputs it has."""
    parts = [
        t.detach().reshape(count, -1).double().cpu()
        for t in tensors((call.args, call.kwargs))
        if t.ndim and len(t) == count and not t.is_complex()
    ]
    if not parts:
        return torch.arange(count)
    found: Tensor = torch.unique(torch.cat(parts, 1), dim=0, return_inverse=True)[1]
    return found.reshape(count)


def _firsts(start: Tensor, groups: Tensor) -> Tensor:
    """The numbers of the first sample of each group."""
    first = [int((groups == g).nonzero()[0]) for g in range(int(groups.max()) + 1)]
    return start[torch.tensor(first, device=start.device)]


def _lowest(subject: Subject, batch: Any, shape: Shape, start: Tensor) -> float:
    free = start.clone().requires_grad_()
    seen: list[float] = []
    dtype = next((p.dtype for p in subject.model.parameters()), start.dtype)
    with untouched((subject.model, *subject.others)):
        subject.model.forward = lambda *args, **kwargs: shape(free).to(dtype)
        optimizer = torch.optim.Rprop([free], lr=0.01)
        for _ in range(ROUNDS):
            seeded(0)
            loss = subject.value(batch)
            if not math.isfinite(float(loss.detach())):
                break
            seen.append(float(loss.detach()))
            (gradient,) = torch.autograd.grad(loss, free, allow_unused=True)
            if gradient is None:
                raise ValueError("the loss does not depend on what the model gives")
            free.grad = gradient
            optimizer.step()
    if not seen:
        raise ValueError("the loss is not finite for a prediction of this kind")
    lowest, late = min(seen), min(seen[: max(3 * len(seen) // 4, 1)])
    if lowest < 0 and late - lowest > STILL_FALLING * (seen[0] - lowest):
        raise NotProbed(
            f"the loss has no lower bound (free predictions took it from {seen[0]:.3g} to "
            f"{lowest:.3g} and on): near zero means nothing for it"
        )
    return lowest
