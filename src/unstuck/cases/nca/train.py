"""Trains the nca case. Read it top to bottom.

python -m unstuck.cases.nca.train --task flow --preset repaired --out runs/nca
"""

import json
import math
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from rich.console import Console

import unstuck
from unstuck.atomic import write_text
from unstuck.cases.nca import command
from unstuck.cases.nca.automaton import parameters
from unstuck.cases.nca.checkpoint import METRICS, RECIPE, RULE, STATE
from unstuck.cases.nca.health import tell
from unstuck.cases.nca.pictures import compared, greys
from unstuck.cases.nca.recipe import Recipe, Scalar, made
from unstuck.cases.nca.rollouts import TIMES, lasting, shown
from unstuck.cases.nca.training import Training
from unstuck.data import weights
from unstuck.data.weights import NotSavedError

METRIC = "log10_error"  # of the whole canvas after as many steps as in training
HIGHER_IS_BETTER = False
UNIT = ""
MARGIN = 0.05  # an eighth more or less
LOOKS = 10  # times a run looks at the whole canvas


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
    r = training.recipe
    found, scene = shown(training.model, training.whole)
    first = training.whole.start(training.whole.held_out()[: len(found)], r.size, r.channels)
    np.savez_compressed(
        out / "held_out.npz",
        allow_pickle=False,
        input=greys(r, first, scene),
        prediction=greys(r, found, scene),
        target=greys(r, scene.target, scene),
    )
    compared(r, found, scene).save(out / "held_out.png")
    if training.pool is not None:
        by_age = training.pool.by_age()
        write_text(out / "pool.json", json.dumps(by_age) + "\n")
    write_text(out / RECIPE, json.dumps(r.flat(), indent=1) + "\n")
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
