"""Which cells of the input one cell of the output depends on, exact to the pixel.

By gradient over several random inputs, with every path of the network passable and as it is; then
by perturbation: everything outside of the box that was found is changed, and where the output
moves all the same (thresholds, look-ups, rounding: paths without a gradient), the box grows.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from unstuck.lab.fields import CANNOT, View, opened
from unstuck.lab.untouched import untouched

LOOKS = 3  # random inputs at a time; one on a canvas that was enlarged, or of a slow model
NOISE = 1e-6  # of the largest gradient: what single precision may leave outside of the field
WIDEST = 512  # cells along a side that a canvas is enlarged to
SMALL, STRIDE = (32, 64), 16  # cells of a canvas to begin with; the longest stride that fits it
PASSES = 100  # of one sample, for all of the looks
PATIENCE = 6.0  # seconds for larger canvases, however much time there is
Box = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Field:
    """What the output's middle cell sees: first and last cell along each side of a canvas.

    `bounded`: the canvas was wide enough to show all of it. `canvas` is the one it was seen on,
    `place` the output's cell (empty where the output has no places).
    """

    box: Box
    canvas: tuple[int, ...]
    place: tuple[int, ...]
    bounded: tuple[bool, ...]

    @property
    def size(self) -> tuple[int, ...]:
        """Cells along each side."""
        return tuple(last - first + 1 for first, last in self.box)

    @property
    def reach(self) -> tuple[int, ...]:
        """Cells from the middle of the canvas to the farther edge of the field."""
        middles = (side // 2 for side in self.canvas)
        return tuple(
            max(middle - first, last - middle)
            for middle, (first, last) in zip(middles, self.box, strict=True)
        )


def influence(view: View, x: Tensor, place: tuple[int, ...] | None = None) -> Tensor:
    """|d output / d input| at one place, summed over channels: (n, *canvas).

    `place` is the middle where it is None; channels of the output are added up.
    """
    x = x.detach().clone().requires_grad_()
    out = view.run(x)
    at = cell(out, middle(out) if place is None else place)
    if not at.requires_grad:
        return torch.zeros_like(x[:, 0].real)
    total = torch.view_as_real(at).sum() if at.is_complex() else at.sum()
    found = torch.autograd.grad(total, x, allow_unused=True)[0]
    if found is None:
        return torch.zeros_like(x[:, 0].real)
    return found.abs().nan_to_num(0.0).sum(1)


def middle(out: Tensor) -> tuple[int, ...]:
    """The place in the middle of an output; empty where it has none."""
    return tuple(side // 2 for side in out.shape[2:])


def cell(out: Tensor, place: tuple[int, ...]) -> Tensor:
    """The output's channels at one place: (n, k)."""
    index: tuple[Any, ...] = (slice(None), slice(None), *place)
    return out[index]


def field_of(view: View, model: nn.Module, *, seconds: float = float("inf")) -> Field:
    """The field of the output's middle cell, on a canvas enlarged until all of it is seen.

    Where the model takes no other canvas, or time is up, it is the part on the largest one seen.
    """
    began = time.monotonic()
    most = min(seconds, PATIENCE)
    canvas = view.canvas
    with torch.no_grad():
        view.even(view.x[:1])
    slow = PASSES * (time.monotonic() - began) > most
    started, before = time.monotonic(), 0.0
    if slow:
        canvas = _smaller(view)
    found = _on(view, model, canvas, 1 if slow else LOOKS)
    while not all(found.bounded) and found.place:
        now = time.monotonic()
        took = now - started
        growth = max(4.0, 1.5 * took / before) if before else 4.0  # attention grows faster
        wider = tuple(
            side if whole else 2 * side for side, whole in zip(canvas, found.bounded, strict=True)
        )
        own = all(w <= side for w, side in zip(wider, view.canvas, strict=True))
        if max(wider) > WIDEST or (not own and now - began + growth * took > most):
            break
        started, before = now, took
        try:
            found = _on(view, model, wider, 1)
        except CANNOT:
            break
        canvas = wider
    return found


def _smaller(view: View) -> tuple[int, ...]:
    """A canvas of fewer cells for a slow model, with the same cell of each stride in its middle."""
    sides = [
        next((s for s in SMALL if s < side and (side // 2 - s // 2) % STRIDE == 0), side)
        for side in view.canvas
    ]
    try:
        with torch.no_grad():
            view.even(view.random(1, tuple(sides), 0.0, 1.0))
    except CANNOT:
        return view.canvas
    return tuple(sides)


def _on(view: View, model: nn.Module, canvas: tuple[int, ...], count: int) -> Field:
    seen = torch.zeros(canvas, dtype=torch.bool)
    place: tuple[int, ...] = ()
    for x, chance in _looks(view, model, canvas, count):
        with torch.no_grad():
            place = middle(view.even(x[:1], chance))
        size = _even_influence(view, x[:count], chance).cpu()
        limit = 0.0 if view.exact else NOISE * float(size.max())
        seen |= (size > limit).any(0)
        if seen.all():
            break
    box = _box(seen) or tuple((side // 2, side // 2) for side in canvas)
    for x, chance in _looks(view, model, canvas, count):
        if all(b == (0, side - 1) for b, side in zip(box, canvas, strict=True)):
            break
        box = _grown(view, x, chance, box)
    bounded = tuple(
        first > 0 and last < side - 1 for (first, last), side in zip(box, canvas, strict=True)
    )
    return Field(box, canvas, place, bounded)


def _looks(
    view: View, model: nn.Module, canvas: tuple[int, ...], count: int
) -> Iterator[tuple[Tensor, float]]:
    """Inputs and the number that chance is to give, with the network opened up or as it is."""
    for chance in view.chances():
        torch.manual_seed(0)
        with untouched([model]):
            opened(model)
            yield view.random(count, canvas, 0.01, 0.02), chance
            yield view.random(count, canvas, 0.5, 1.0), chance
        size = float(view.x.abs().max()) or 1.0
        yield view.random(4 * count, canvas, -size, size), chance
        full = view.random(4 * count, canvas, 0.0, size)
        few = view.random(4 * count, canvas, 0.0, 1.0)[:, :1].real < 0.2
        yield full * few, chance


def _even_influence(view: View, x: Tensor, chance: float) -> Tensor:
    even = View(lambda t: view.even(t, chance), view.x, view.exact)
    return influence(even, x)


def _box(seen: Tensor) -> Box | None:
    if not seen.any():
        return None
    return tuple((int(c.min()), int(c.max())) for c in seen.nonzero().T)


def _grown(view: View, x: Tensor, chance: float, box: Box) -> Box:
    """The box with whatever else moves the output, side by side."""
    with torch.no_grad():
        out = view.even(x, chance)
        place, base = middle(out), cell(out, middle(out))
        small = (1e-9 if view.exact else 1e-5) * float(base.abs().max())
        other = view.random(len(x), tuple(x.shape[2:]), 0.0, 1.0) * x.abs().max() + 0.3 * x

        def moves(inner: Box) -> bool:
            changed = other.clone()
            window: tuple[Any, ...] = (..., *(slice(first, last + 1) for first, last in inner))
            changed[window] = x[window]
            now = cell(view.even(changed, chance), place)
            return bool(((now - base).abs() > small).any())

        if not moves(box):
            return box
        sides = tuple((0, side - 1) for side in x.shape[2:])
        return tuple(_edges(moves, box, sides, axis) for axis in range(len(box)))


def _edges(moves: Callable[[Box], bool], box: Box, sides: Box, axis: int) -> tuple[int, int]:
    """The nearest first and last cell along one side beyond which nothing moves the output."""

    def beyond(first: int, last: int) -> bool:
        return moves((*sides[:axis], (first, last), *sides[axis + 1 :]))

    end = sides[axis][1]
    low, high = 0, box[axis][0]  # first cell: changing what is before `low` moves nothing
    while low < high:
        half = (low + high + 1) // 2
        low, high = (low, half - 1) if beyond(half, end) else (half, high)
    first = low
    low, high = box[axis][1], end
    while low < high:
        half = (low + high) // 2
        low, high = (half + 1, high) if beyond(0, half) else (low, half)
    return first, low
