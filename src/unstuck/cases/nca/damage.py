"""What heals: holes in the finished state, and a rollout after each.

unstuck case nca damage runs/nca --picture damage.png
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch

from unstuck.cases.nca import measures, pictures, tables
from unstuck.cases.nca.automaton import Automaton
from unstuck.cases.nca.pool import disc
from unstuck.cases.nca.rollouts import SEED, rolled
from unstuck.cases.nca.scenes import Task


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser("python -m unstuck.cases.nca.damage", description=__doc__)
    parser.add_argument("run", type=Path, help="folder that `train --out` left")
    parser.add_argument("--picture", type=Path, help="before, with the hole and after, as a PNG")
    options = parser.parse_args(arguments)

    def work(model: Automaton, task: Task) -> None:
        tables.show(tables.of_damage(measures.damaged(model, task)))
        if options.picture:
            pictures.save(pictures.grid(healing(model, task)), options.picture)

    return tables.program(options.run, work)


@torch.no_grad()
def healing(model: Automaton, task: Task) -> list[list[pictures.Picture]]:
    """One canvas before each hole, with it, and half a rollout and a whole one later."""
    part = task.held_out()[:1]
    scene = task.scene(part, task.size)
    steps, rows = model.recipe.steps_most, []
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        states = measures.grown(model, task, part, scene)
        for row, column in measures.HOLES.values():
            middle = torch.tensor([row, column])
            hurt = tuple(s * disc(s.shape[-1], middle, measures.RADIUS).to(s) for s in states)
            half = rolled(model, hurt, scene, max(1, steps // 2), fresh=False)
            whole = rolled(model, half, scene, max(1, steps - steps // 2), fresh=False)
            shown = (model.read(s)[0] for s in (states, hurt, half, whole))
            rows.append([pictures.seen(model.recipe, cells, scene) for cells in shown])
    return rows


if __name__ == "__main__":
    raise SystemExit(main())
