"""What keeps a model from learning a few samples by heart: told with numbers.

`blockers` looks at a model as it is after it has failed to.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from unstuck.lab.batch import tensors
from unstuck.lab.flat_gradient import slopes
from unstuck.lab.short_training import seeded
from unstuck.lab.subject import Subject

SAME = 1e-5  # spread over the samples, of the numbers' size
AT_BOUND = 1e-3  # from 0, 1 or -1
MOSTLY = 0.9  # share of the numbers
SOME = 0.01  # share of the numbers at a bound that is one


@dataclass(frozen=True, slots=True)
class Blocker:
    """`kind` is short and always the same words; `said` is a sentence with the numbers."""

    kind: str
    said: str


def blockers(subject: Subject, batch: Any) -> Iterator[Blocker]:
    """What is found to be in the way, the plainest first."""
    seeded(0)
    loss = subject.value(batch)
    if loss.grad_fn is None:
        yield Blocker("detached graph", "The loss has no gradient: its graph was cut.")
        return
    yield from _frozen(subject)
    yield from _unreached(subject, loss)
    seeded(0)
    yield from _same(subject, batch)
    seeded(0)
    calls = subject.calls(batch)
    output = calls[0].output if len(calls) == 1 else None
    if isinstance(output, Tensor) and output.is_floating_point():
        yield from _out_of_reach(output.detach(), batch)


def _frozen(subject: Subject) -> Iterator[Blocker]:
    trained = {id(p) for p in subject.parameters if p.requires_grad}
    every = list(subject.model.parameters())
    total = sum(p.numel() for p in every)
    left = sum(p.numel() for p in every if id(p) not in trained)
    if left:
        yield Blocker(
            "frozen parameters",
            f"{left} of {total} parameters are not trained (frozen, or not with the optimizer).",
        )


def _unreached(subject: Subject, loss: Tensor) -> Iterator[Blocker]:
    named = [(n, p) for n, p in subject.model.named_parameters() if p.requires_grad]
    gradients = slopes(loss, [p for _, p in named])
    without = [
        (name, p)
        for (name, p), g in zip(named, gradients, strict=True)
        if g is None or not bool((g != 0).any())
    ]
    if without:
        count, total = sum(p.numel() for _, p in without), sum(p.numel() for _, p in named)
        first = ", ".join(name for name, _ in without[:3])
        yield Blocker(
            "no gradient", f"{count} of {total} parameters get no gradient at all: {first}."
        )


def _same(subject: Subject, batch: Any) -> Iterator[Blocker]:
    """The first layer that gives every sample the same numbers."""
    found: list[str] = []

    def look(name: str) -> Any:
        def hook(module: nn.Module, args: tuple[Any, ...], out: Any) -> None:
            inputs = [_spread(t) for t in tensors(args)]
            spread = _spread(out) if isinstance(out, Tensor) else None
            if spread is not None and spread < SAME and any(s is None or s > SAME for s in inputs):
                found.append(name)

        return hook

    leaves = [(n, m) for n, m in subject.model.named_modules() if not next(m.children(), None)]
    handles = [m.register_forward_hook(look(name)) for name, m in leaves]
    try:
        with torch.no_grad():
            calls = subject.calls(batch)
    finally:
        for handle in handles:
            handle.remove()
    spread = _spread(calls[0].output) if len(calls) == 1 else None
    if found and spread is not None and spread < SAME:
        name = found[-1]
        yield Blocker(
            "same output",
            f"The output is the same for every sample (spread {spread:.1g} of its size): what "
            f"tells them apart is lost in {name or type(subject.model).__name__}.",
        )


def _spread(value: Any) -> float | None:
    """Root mean square difference between neighbouring samples, of the numbers' size."""
    if not isinstance(value, Tensor) or value.ndim < 1 or len(value) < 2:
        return None
    if not value.is_floating_point():
        return None
    rows = value.detach().reshape(len(value), -1).double()
    size = float(rows.square().mean().sqrt())
    apart = float((rows - rows.roll(1, 0)).square().mean().sqrt())
    return apart / size if size > 0 else 0.0


def _out_of_reach(output: Tensor, batch: Any) -> Iterator[Blocker]:
    """Targets beyond a bound that the output keeps to, or an output that lies at its bounds."""
    low, high = (_bound(output, end) for end in (min, max))
    for target in list(tensors(batch))[1:]:
        if target.shape == output.shape and target.is_floating_point():
            beyond = float(((target < low - AT_BOUND) | (target > high + AT_BOUND)).float().mean())
            if beyond:
                yield Blocker(
                    "target out of reach",
                    f"{beyond:.0%} of the target's values lie beyond {low:g} to {high:g}, which "
                    "the output does not leave.",
                )
                return
    at = sum(float(((output - b).abs() < AT_BOUND).float().mean()) for b in (low, high))
    if at > MOSTLY:
        said = f"{at:.0%} of the output's values lie at its bounds, {low:g} and {high:g}."
        yield Blocker("saturated output", said)


def _bound(output: Tensor, end: Callable[[float, float], float]) -> float:
    """0, 1 or -1 where the output's least (or largest) values lie at it, else without a bound."""
    extreme = float(output.min() if end is min else output.max())
    for bound in (0.0, -1.0) if end is min else (1.0, 0.0):
        near = float(((output - bound).abs() < AT_BOUND).float().mean())
        if abs(extreme - bound) < AT_BOUND and near > SOME:
            return bound
    return -math.inf if end is min else math.inf
