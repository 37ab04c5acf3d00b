"""How a network fills in what lies beyond the border of its canvas, told from its numbers alone.

Along each side of the canvas, with every path passable:

- none: its field is one cell wide, or an output at the border sees as much as one in the middle.
- circular: a shift around the border comes out as the same shift, everywhere.
- zero: an even input does not come out even near the border.
- reflect: rows that alternate go on alternating up to the border, where even ones stay even.
- replicate: even ones stay even, but alternating ones do not go on.
"""

import torch
from torch import Tensor, nn

from unstuck.lab.fields import CANNOT, View, opened
from unstuck.lab.fields_reach import Field, influence, middle
from unstuck.lab.untouched import untouched

STEPS = (32, 16, 8, 4, 2, 1)  # shifts: strides are powers of two
PERIODS = (1, 2, 4, 8, 16)
EQUAL = 1e-8  # relative, in double precision
NEARLY = 1e-4  # in single precision


def border(view: View, model: nn.Module, field: Field) -> str:
    """circular, zero, replicate, reflect or none; several where sides differ; "" where untold."""
    if not field.place:
        return ""
    with untouched([model]), torch.no_grad():
        opened(model)
        torch.manual_seed(0)
        try:
            found = [_along(view, field, axis) for axis in range(len(field.canvas))]
        except CANNOT:
            return ""
    return found[0] if len(set(found)) == 1 else ("" if "" in found else ", ".join(found))


def shift_step(view: View, out: Tensor, canvas: tuple[int, ...], axis: int) -> int:
    """The largest shift up to 32 that is a whole number of cells in the output too; 0 for none."""
    side, there = canvas[axis], out.shape[2 + axis]
    fit = [s for s in STEPS if 2 * s < side and side % s == 0 and s * there % side == 0]
    return fit[0] if fit else 0


def _along(view: View, field: Field, axis: int) -> str:
    if field.size[axis] == 1:
        return "none"
    x = view.random(2, field.canvas, 0.5, 1.0)
    out = view.even(x)
    if _circular(view, x, out, axis):
        return "circular"
    even = _goes_on(_profile(view.even(torch.full_like(x, 0.7)), axis), view)
    if not even:
        return "" if even is None else "zero"
    if field.bounded[axis]:
        seen = _seen_from_rim(view, x[:1], field, axis)
        if field.size[axis] < seen == field.canvas[axis]:
            return "circular"
        if seen >= field.size[axis]:
            return "none"
    return "reflect" if _goes_on(_alternating(view, x, axis), view) else "replicate"


def _circular(view: View, x: Tensor, out: Tensor, axis: int) -> bool:
    step = shift_step(view, out, tuple(x.shape[2:]), axis)
    if not step:
        return False
    by = step * out.shape[2 + axis] // x.shape[2 + axis]
    return _same(view.even(x.roll(step, 2 + axis)), out.roll(by, 2 + axis), view)


def _seen_from_rim(view: View, x: Tensor, field: Field, axis: int) -> int:
    """From the first to the last cell that the first output along a side sees."""
    place = list(field.place)
    place[axis] = 0
    with torch.enable_grad():
        size = influence(View(view.even, view.x, view.exact), x, tuple(place))[0]
    seen = size.movedim(axis, 0).flatten(1).sum(1).nonzero()
    return int(seen.max() - seen.min()) + 1 if len(seen) else 0


def _alternating(view: View, x: Tensor, axis: int) -> Tensor:
    """The output's profile for rows that alternate."""
    sign = 1 - 2 * (torch.arange(x.shape[2 + axis], device=x.device) % 2)
    shape = [1] * x.ndim
    shape[2 + axis] = -1
    return _profile(view.even((0.7 + 0.2 * sign.view(shape)) * torch.ones_like(x)), axis)


def _goes_on(line: Tensor, view: View) -> bool | None:
    """Whether what repeats in the middle of a profile repeats up to its ends; None: nothing does.

    Strides and transposed convolutions make an even input repeat with their own period.
    """
    third = line.shape[-1] // 3
    inside = line[..., third : line.shape[-1] - third]
    for period in PERIODS:
        if period < inside.shape[-1] and _same(inside[..., period:], inside[..., :-period], view):
            return _same(line[..., period:], line[..., :-period], view)
    return None


def _profile(out: Tensor, axis: int) -> Tensor:
    """The output's channels along one side, in the middle of the others: (n, k, side)."""
    place = middle(out)
    for other in reversed(range(len(place))):
        if other != axis:
            out = out.select(2 + other, place[other])
    return out


def _same(a: Tensor, b: Tensor, view: View) -> bool:
    limit = EQUAL if view.exact else NEARLY
    return bool((a - b).abs().max() <= limit * a.abs().max().clamp_min(1e-30)) if len(a) else True
