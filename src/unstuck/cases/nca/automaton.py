"""Rules from coarse to fine: one level, or several, each with cells half as wide."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unstuck.cases.nca.recipe import Recipe
from unstuck.cases.nca.rule import Rule


class Automaton(nn.Module):
    """A rule for every level, coarsest first; each begins with what the coarser one has come to.

    `forward(*states, given=..., steps=..., fresh=...)` takes the states of all levels, coarsest
    first, and gives them later. `given` (n, g, h, w) is of the finest level. Samples that are not
    `fresh` (n,) go on from their own states on finer levels, too. With `origins`, the states are of
    crops: (n, 2) for each level, the crop's upper and left edge in cells of that level.
    """

    def __init__(self, r: Recipe, outputs: int, given: int) -> None:
        super().__init__()
        self.recipe, self.outputs = r, outputs
        handed = r.channels if r.handed else 0
        self.rules = nn.ModuleList(
            Rule(r, given + (handed if level else 0)) for level in range(r.levels)
        )
        self.decoder = Decoder(r, outputs) if r.decoder > 1 else None

    def forward(
        self,
        *states: Tensor,
        given: Tensor | None = None,
        steps: float = 1,
        fresh: Tensor | None = None,
        origins: Sequence[Tensor] | None = None,
    ) -> tuple[Tensor, ...]:
        found: list[Tensor] = []
        for level, (rule, state) in enumerate(zip(self.rules, states, strict=True)):
            here = self.pooled(given, level)
            if origins is not None and here is not None:
                here = window(here, origins[level], state.shape[-1])
            if level:
                up = F.interpolate(found[-1], scale_factor=2.0, mode="bilinear")
                if origins is not None:
                    up = window(up, origins[level] - 2 * origins[level - 1], state.shape[-1])
                state = up if fresh is None else torch.where(fresh[:, None, None, None], up, state)
                if self.recipe.handed:
                    here = up if here is None else torch.cat([here, up], 1)
            found.append(rule(state, here, self.steps_of(level, steps)))
        return tuple(found)

    def steps_of(self, level: int, steps: float) -> int:
        """Steps of a level where the finest makes `steps`: coarser ones make more."""
        more = self.recipe.coarse_steps ** (self.recipe.levels - 1 - level)
        return max(1, round(steps * more))

    def pooled(self, cells: Tensor | None, level: int) -> Tensor | None:
        """Means of a picture's cells for a level."""
        factor = self.recipe.decoder * 2 ** (self.recipe.levels - 1 - level)
        return cells if cells is None or factor == 1 else F.avg_pool2d(cells, factor)

    def sides(self, side: int) -> list[int]:
        """Side of each level's canvas; ValueError where the picture's side cannot be divided."""
        factor = self.recipe.decoder * 2 ** (self.recipe.levels - 1)
        if side % factor:
            raise ValueError(
                f"a canvas of {side} cannot be divided by the coarse factor {factor} "
                f"({self.recipe.levels} levels, decoder {self.recipe.decoder}): take "
                f"{math.ceil(side / factor) * factor}"
            )
        fine = side // self.recipe.decoder
        return [fine // 2 ** (self.recipe.levels - 1 - i) for i in range(self.recipe.levels)]

    def origins(self, corners: Tensor, side: int) -> list[Tensor]:
        """Where each level is cropped so that a crop of the picture is seen in its surroundings.

        `corners` (n, 2) are the picture's crop's upper and left edge; each level sees as many cells
        about the same middle, the coarsest all of them.
        """
        patch, found = self.recipe.patch or side, []
        for level, whole in enumerate(self.sides(side)):
            seen = min(whole, patch)
            factor = 2 ** (self.recipe.levels - 1 - level)
            middle = (corners + patch / 2) / factor
            found.append((middle - seen / 2).round().clamp(0, whole - seen).long())
        return found

    def read(self, states: Sequence[Tensor], level: int = -1) -> Tensor:
        """What the states say: (n, outputs, h, w), of the finest level on the whole picture."""
        if self.decoder is not None and level in (-1, len(states) - 1):
            found: Tensor = self.decoder(states[-1])
            return found
        return states[level][:, : self.outputs]


def window(cells: Tensor, origins: Tensor, side: int) -> Tensor:
    """Crops (n, c, side, side) of cells (n, c, h, w) at origins (n, 2), one for each."""
    if cells.shape[-1] == side:
        return cells
    places = origins.tolist()
    return torch.stack(
        [c[:, y : y + side, x : x + side] for c, (y, x) in zip(cells, places, strict=True)]
    )


class Decoder(nn.Module):
    """Reads a picture finer than its cells: an implicit function of a cell's state and the place.

    The state is interpolated between cells, and the place within its cell is two sines and cosines
    (Pajouheshgar et al., Neural Cellular Automata: From Cells to Pixels, 2025).
    """

    def __init__(self, r: Recipe, outputs: int) -> None:
        super().__init__()
        self.factor = r.decoder
        self.read = nn.Sequential(
            nn.Conv2d(r.channels + 4, r.hidden, 1),
            nn.ReLU(),
            nn.Conv2d(r.hidden, r.hidden, 1),
            nn.ReLU(),
            nn.Conv2d(r.hidden, outputs, 1),
        )

    def forward(self, state: Tensor) -> Tensor:
        fine = F.interpolate(state, scale_factor=float(self.factor), mode="bilinear")
        sides = [(torch.arange(n, device=state.device) + 0.5) / self.factor for n in fine.shape[2:]]
        waves = [f(2 * math.pi * side) for side in sides for f in (torch.sin, torch.cos)]
        rows = [wave[:, None].expand(fine.shape[2:]) for wave in waves[:2]]
        columns = [wave[None].expand(fine.shape[2:]) for wave in waves[2:]]
        places = torch.stack([*rows, *columns]).to(fine)
        found: Tensor = self.read(torch.cat([fine, places.expand(len(fine), -1, -1, -1)], 1))
        return found


def parameters(model: nn.Module) -> int:
    """How many numbers are learnt."""
    return sum(p.numel() for p in model.parameters())
