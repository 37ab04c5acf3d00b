"""keyhole: whether what was learnt on patches holds on the full canvas, and how much of it is seen.

## Why
Training on crops is cheap, and the loss on crops falls. Where the answer depends on what lies
outside of a crop, or further than the network sees, the full canvas stays wrong, and no loss
that training prints says so.

## How it is measured
The loss on the batch's patches and on a batch of the full canvas (`Subject.full`), in evaluation
mode, each over the loss of the best constant output (the same in every cell and sample, fitted
channel by channel), so that patches and canvas can be compared. Beside it, the side of the field of
one output over the side of the full canvas, times the calls where the model is applied again.

## Facts
- `keyhole/<model>/patch`, `full` [1]: error over that of the best constant; 1 is nothing learnt.
- `keyhole/<model>/patch_error`, `full_error`: the losses themselves.
- `keyhole/<model>/seen` [1]: longer side of the field over that of the full canvas, at most 1.

## Example
A blur of 3 px learns what a blur of 3 px is, on patches, but not what lies 9 px away:

>>> import torch
>>> from torch import nn
>>> from unstuck.lab.subject import Subject
>>> _ = torch.manual_seed(0)
>>> net = nn.Conv2d(1, 1, 3, padding=1, bias=False)
>>> _ = net.weight.data.fill_(1 / 9)
>>> patch, full = torch.randn(8, 1, 12, 12), torch.randn(4, 1, 48, 48)
>>> near, far = nn.functional.avg_pool2d(patch, 3, 1, 1), full.roll(9, 3)
>>> subject = Subject(net, (patch, near), nn.functional.mse_loss, full=(full, far))
>>> facts = keyhole(subject).facts
>>> [round(facts[f"keyhole/model/{what}"], 1) for what in ("patch", "full", "seen")]
[0.0, 1.1, 0.1]

## References
- Luo et al., Understanding the Effective Receptive Field in Deep Convolutional Neural Networks,
  2016, <https://arxiv.org/abs/1701.04128>
- Huang et al., Tiling and Stitching Segmentation Output for Remote Sensing, 2018,
  <https://arxiv.org/abs/1805.12219>
"""

import contextlib
import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from unstuck.experiment import Bars, NotProbed, Result, probe
from unstuck.lab.batch import mapped, tensors
from unstuck.lab.fields import CANNOT, viewed
from unstuck.lab.fields_reach import field_of
from unstuck.lab.subject import Subject
from unstuck.records import Scalar

ROUNDS = 20  # steps of fitting the constant
FACTS = ("patch", "full", "patch_error", "full_error", "seen")


@probe(*(f"keyhole/*/{what}" for what in FACTS), cheap=True)
def keyhole(subject: Subject, *, seconds: float = float("inf")) -> Result:
    if subject.full is None:
        raise NotProbed(
            "there is no full canvas to compare with: give Subject(full=batch), a batch like the "
            "training's, uncropped"
        )
    errors, shares = {}, {}
    with subject.evaluating():
        for what, batch in (("patch", subject.batch), ("full", subject.full)):
            errors[what] = _error(subject, batch)
            even = _of_constant(subject, batch)
            if not (math.isfinite(errors[what]) and 0 < even < math.inf):
                raise NotProbed(f"the loss on the {what} batch, or of a constant there, is no use")
            shares[what] = errors[what] / even
    name = subject.name
    facts: dict[str, Scalar] = {f"keyhole/{name}/{what}": share for what, share in shares.items()}
    facts |= {f"keyhole/{name}/{what}_error": error for what, error in errors.items()}
    said = [
        f"On patches the error of {name} is {100 * shares['patch']:.0f} % of that of the best "
        f"constant, on the full canvas {100 * shares['full']:.0f} %."
    ]
    seen = _seen(subject, seconds)
    if seen is not None:
        facts[f"keyhole/{name}/seen"] = seen
        said.append(f"One output sees {100 * seen:.0f} % of the full canvas's side.")
    bars = Bars(
        f"Error of {name} over that of the best constant",
        {"patches": {"error": shares["patch"]}, "full canvas": {"error": shares["full"]}},
        "1",
        limit=1.0,
    )
    return Result(facts, tuple(said), (bars,))


def _error(subject: Subject, batch: Any) -> float:
    torch.manual_seed(0)
    with torch.no_grad():
        return float(subject.value(batch))


def _of_constant(subject: Subject, batch: Any) -> float:
    """The loss of the best output that is the same in all cells and samples."""
    torch.manual_seed(0)
    with torch.no_grad():
        calls = subject.calls(batch)
    if not calls:
        raise NotProbed("the loss calls parts of the model, not the model itself")
    levels = [_level(t).requires_grad_() for t in _floating(calls[-1].output)]
    if not levels:
        raise NotProbed("the model gives no tensor of numbers")
    optimizer = torch.optim.LBFGS(levels, max_iter=ROUNDS, line_search_fn="strong_wolfe")
    seen: list[float] = []

    def closure() -> Tensor:
        torch.manual_seed(0)
        with _instead(subject.model, len(calls), levels):
            loss = subject.value(batch)
        seen.append(float(loss.detach()))
        for level, found in zip(
            levels, torch.autograd.grad(loss, levels, allow_unused=True), strict=True
        ):
            level.grad = torch.zeros_like(level) if found is None else found
        return loss.detach()

    with contextlib.suppress(*CANNOT), torch.enable_grad():  # the loss of the mean is enough
        optimizer.step(closure)
    return min((v for v in seen if math.isfinite(v)), default=math.inf)


def _floating(output: Any) -> list[Tensor]:
    return [t for t in tensors(output) if t.is_floating_point() and t.ndim]


def _level(tensor: Tensor) -> Tensor:
    """Its mean over samples and places, channel by channel."""
    sides = [d for d in range(tensor.ndim) if d != 1 or tensor.ndim < 3]
    return tensor.detach().mean(sides if tensor.ndim > 2 else 0, keepdim=True).clone()


@contextlib.contextmanager
def _instead(model: nn.Module, call: int, levels: list[Tensor]) -> Iterator[None]:
    """Let the n-th outermost call of the model give these levels everywhere."""
    depth = count = 0

    def before(*_: Any) -> None:
        nonlocal depth
        depth += 1

    def after(_: nn.Module, args: Any, output: Any) -> Any:
        nonlocal depth, count
        depth -= 1
        count += not depth
        if depth or count != call:
            return output
        rest = iter(levels)

        def replaced(tensor: Tensor) -> Tensor:
            fit = tensor.is_floating_point() and tensor.ndim
            return next(rest).expand_as(tensor) if fit else tensor

        return mapped(output, replaced)

    handles = [model.register_forward_pre_hook(before), model.register_forward_hook(after)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _seen(subject: Subject, seconds: float) -> float | None:
    """Side of the field over the side of the full canvas; None where the model has no places."""
    with contextlib.suppress(NotProbed), torch.no_grad():
        torch.manual_seed(0)
        call = subject.call(subject.full)
        wide = [t.shape[2:] for t in tensors((call.args, call.kwargs)) if t.ndim == 4]
        with viewed(subject, steps=1) as view:
            field = field_of(view, subject.model, seconds=seconds / 3)
            calls = subject.rollout.steps if subject.rollout else view.calls
        sides = [
            1.0 if not whole else min((calls * (size - 1) + 1) / side, 1.0)
            for size, whole, side in zip(
                field.size, field.bounded, wide[0] if wide else (), strict=True
            )
        ]
        return max(sides)
    return None
