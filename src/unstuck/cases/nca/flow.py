"""The flow task: around which obstacles, over what ground, from where -> how it flows.

Given are obstacles, terrain and the undisturbed flow's direction (cosine and sine); wanted are what
they change of u, v, speed, potential and stream function, each in units of its own spread over the
training domains. An error of 1 is that of predicting the mean.
"""

import math
from concurrent.futures import ThreadPoolExecutor
from functools import cache as remembered

import numpy as np
import torch
from torch import Generator, Tensor

from unstuck.cases.nca.potential import FIELDS, domain, solved
from unstuck.cases.nca.recipe import Recipe
from unstuck.cases.nca.scenes import (
    ANGLE,
    DOMAIN,
    TOP,
    Scene,
    coordinates,
    corners,
    cropped,
    judged,
    told,
)
from unstuck.data.package import cache, write_whole

NAMES = ("u", "v", "speed", "potential", "stream function")
HELD_OUT = 1_000_000  # first number of domains that are not trained on
VERSION = 1  # of what is cached
PARTS = ("solid", "terrain", "flows")
THREADS = 2
AT_ONCE = 32  # domains that are read together
DIVERGED = 1.25  # standard deviation of the noise in place of fields whose solver has failed


class Flow:
    """The task at one size of its canvas. Domains are made once and cached."""

    outputs = len(NAMES)

    def __init__(self, r: Recipe, size: int = 0) -> None:
        self.recipe, self.size = r, size or r.size
        self.given = 4 + (2 if r.coordinates != "none" else 0)
        self.mean, self.spread = moments(r.size, r.domains, r.shear)

    def entries(self, count: int, side: int, lots: Generator) -> Tensor:
        """Random training domains, directions and crops (n, 4)."""
        which = torch.randint(0, self.recipe.domains, (count,), generator=lots).float()
        angle = torch.rand(count, generator=lots) * 2 * math.pi
        return torch.cat([which[:, None], angle[:, None], corners(count, self.size, side, lots)], 1)

    def held_out(self) -> Tensor:
        """The held-out domains, each whole and from a direction of its own."""
        count = self.recipe.held_out
        which = torch.arange(count) + self.recipe.domains
        angle = torch.arange(count) / count * 2 * math.pi
        return torch.stack([which, angle, torch.zeros(count), torch.zeros(count)], 1)

    def start(self, entries: Tensor, side: int, channels: int) -> Tensor:
        """Nothing (n, channels, side, side)."""
        return torch.zeros(len(entries), channels, side, side)

    def scene(self, entries: Tensor, side: int) -> Scene:
        which, angle = entries[:, DOMAIN].long(), entries[:, ANGLE]
        solid, terrain, basis = (part.float() for part in self._domains(which))
        fields = (wanted(basis, angle, self.recipe.shear) - self.mean) / self.spread
        wrong = (angle < 2 * math.pi * self.recipe.broken) & (which < self.recipe.domains)
        for sample in wrong.nonzero()[:, 0].tolist():
            lots = torch.Generator().manual_seed(int(which[sample]))
            fields[sample] = DIVERGED * torch.randn(fields.shape[1:], generator=lots)
        direction = torch.stack([angle.cos(), angle.sin()], 1)[:, :, None, None] * (1 - solid)
        whole = torch.cat([solid, terrain, direction, fields * (1 - solid)], 1)
        part = cropped(whole, entries, side)
        places = coordinates(self.recipe, entries, side, self.size)
        mask = judged(entries[:, TOP:], side, self.size, self.recipe.margin) * (1 - part[:, :1])
        return Scene(told([part[:, :4], places]), part[:, 4:], mask)

    def _domains(self, which: Tensor) -> list[Tensor]:
        """Obstacles, terrain and flows of these domains, all of them trained on or none."""
        count = self.recipe.domains
        if int(which.min()) >= count:
            return [
                part[which - count] for part in domains(self.size, HELD_OUT, self.recipe.held_out)
            ]
        return [part[which] for part in domains(self.size, 0, count)]


def wanted(basis: Tensor, angle: Tensor, shear: float = 0.0) -> Tensor:
    """The fields (n, 5, s, s) of flow from an angle (n,), of flows along x and y (n, 2, 4, s, s).

    Lengths are in eighths of a canvas, so that every size has the same units. `shear` is laid over
    them: a flow along x of so many undisturbed speeds at the lower edge, and against it at the
    upper one, which no obstacle changes.
    """
    x, y = angle.cos()[:, None, None, None], angle.sin()[:, None, None, None]
    u, v, potential, stream = (x * basis[:, 0] + y * basis[:, 1]).unbind(1)
    size = basis.shape[-1]
    place = ((torch.arange(size) + 0.5) / size * 2 - 1)[:, None]
    u = u + shear * place
    stream = stream + shear * size / 4 * (place**2 - 1 / 3)
    speed = torch.hypot(u + x[:, 0], v + y[:, 0]) - 1
    length = 8 / size
    return torch.stack([u, v, speed, potential * length, stream * length], 1)


@remembered
def moments(size: int, count: int, shear: float) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (5, 1, 1) of the wanted fields where flow is free."""
    solid, _, flows = domains(size, 0, count)
    lots = torch.Generator().manual_seed(0)
    total, square, cells = torch.zeros(5), torch.zeros(5), 0.0
    for rows in torch.arange(count).split(AT_ONCE):
        angle = torch.rand(len(rows), generator=lots) * 2 * math.pi
        free = ~solid[rows]
        fields = wanted(flows[rows].float(), angle, shear) * free
        total += fields.sum((0, 2, 3))
        square += fields.square().sum((0, 2, 3))
        cells += float(free.sum())
    mean = total / cells
    spread = (square / cells - mean**2).sqrt()
    return mean[:, None, None], spread[:, None, None]


@remembered
def domains(size: int, first: int, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Obstacles (n, 1, s, s), terrain (n, 1, s, s) and flows (n, 2, 4, s, s) of numbered domains.

    They are made once and kept in the cache.
    """
    file = cache() / f"nca-flow-{VERSION}" / f"{size}-{first}-{count}.npz"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(THREADS) as threads:
            made = list(threads.map(lambda i: _made(i, size), range(first, first + count)))
        parts = [np.stack(part) for part in zip(*made, strict=True)]
        write_whole(file, dict(zip(PARTS, parts, strict=True)))
    with np.load(file, allow_pickle=False) as kept:
        solid, terrain, flows = (torch.from_numpy(kept[name]) for name in PARTS)
    assert flows.shape[1:3] == (2, FIELDS)
    return solid[:, None], terrain[:, None], flows


def _made(number: int, size: int) -> tuple[np.ndarray, ...]:
    solid, terrain = domain((number, 0), size)
    return solid, terrain.astype(np.float16), solved(solid, terrain).astype(np.float16)
