"""Rules that are applied again and again: one, or one for every level from coarse to fine.

A step of a rule is what growing automata do (Mordvintsev et al., Growing Neural Cellular Automata,
2020): each cell perceives its neighbourhood through fixed kernels, two layers of 1 x 1 make of that
a change, and a random share of the cells takes it.

The fixed kernels and the first layer are one linear map, so they are folded into one convolution
(`Rule.weights`); what a rule is given beside its own state does not change during a rollout, so
that part is computed once. `plain` is the same rule as it is usually written.
"""

import math
from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from unstuck.cases.nca.recipe import Recipe

IDENTITY = ((0, 0, 0), (0, 1, 0), (0, 0, 0))
SOBEL = ((-1, 0, 1), (-2, 0, 2), (-1, 0, 1))
LAPLACE = ((1, 2, 1), (2, -12, 2), (1, 2, 1))
KERNELS: Mapping[str, tuple[Tensor, ...]] = {
    "sobel": (
        torch.tensor(IDENTITY).float(),
        torch.tensor(SOBEL) / 8,
        torch.tensor(SOBEL).T / 8,
    ),
}
KERNELS = {
    **KERNELS,
    "laplacian": (*KERNELS["sobel"], torch.tensor(LAPLACE) / 16),
}
Weights = tuple[Tensor, ...]
ALIVE = 0.1  # alpha of a living cell's neighbourhood
ALPHA = 3  # its channel


class Rule(nn.Module):
    """One step of every cell, any number of times.

    `forward(state (n, c, h, w), given (n, g, h, w) or None, steps)` gives the state (n, c, h, w) so
    many steps later.
    """

    kernels: Tensor

    def __init__(self, r: Recipe, given: int) -> None:
        super().__init__()
        self.recipe, self.channels, self.given = r, r.channels, given
        kernels = KERNELS[r.kernels]
        self.register_buffer("kernels", torch.stack(kernels), persistent=False)
        self.folds = len(kernels) > 3
        seen = (r.channels + given) * len(kernels) * r.scales
        self.think = nn.Conv2d(seen, r.hidden, 1)
        self.act = nn.Conv2d(r.hidden, r.channels, 1, bias=False)
        nn.init.zeros_(self.act.weight)
        if r.global_grid:
            self.hear = nn.Conv2d(r.channels, r.hidden, 1, bias=False)
        self._one: Callable[..., Tensor] = torch.compile(self._step) if r.compile else self._step

    def forward(self, state: Tensor, given: Tensor | None = None, steps: int = 1) -> Tensor:
        own, others = self.weights()
        offset = self._offset(given, others, state)
        if self.recipe.channels_last:
            state = state.contiguous(memory_format=torch.channels_last)
        segment = self.recipe.segment
        if not (segment and torch.is_grad_enabled()):
            return self._steps(state, own, offset, steps)
        for first in range(0, steps, segment):
            count = min(segment, steps - first)
            state = checkpoint(self._steps, state, own, offset, count, use_reentrant=False)
        return state

    def weights(self) -> tuple[Weights, Weights]:
        """What the first layer makes of the state and of what is given, a weight for every scale.

        Perception and first layer in one (hidden, c, 3, 3) where that is faster: with four kernels
        it is, with three a depthwise convolution and (hidden, 3 c, 1, 1) are (bench/automaton.py).
        """
        r, cells, count = self.recipe, self.channels + self.given, len(self.kernels)
        found = self.think.weight.view(r.hidden, r.scales, cells, count).transpose(0, 1)
        if self.folds:
            found = torch.einsum("shck,kyx->shcyx", found, self.kernels)
            parts = found.split([self.channels, self.given], 2)
        else:
            parts = tuple(
                part.flatten(2)[..., None, None]
                for part in found.split([self.channels, self.given], 2)
            )
        layout = torch.channels_last if r.channels_last else torch.contiguous_format
        own, others = (
            tuple(w.contiguous(memory_format=layout) for w in part.unbind()) for part in parts
        )
        return own, others

    def _offset(self, given: Tensor | None, weights: Weights, like: Tensor) -> Tensor:
        """What bias and what is given add to the first layer, (n, hidden, h, w) or (hidden,).

        ValueError where another number of channels is given.
        """
        bias = self.think.bias
        assert bias is not None
        channels = 0 if given is None else given.shape[1]
        if channels != self.given:
            raise ValueError(f"the rule is given {channels} channels, and was made for {self.given}")
        if given is None:
            return bias
        given = given.to(like)
        if self.recipe.channels_last:
            given = given.contiguous(memory_format=torch.channels_last)
        return self._seen(given, weights, bias)

    def _seen(self, x: Tensor, weights: Weights, bias: Tensor | None) -> Tensor:
        """What the first layer makes of cells (n, c, h, w), one dilation a scale."""
        total = None
        for scale, weight in enumerate(weights):
            far = 2**scale
            beyond = far
            wide = x
            if self.recipe.padding != "zeros":
                wide, beyond = F.pad(x, (far, far, far, far), mode=self.recipe.padding), 0
            if self.folds:
                part = F.conv2d(wide, weight, bias, padding=beyond, dilation=far)
            else:
                kernels = self.kernels[:, None].repeat(x.shape[1], 1, 1, 1)
                look = F.conv2d(wide, kernels, padding=beyond, dilation=far, groups=x.shape[1])
                part = F.conv2d(look, weight, bias)
            total, bias = part if total is None else total + part, None
        assert total is not None
        return total

    def _steps(self, state: Tensor, own: Weights, offset: Tensor, count: int) -> Tensor:
        for _ in range(count):
            state = self._one(state, own, offset)
        return state

    def _step(self, state: Tensor, own: Weights, offset: Tensor) -> Tensor:
        if offset.ndim == 1:
            return self._taken(state, self._seen(state, own, offset))
        return self._taken(state, self._seen(state, own, None) + offset)

    def _taken(self, state: Tensor, seen: Tensor) -> Tensor:
        """The state after the change that the first layer's values (n, hidden, h, w) lead to."""
        r = self.recipe
        if r.global_grid:
            seen = seen + self._heard(state)
        change = self.act(F.relu(seen))
        if r.leak:
            change = change - r.leak * state
        if r.fire < 1:
            change = change * (torch.rand_like(state[:, :1]) < r.fire)
        if not r.alive:
            return state + change
        before = alive(state)
        state = state + change
        return state * (before & alive(state))

    def _heard(self, state: Tensor) -> Tensor:
        """What a coarse mean of all cells adds to the first layer (n, hidden, h, w)."""
        coarse = F.adaptive_avg_pool2d(state, self.recipe.global_grid)
        return F.interpolate(self.hear(coarse), state.shape[2:], mode="bilinear")


def alive(state: Tensor) -> Tensor:
    """Cells (n, 1, h, w) with an alpha above `ALIVE` in their 3 x 3 neighbourhood."""
    return F.max_pool2d(state[:, ALPHA : ALPHA + 1], 3, 1, 1) > ALIVE


def plain(rule: Rule, state: Tensor, given: Tensor | None = None, steps: int = 1) -> Tensor:
    """The same rule as it is usually written: perceive, then think, every step anew."""
    r = rule.recipe
    for _ in range(steps):
        cells = state if given is None else torch.cat([state, given], 1)
        seen = []
        for scale in range(r.scales):
            far, count = 2**scale, len(rule.kernels)
            kernels = rule.kernels[:, None].repeat(cells.shape[1], 1, 1, 1)
            wide = F.pad(cells, (far, far, far, far), mode="constant" if r.padding == "zeros" else r.padding)
            found = F.conv2d(wide, kernels, groups=cells.shape[1], dilation=far)
            seen.append(found.unflatten(1, (-1, count)))
        first = rule.think(torch.stack(seen, 1).flatten(1, 3))
        state = rule._taken(state, first)
    return state


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
        """Means of the finest level's cells for a coarser level."""
        factor = 2 ** (self.recipe.levels - 1 - level)
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
            return self.decoder(states[-1])
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
