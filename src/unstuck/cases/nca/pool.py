"""Samples that rollouts go on from: how they are drawn, kept and begun anew."""

import torch
from torch import Generator, Tensor

from unstuck.cases.nca.recipe import Recipe


class Pool:
    """States (size, c, h, w) of every level with what they are of, how old and how wrong.

    `age` counts rollouts since a sample began; `error` is the one after the last of them, and
    before the first that of its first state.
    """

    def __init__(
        self, r: Recipe, entries: Tensor, states: tuple[Tensor, ...], error: Tensor
    ) -> None:
        self.recipe, self.entries, self.error = r, entries, error
        self.states = [state.clone() for state in states]
        self.age = torch.zeros(len(entries), dtype=torch.long)

    def draw(self, lots: Generator) -> Tensor:
        """Which samples are trained on (batch,): by lot, or by lot with the easiest preferred.

        The ranked form is what was reported: the pool is sorted by error, and places are drawn
        from its better half.
        """
        size, count = len(self.age), self.recipe.batch_size
        if not self.recipe.ranked:
            return torch.randperm(size, generator=lots)[:count]
        half = max(count, size // 2)
        return self.error.argsort()[torch.randperm(half, generator=lots)[:count]]

    def stale(self, chosen: Tensor, empty: Tensor, lots: Generator) -> Tensor:
        """Which of the chosen (batch,) begin anew: by lot, too old, gone astray, the worst.

        `empty` (batch,) is the error of an empty canvas, by which the gate tells what went astray.
        """
        r, error = self.recipe, self.error[chosen]
        found = torch.rand(len(chosen), generator=lots) < r.renewal
        if r.age_limit:
            found |= self.age[chosen] >= r.age_limit
        if r.gate:
            found |= ~(error <= r.gate * empty)  # also where it is no number
        if r.reseeded:
            order = error.nan_to_num(torch.inf).argsort(descending=r.reseeds == "worst")
            found[order[: r.reseeded]] = True
        return found

    def renew(self, chosen: Tensor, entries: Tensor) -> None:
        """These samples begin anew, as what `entries` say."""
        self.entries[chosen] = entries
        self.age[chosen] = 0

    def keep(self, chosen: Tensor, states: tuple[Tensor, ...], error: Tensor) -> None:
        """States after a rollout, and their errors."""
        for kept, state in zip(self.states, states, strict=True):
            kept[chosen] = state.detach().to(kept)
        self.error[chosen] = error.detach().to(self.error)
        self.age[chosen] += 1

    def by_age(self) -> list[tuple[int, float, int]]:
        """Age, mean error and count of the samples of every age."""
        found = []
        for age in self.age.unique().tolist():
            error = self.error[self.age == age]
            found.append((age, float(error.mean()), len(error)))
        return found

    def state(self) -> dict[str, object]:
        """All of it, for a checkpoint."""
        return {
            "entries": self.entries,
            "states": self.states,
            "error": self.error,
            "age": self.age,
        }

    def load(self, state: dict[str, Tensor]) -> None:
        self.entries, self.error, self.age = (state[k] for k in ("entries", "error", "age"))
        self.states = list(state["states"])


def damage(states: tuple[Tensor, ...], chosen: Tensor, lots: Generator) -> None:
    """Erase a random disc of the chosen samples, in place, at the same place on every level."""
    for sample in chosen.tolist():
        middle = torch.rand(2, generator=lots) - 0.5
        radius = 0.1 + 0.3 * float(torch.rand((), generator=lots)) / 2
        for state in states:
            state[sample] *= disc(state.shape[-1], middle, radius).to(state)


def disc(side: int, middle: Tensor, radius: float) -> Tensor:
    """0 within a disc, else 1 (side, side); middle and radius in canvases, 0 in the middle."""
    line = (torch.arange(side) + 0.5) / side - 0.5
    far = (line[:, None] - middle[0]) ** 2 + (line[None] - middle[1]) ** 2
    return (far >= radius**2).float()
