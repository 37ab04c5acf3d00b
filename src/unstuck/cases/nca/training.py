"""One training: its rule, task, pool and optimizer, and what an iteration is."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from unstuck.cases.nca.automaton import Automaton
from unstuck.cases.nca.flow import Flow
from unstuck.cases.nca.growing import Growing
from unstuck.cases.nca.pool import Pool, damage
from unstuck.cases.nca.recipe import Recipe
from unstuck.cases.nca.rollouts import begun
from unstuck.cases.nca.scenes import TOP, Scene, Task

AT_ONCE = 64  # scenes
COARSE = 0.3  # weight of each coarser level's own error
WARM = 0.05  # share of the run in which a cosine rises


class Training:
    """A rule, its task, its pool and its optimizer."""

    def __init__(self, r: Recipe, seed: int) -> None:
        self.recipe = r
        self.whole = self.task = task_of(r)
        self.lots = torch.Generator().manual_seed(seed)
        torch.manual_seed(seed)
        self.model = Automaton(r, self.task.outputs, self.task.given).to(r.device)
        for side in {r.size} if r.levels > 1 else {r.size, r.side}:
            self.model.sides(side)  # says what cannot be divided
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=r.lr)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimizer, lambda i: rate(r, i))
        self.canvas = self.side = 0  # of the whole now, which a curriculum changes; of a sample
        self.windows = False
        self.pool: Pool | None = None

    def iteration(self, number: int) -> float:
        """One update; the mean error of the batch."""
        r = self.recipe
        size, steps = self._now(number)
        if size != self.canvas:
            self._resize(size)
        chosen, entries, states, fresh = self._batch()
        scene = self.task.scene(entries, self.side).to(r.device)
        origins = self.model.origins(entries[:, TOP:], size) if self.windows else None
        found = self.model(
            *(s.to(r.device) for s in states),
            given=scene.given,
            steps=steps,
            fresh=fresh.to(r.device),
            origins=origins,
        )
        *coarse, error = self._errors(found, scene, origins)
        loss = error.mean() + COARSE * sum(e.mean() for e in coarse)
        self.optimizer.zero_grad()
        loss.backward()
        limit(self.model, r)
        self.optimizer.step()
        self.schedule.step()
        if self.pool is not None:
            self.pool.keep(chosen, found, error)
        return float(error.detach().mean())

    def _now(self, number: int) -> tuple[int, int]:
        """Side of the canvas and steps of this iteration's rollout."""
        r = self.recipe
        part = min(1.0, 2 * number / r.iterations)  # a curriculum takes half of the run
        share = 0.25 + 0.75 * part
        steps = int(torch.randint(r.steps_least, r.steps_most + 1, (), generator=self.lots))
        if r.curriculum in ("steps", "both"):
            steps = max(1, round(share * steps))
        size = r.size
        if r.curriculum in ("size", "both") and part < 1:
            size = r.size // 4 if part < 0.5 else r.size // 2
        return size, steps

    def _resize(self, size: int) -> None:
        """Begin with another canvas: the task and the pool are made anew."""
        r = self.recipe
        self.canvas = size
        # a rule of one level sees crops alone; of several, finer ones see crops, the coarsest all
        self.windows = r.levels > 1 and 0 < r.patch < size
        self.side = size if self.windows else min(r.side, size)
        self.task = self.whole if size == r.size else task_of(r, size)
        if r.pool:
            entries = self._entries(r.pool)
            states = self._first(entries)
            parts = [self.task.scene(e, self.side).empty_error() for e in entries.split(AT_ONCE)]
            self.pool = Pool(r, entries, states, torch.cat(parts))

    def _batch(self) -> tuple[Tensor, Tensor, list[Tensor], Tensor]:
        """Samples: their places in the pool, entries, states, and which of them begin anew."""
        r, pool, count = self.recipe, self.pool, self.recipe.batch_size
        if pool is None:
            entries = self._entries(count)
            whole = torch.ones(count, dtype=torch.bool)
            return whole, entries, list(self._first(entries)), whole
        chosen = pool.draw(self.lots)
        empty = self.task.scene(pool.entries[chosen], self.side).empty_error()
        stale = pool.stale(chosen, empty, self.lots)
        if stale.any():
            pool.renew(chosen[stale], self._entries(int(stale.sum())))
        states = [kept[chosen].clone() for kept in pool.states]
        first = self._first(pool.entries[chosen])
        states = [
            torch.where(stale[:, None, None, None], a, b)
            for a, b in zip(first, states, strict=True)
        ]
        if r.damaged:
            healthy = (~stale).nonzero()[:, 0]
            best = healthy[pool.error[chosen][healthy].argsort()][: r.damaged]
            damage(tuple(states), best, self.lots)
        return chosen, pool.entries[chosen], states, stale | (pool.age[chosen] == 0)

    def _entries(self, count: int) -> Tensor:
        patch = self.recipe.patch if self.windows else self.side
        return self.task.entries(count, patch, self.lots)

    def _first(self, entries: Tensor) -> tuple[Tensor, ...]:
        patch = self.recipe.patch if self.windows else 0
        states = begun(self.model, self.task, entries, self.side, patch)
        if not self.recipe.seed_noise:
            return states
        noise = torch.randn(states[0].shape, generator=self.lots) * (states[0] != 0)
        return (states[0] + self.recipe.seed_noise * noise, *states[1:])

    def _errors(
        self, states: tuple[Tensor, ...], scene: Scene, origins: list[Tensor] | None
    ) -> list[Tensor]:
        """How wrong each level is (n,), coarsest first."""
        r, found = self.recipe, []
        for level, state in enumerate(states):
            last = level == len(states) - 1
            factor = 1 if last else r.decoder * 2 ** (len(states) - 1 - level)
            here = scene.coarser(factor)
            if origins is not None:
                here = here.cut(origins[level], state.shape[-1], r.margin)
            found.append(here.error(self.model.read(states, level)))
        return found

    def state(self) -> dict[str, Any]:
        """All that a training goes on from."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "pool": None if self.pool is None else self.pool.state(),
            "canvas": self.canvas,
            "lots": self.lots.get_state(),
            "random": torch.get_rng_state(),
        }

    def load(self, state: Mapping[str, Any]) -> None:
        self._resize(int(state["canvas"]))
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        if self.pool is not None:
            self.pool.load(state["pool"])
        self.lots.set_state(state["lots"])
        torch.set_rng_state(state["random"])


def task_of(r: Recipe, size: int = 0) -> Task:
    """The recipe's task, on a canvas of another size where one is given."""
    return Growing(r, size) if r.task == "grow" else Flow(r, size)


def rate(r: Recipe, iteration: int) -> float:
    """The learning rate of an iteration, over that of the recipe."""
    part = iteration / r.iterations
    if r.schedule == "step":
        return 1.0 if iteration < r.drop_at else 0.1
    return (
        part / WARM if part < WARM else 0.5 * (1 + math.cos(math.pi * (part - WARM) / (1 - WARM)))
    )


def limit(model: nn.Module, r: Recipe) -> None:
    """Normalise the gradient of every variable by its own length, or clip all to a length of 1."""
    if r.gradients == "clipped":
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        return
    for parameter in model.parameters():
        if parameter.grad is not None:
            parameter.grad /= parameter.grad.norm() + 1e-8
