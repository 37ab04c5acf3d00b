"""position: whether the output knows where on the canvas it is, and whether the task needs that.

## Why
A network of convolutions answers the same wherever it looks. Where the target depends on the
place itself (a gradient over the picture, a horizon, a fixed frame), its error stays whatever the
rate and the size, until it is handed coordinates. Where the task does not need the place, a
network that knows it learns it by heart.

## How it is measured
The batch's own inputs are shifted, by cropping from a mirrored continuation and circularly, the
output is shifted back, and the change is given over the output's own scatter: away from the
border (cells whose field does not touch it), near it, and for a shift of one cell, which strides
do not follow. In evaluation mode, with random numbers that are the same in every cell. The need:
over several batches the target is explained by a ridge regression on the pixels nearby, random
features of them and the model's own output; then an offset, and a gain where that helps, is added
place by place. Both are fitted on half of the samples and judged on the other half.

## Facts
- `position/<model>/change` [1]: away from the border, over the output's scatter; 0 is equivariant.
- `position/<model>/border`, `circular`, `by_one` [1]: near the border; where the input goes
  around; for a shift of one cell.
- `position/<model>/kind`: equivariant, near the border, or aware.
- `position/<model>/needed` [1]: share of the target's variance that only the place explains.
- `position/<model>/left` [1]: the same as a share of what was left to explain.
- `position/<model>/input` [1]: share of the input's own variance that its place explains.

## Example
>>> import torch
>>> from torch import nn
>>> from unstuck.lab.subject import Subject
>>> _ = torch.manual_seed(0)
>>> x = torch.rand(32, 1, 16, 16)
>>> ramp = torch.linspace(0, 1, 16).expand(32, 1, 16, 16)
>>> net = nn.Conv2d(1, 1, 3, padding=1)
>>> found = position(Subject(net, (x, ramp), nn.functional.mse_loss))
>>> found.facts["position/model/kind"], round(found.facts["position/model/needed"], 1)
('near the border', 1.0)

## References
- Liu et al., An Intriguing Failing of Convolutional Neural Networks and the CoordConv Solution,
  2018, <https://arxiv.org/abs/1807.03247>
- Islam, Jia & Bruce, How Much Position Information Do Convolutional Neural Networks Encode?, 2020,
  <https://arxiv.org/abs/2001.08248>
- Zhang, Making Convolutional Networks Shift-Invariant Again, 2019,
  <https://arxiv.org/abs/1904.11486>
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from unstuck.experiment import HeatMap, NotProbed, Picture, Result, probe
from unstuck.lab.fields import View, samples_of, viewed
from unstuck.lab.fields_border import border, shift_step
from unstuck.lab.fields_place import Need, need_of_place
from unstuck.lab.fields_reach import Field, field_of
from unstuck.lab.subject import Subject
from unstuck.records import Scalar

SAMPLES = 4  # that are shifted
QUICK = 0.1  # seconds of one pass; a slower model is shifted with one sample in single precision
MOST = 64  # that the need is measured on
SAME = 1e-6  # of the output's scatter, in double precision
ALIKE = 1e-3  # in single precision
EMPTY = 1e-12  # scatter of an output that is the same everywhere


@dataclass(frozen=True, slots=True)
class _Shifts:
    """Changes over the output's scatter, the largest of the sides; None where it cannot be told."""

    change: float | None
    border: float | None
    circular: float | None
    by_one: float | None
    map: Tensor | None


FACTS = ("change", "border", "circular", "by_one", "kind", "needed", "left", "input")


@probe(*(f"position/*/{what}" for what in FACTS), cheap=True)
def position(subject: Subject, *, seconds: float = float("inf")) -> Result:
    with viewed(subject, steps=1) as view:
        field = field_of(view, subject.model, seconds=seconds / 3)
        edge = border(view, subject.model, field)
        began = time.monotonic()
        with torch.no_grad():
            view.even(view.x[:1])
        slow = time.monotonic() - began > QUICK
    with viewed(subject, steps=1, exact=not slow) as view:
        shifts = _shifts(view, field, edge, 1 if slow else SAMPLES)
        limit = SAME if view.exact else ALIKE
    facts: dict[str, Scalar] = {f"position/{subject.name}/kind": _kind(shifts, limit)}
    for what in ("change", "border", "circular", "by_one"):
        value = getattr(shifts, what)
        if value is not None:
            facts[f"position/{subject.name}/{what}"] = value
    need = _need(subject, field, edge)
    if need is not None:
        for what, share in (
            ("needed", need.needed),
            ("left", need.left),
            ("input", need.of_input),
        ):
            facts[f"position/{subject.name}/{what}"] = share
    pictures: tuple[Picture, ...] = ()
    if shifts.map is not None and shifts.map.ndim == 2:
        title = f"How much the output of {subject.name} changes with a shift"
        pictures = (HeatMap(title, shifts.map.double().cpu().numpy(), "of the output's scatter"),)
    return Result(facts, _said(subject.name, shifts, facts, need), pictures)


def _shifts(view: View, field: Field, edge: str, count: int) -> _Shifts:
    x = view.x[:count]
    with torch.no_grad():
        out = view.even(x)
        scatter = _scatter(out)
        if not scatter > EMPTY:
            raise NotProbed(
                "the output is the same everywhere: there is nothing that a shift could move; "
                "probe after some training"
            )
        if not field.place:
            moved = [view.even(_cropped(x, 1, axis)) - out for axis in range(len(view.canvas))]
            change = max(_size(m) for m in moved) / scatter
            return _Shifts(change, None, None, change, None)
        found = [_along(view, x, out, field, edge, axis) for axis in range(len(view.canvas))]
    seen = [one for one in found if one is not None]
    if not seen:
        raise NotProbed(f"a canvas of {view.canvas} cells is too small to shift anything on it")
    columns = zip(*(one.sizes for one in seen), strict=True)
    largest = [_largest(column, scatter) for column in columns]
    return _Shifts(largest[0], largest[1], largest[2], largest[3], seen[0].map / scatter)


@dataclass(frozen=True, slots=True)
class _Along:
    """Root mean squares of the change along one side: inner, all, circular, by one; and its map."""

    sizes: tuple[float | None, ...]
    map: Tensor


def _along(view: View, x: Tensor, out: Tensor, field: Field, edge: str, axis: int) -> _Along | None:
    side, there = x.shape[2 + axis], out.shape[2 + axis]
    step = shift_step(view, out, view.canvas, axis)
    if not step:
        return None
    by = step * there // side
    gap = _gap(view.even(_cropped(x, step, axis)), out, by, axis)
    around = view.even(x.roll(-step, 2 + axis)) - out.roll(-by, 2 + axis)
    margins = _margins(out, view.canvas, field, edge)
    inner, one = _inside(gap, margins), None
    if inner is not None and there == side:
        one = _inside(_gap(view.even(_cropped(x, 1, axis)), out, 1, axis), margins)
    return _Along((inner, _size(gap), _size(around), one), gap.abs().square().mean((0, 1)).sqrt())


def _cropped(x: Tensor, step: int, axis: int) -> Tensor:
    """What a window further along one side sees, with a mirrored continuation."""
    side = x.shape[2 + axis]
    tail = x.narrow(2 + axis, side - step - 1, step).flip(2 + axis)
    return torch.cat([x.narrow(2 + axis, step, side - step), tail], 2 + axis)


def _gap(moved: Tensor, out: Tensor, by: int, axis: int) -> Tensor:
    """moved[i] - out[i + by] where both are there."""
    length = out.shape[2 + axis] - by
    return moved.narrow(2 + axis, 0, length) - out.narrow(2 + axis, by, length)


def _margins(out: Tensor, canvas: tuple[int, ...], field: Field, edge: str) -> list[int] | None:
    """Cells of the output along each side whose field may touch the border; None: all of them."""
    if edge == "none" and max(field.size) == 1:
        return [0] * len(canvas)
    if not all(field.bounded):
        return None
    found = [
        -(-(reach + 1) * there // side)
        for reach, there, side in zip(field.reach, out.shape[2:], canvas, strict=True)
    ]
    clear = all(2 * m + 1 < there for m, there in zip(found, out.shape[2:], strict=True))
    return found if clear else None


def _inside(gap: Tensor, margins: list[int] | None) -> float | None:
    """The change of cells that no border, and nothing mirrored, can be seen from."""
    for axis, margin in enumerate(margins or []):
        gap = gap.narrow(2 + axis, margin, max(gap.shape[2 + axis] - 2 * margin, 0))
    return _size(gap) if margins is not None and gap.numel() else None


def _size(gap: Tensor) -> float:
    return float(gap.abs().square().mean().sqrt())


def _scatter(out: Tensor) -> float:
    """Root mean square about each channel's mean, over samples and places."""
    channels = out.movedim(1, 0).flatten(1)
    return float((channels - channels.mean(1, keepdim=True)).abs().square().mean().sqrt())


def _largest(values: Iterable[float | None], scatter: float) -> float | None:
    found = [v for v in values if v is not None]
    return max(found) / scatter if found else None


def _kind(shifts: _Shifts, limit: float) -> str:
    if shifts.circular is not None and shifts.circular < limit:
        return "equivariant"
    if shifts.change is None:
        return "aware" if (shifts.border or 0.0) >= limit else "equivariant"
    if shifts.change >= limit:
        return "aware"
    return "equivariant" if (shifts.border or 0.0) < limit else "near the border"


def _need(subject: Subject, field: Field, edge: str) -> Need | None:
    """What only the place explains, at places from which no border can be seen."""
    if subject.rollout is not None or len(field.place) != 2:
        return None
    margin = (0, 0)
    if edge != "circular" and not (edge == "none" and max(field.size) == 1):
        if not all(field.bounded):
            return None
        margin = (field.reach[0], field.reach[1])
    samples = samples_of(subject, MOST)
    return None if samples is None else need_of_place(*samples, margin)


def _said(
    name: str, shifts: _Shifts, facts: dict[str, Scalar], need: Need | None
) -> tuple[str, ...]:
    kind = facts[f"position/{name}/kind"]
    found = {
        "equivariant": f"{name} answers alike wherever it looks: its output moves with its input.",
        "near the border": f"{name} answers alike away from the border; only near it can it tell "
        f"where it is (change {shifts.border or 0:.2g} of the output's scatter).",
        "aware": f"{name} knows where it looks: a shift changes its output by "
        f"{(shifts.border if shifts.change is None else shifts.change) or 0:.2g} of its scatter.",
    }
    said = [found[str(kind)]]
    if need is None:
        said.append("Whether the target needs the place could not be measured on this batch.")
    else:
        said.append(
            f"The place alone explains {100 * need.needed:.0f} % of the target beyond what can be "
            f"seen nearby, {100 * need.left:.0f} % of what is otherwise left."
        )
        if kind != "aware" and need.needed > 0.1:
            said.append("Coordinates as further inputs would let it use the place.")
    return tuple(said)
