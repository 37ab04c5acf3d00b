"""Trains the nca case. Read it top to bottom.

python -m unstuck.cases.nca.train --task flow --preset repaired --out runs/nca
"""

import json
import math
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from torch import Tensor, nn

import unstuck
from unstuck.atomic import write_text
from unstuck.cases.nca import command
from unstuck.cases.nca.automaton import Automaton, parameters
from unstuck.cases.nca.checkpoint import METRICS, RECIPE, RULE, STATE
from unstuck.cases.nca.flow import Flow
from unstuck.cases.nca.growing import Growing
from unstuck.cases.nca.health import tell
from unstuck.cases.nca.pictures import compared
from unstuck.cases.nca.pool import Pool, damage
from unstuck.cases.nca.recipe import Recipe, Scalar, made
from unstuck.cases.nca.rollouts import TIMES, begun, lasting, shown
from unstuck.cases.nca.scenes import TOP, Scene, Task
from unstuck.data import weights
from unstuck.data.weights import NotSavedError

METRIC = "log10_error"  # of the whole canvas after as many steps as in training
HIGHER_IS_BETTER = False
UNIT = ""
MARGIN = 0.05  # an eighth more or less
LOOKS = 10  # times a run looks at the whole canvas
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
            torch.where(stale[:, None, None, None], a, b) for a, b in zip(first, states, strict=True)
        ]
        if r.damaged:
            healthy = (~stale).nonzero()[:, 0]
            best = healthy[pool.error[chosen][healthy].argsort()][: r.damaged]
            damage(states, best, self.lots)
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


def train(
    recipe: Recipe | Mapping[str, Scalar],
    seed: int,
    out: Path | None = None,
    say: bool = False,
    resume: bool = False,
) -> dict[str, float]:
    """Trains one recipe with one seed; the metrics on the whole canvas.

    The seed fixes the initialisation and all that is drawn by lot. With `out` a run leaves a
    checkpoint ten times, and `resume` goes on from it: on a processor to the same weights, bit for
    bit.
    """
    r = recipe if isinstance(recipe, Recipe) else made(recipe)
    torch.set_num_threads(r.threads)
    training = Training(r, seed)
    console = Console(highlight=False, quiet=not say, soft_wrap=True)
    state = None if out is None else weights.begun(out / STATE, "nca", r.flat(), seed, resume)
    history: list[dict[str, float]] = []
    if state is not None:
        training.load(state["training"])
        history = list(state["history"])
    console.print(f"{parameters(training.model):,} parameters, {r.iterations:,} iterations")
    first = int(history[-1]["iteration"]) if history else 0
    every = max(1, r.iterations // LOOKS)
    before = history[-1]["seconds"] if history else 0.0
    start, recent = time.perf_counter(), []
    for number in range(first, r.iterations):
        recent.append(training.iteration(number))
        if training.pool is not None:
            unstuck.pool(training.pool.error)
        if (number + 1) % every and number + 1 < r.iterations:
            continue
        found = {"iteration": number + 1.0, "train_error": float(np.mean(recent))}
        found["error"] = lasting(training.model, training.whole, times=(1,))[1]
        found["seconds"] = before + time.perf_counter() - start
        unstuck.log(val_error=found["error"])
        history.append(found)
        left = found["seconds"] / (number + 1) * (r.iterations - number - 1)
        console.print(
            f"{number + 1:>6}/{r.iterations}: error of the batches {found['train_error']:.4g}, of "
            f"the whole canvas {found['error']:.4g}; {left / 60:.1f} min left"
        )
        recent = []
        if out is not None:
            kept = {"training": training.state(), "history": history, "recipe": r.flat()}
            weights.save(out / STATE, kept | {"seed": seed})
    metrics = summary(history, training) | {"seed": float(seed)}
    tell(training.model, training.whole, metrics)
    if out is not None:
        keep(out, training, metrics)
    return metrics


def task_of(r: Recipe, size: int = 0) -> Task:
    """The recipe's task, on a canvas of another size where one is given."""
    return Growing(r, size) if r.task == "grow" else Flow(r, size)


def rate(r: Recipe, iteration: int) -> float:
    """The learning rate of an iteration, over that of the recipe."""
    part = iteration / r.iterations
    if r.schedule == "step":
        return 1.0 if iteration < r.drop_at else 0.1
    return part / WARM if part < WARM else 0.5 * (1 + math.cos(math.pi * (part - WARM) / (1 - WARM)))


def limit(model: nn.Module, r: Recipe) -> None:
    """Normalise the gradient of every variable by its own length, or clip all to a length of 1."""
    if r.gradients == "clipped":
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        return
    for parameter in model.parameters():
        if parameter.grad is not None:
            parameter.grad /= parameter.grad.norm() + 1e-8


def summary(history: list[dict[str, float]], training: Training) -> dict[str, float]:
    """The error on the whole canvas, at multiples of the trained steps, on patches, the speed."""
    last, r = history[-1], training.recipe
    later = lasting(training.model, training.whole)
    cells = r.batch_size * min(r.side, r.size) ** 2
    return {
        "error": later[1],
        METRIC: log_error(later[1]),
        "train_error": last["train_error"],
        **{f"error_x{times}": later[times] for times in TIMES if times > 1},
        "parameters": float(parameters(training.model)),
        "seconds": last["seconds"],
        "cells_per_second": cells * r.iterations / last["seconds"],
    }


def log_error(error: float) -> float:
    """Decimal logarithm of an error, finite at 0 and for what is no number."""
    return math.log10(min(max(error, 1e-12), 1e12)) if error == error else 12.0


def keep(out: Path, training: Training, metrics: Mapping[str, float]) -> None:
    """Weights, held-out pictures, recipe and metrics in a folder."""
    weights.save(out / RULE, training.model.state_dict())
    found, scene = shown(training.model, training.whole)
    np.savez_compressed(
        out / "held_out.npz",
        allow_pickle=False,
        prediction=found.numpy().astype(np.float16),
        target=scene.target.numpy().astype(np.float16),
        mask=scene.mask.numpy().astype(bool),
    )
    compared(training.recipe, found, scene).save(out / "held_out.png")
    if training.pool is not None:
        by_age = training.pool.by_age()
        write_text(out / "pool.json", json.dumps(by_age) + "\n")
    write_text(out / RECIPE, json.dumps(training.recipe.flat(), indent=1) + "\n")
    write_text(out / METRICS, json.dumps(dict(metrics), indent=1) + "\n")


def main(arguments: list[str] | None = None) -> int:
    options = command.parser("unstuck.cases.nca.train", __doc__ or "")
    options.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    given = options.parse_args(arguments)
    try:
        recipe = command.recipe_of(given)
        metrics = train(recipe, given.seed, given.out, say=True, resume=given.resume)
    except (ValueError, NotSavedError) as error:
        print(error, file=sys.stderr)
        return 2
    print("  ".join(f"{name} {value:.4g}" for name, value in metrics.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
