"""What a rule is asked for: scenes of the two tasks, whole or cropped.

A task has `outputs` (channels that are wanted), `given` (channels that are told), `start(count,
side, places)` (first states), and `scene(entries, side)`. Entries (n, 4) are numbers: of the
domain, an angle, and the crop's upper and left edge, px.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from unstuck.cases.nca.automaton import window
from unstuck.cases.nca.recipe import Recipe

DOMAIN, ANGLE, TOP, LEFT = range(4)


@dataclass(frozen=True, slots=True)
class Scene:
    """What a rule is told, what it is to say, and where that counts.

    `given` (n, g, h, w) or None, `target` (n, outputs, h, w), `mask` (n, 1, h, w).
    """

    given: Tensor | None
    target: Tensor
    mask: Tensor

    def error(self, found: Tensor) -> Tensor:
        """Mean squared error (n,) of the cells that count."""
        square = ((found - self.target) ** 2 * self.mask).flatten(1).sum(1)
        count = self.mask.flatten(1).sum(1) * self.target.shape[1]
        return square / count.clamp_min(1)

    def to(self, device: str) -> "Scene":
        given = None if self.given is None else self.given.to(device)
        return Scene(given, self.target.to(device), self.mask.to(device))

    def empty_error(self) -> Tensor:
        """The error (n,) of a canvas of nothing."""
        return self.error(torch.zeros_like(self.target))

    def coarser(self, factor: int) -> "Scene":
        """The same scene with cells so many times as wide; a cell counts as its part does."""
        if factor == 1:
            return self
        mask = F.avg_pool2d(self.mask, factor)
        target = F.avg_pool2d(self.target * self.mask, factor) / mask.clamp_min(1e-3)
        given = None if self.given is None else F.avg_pool2d(self.given, factor)
        return Scene(given, target, mask)

    def cut(self, origins: Tensor, side: int, margin: int) -> "Scene":
        """The scene's crops at origins (n, 2), judged inside the margin; without what is given."""
        size = self.target.shape[-1]
        parts = window(torch.cat([self.target, self.mask], 1), origins, side)
        inner = judged(origins, side, size, margin).to(parts)
        return Scene(None, parts[:, :-1], parts[:, -1:] * inner)


class Task(Protocol):
    """One of the two tasks at one size of its canvas."""

    outputs: int
    given: int
    size: int

    def entries(self, count: int, side: int, lots: Generator) -> Tensor: ...
    def held_out(self) -> Tensor: ...
    def scene(self, entries: Tensor, side: int) -> Scene: ...
    def start(self, entries: Tensor, side: int, channels: int) -> Tensor: ...


def corners(count: int, size: int, side: int, lots: Generator) -> Tensor:
    """Upper left corners (n, 2) of random crops."""
    return torch.randint(0, size - side + 1, (count, 2), generator=lots).float()


def cropped(fields: Tensor, entries: Tensor, side: int) -> Tensor:
    """Crops (n, c, side, side) of whole fields (n, c, size, size), one for each entry."""
    return window(fields, entries[:, TOP:].long(), side)


def coordinates(r: Recipe, entries: Tensor, side: int, size: int) -> Tensor | None:
    """Row and column (n, 2, side, side) in -1 to 1, of the crop or truly of the canvas."""
    if r.coordinates == "none":
        return None
    place = torch.arange(side) + 0.5
    if r.coordinates == "local" or side == size:
        line = (place / side * 2 - 1).expand(len(entries), side)
        rows, columns = line, line
    else:
        rows, columns = ((entries[:, edge, None] + place) / size * 2 - 1 for edge in (TOP, LEFT))
    shape = (len(entries), side, side)
    return torch.stack([rows[:, :, None].expand(shape), columns[:, None].expand(shape)], 1)


def judged(origins: Tensor, side: int, size: int, margin: int) -> Tensor:
    """Cells (n, 1, side, side) that count: not those within the margin of a crop's own border.

    `origins` (n, 2) are the crops' upper and left edges on a canvas of `size` cells. Where the
    border is that of the canvas itself, all cells count.
    """
    mask = torch.ones(len(origins), 1, side, side)
    if not margin or side == size:
        return mask
    for axis, at in ((2, origins[:, 0]), (3, origins[:, 1])):
        lines = torch.arange(side).expand(len(origins), side)
        before = (lines < margin) & (at[:, None] > 0)
        after = (lines >= side - margin) & (at[:, None] < size - side)
        shape = (len(origins), 1, side, 1) if axis == 2 else (len(origins), 1, 1, side)
        mask = mask * ~(before | after).view(shape)
    return mask


def told(parts: list[Tensor | None]) -> Tensor | None:
    """What is given, in one tensor; None where nothing is."""
    found = [part for part in parts if part is not None]
    return torch.cat(found, 1) if found else None
