"""A rule that is applied again and again.

A step of a rule is what growing automata do (Mordvintsev et al., Growing Neural Cellular Automata,
2020): each cell perceives its neighbourhood through fixed kernels, two layers of 1 x 1 make of that
a change, and a random share of the cells takes it.

The fixed kernels and the first layer are one linear map, so they are folded into one convolution
(`Rule.weights`); what a rule is given beside its own state does not change during a rollout, so
that part is computed once. `plain` is the same rule as it is usually written.
"""

from collections.abc import Callable, Mapping

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
            raise ValueError(
                f"the rule is given {channels} channels, and was made for {self.given}"
            )
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
        change = self.act(seen.relu_())  # nobody else needs what was seen
        if r.leak:
            change = change - r.leak * state
        if r.fire < 1:
            change = change * (torch.rand_like(state[:, :1]) < r.fire)
        if not r.alive:
            return torch.add(state, change)
        before = alive(state)
        state = state + change
        return state * (before & alive(state))

    def _heard(self, state: Tensor) -> Tensor:
        """What a coarse mean of all cells adds to the first layer (n, hidden, h, w)."""
        coarse = F.adaptive_avg_pool2d(state, self.recipe.global_grid)
        return F.interpolate(self.hear(coarse), state.shape[2:], mode="bilinear")


def alive(state: Tensor) -> Tensor:
    """Cells (n, 1, h, w) with an alpha above `ALIVE` in their 3 x 3 neighbourhood."""
    alpha = state[:, ALPHA].contiguous()  # a strided slice takes twenty times as long
    found: Tensor = F.max_pool2d(alpha, 3, 1, 1)[:, None] > ALIVE
    return found


def plain(rule: Rule, state: Tensor, given: Tensor | None = None, steps: int = 1) -> Tensor:
    """The same rule as it is usually written: perceive, then think, every step anew."""
    r = rule.recipe
    for _ in range(steps):
        cells = state if given is None else torch.cat([state, given], 1)
        seen = []
        for scale in range(r.scales):
            far, count = 2**scale, len(rule.kernels)
            kernels = rule.kernels[:, None].repeat(cells.shape[1], 1, 1, 1)
            wide = F.pad(
                cells, (far, far, far, far), mode="constant" if r.padding == "zeros" else r.padding
            )
            found = F.conv2d(wide, kernels, groups=cells.shape[1], dilation=far)
            seen.append(found.unflatten(1, (-1, count)))
        first = rule.think(torch.stack(seen, 1).flatten(1, 3))
        state = rule._taken(state, first)
    return state
