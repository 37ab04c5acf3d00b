"""How far a cell can see after so many steps, and how far it does look.

unstuck case nca horizon runs/nca --picture horizon.png

The reach is what steps and radius allow: nothing beyond it can matter. The radius that holds 90 %
of the gradient tells how much of that the rule uses.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.table import Table

from unstuck.cases.nca import measures, pictures, tables
from unstuck.cases.nca.automaton import Automaton
from unstuck.cases.nca.health import reach
from unstuck.cases.nca.rollouts import TIMES
from unstuck.cases.nca.scenes import Task


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser("python -m unstuck.cases.nca.horizon", description=__doc__)
    parser.add_argument("run", type=Path, help="folder that `train --out` left")
    parser.add_argument("--picture", type=Path, help="maps of the gradient, as a PNG")
    options = parser.parse_args(arguments)

    def work(model: Automaton, task: Task) -> None:
        table = Table(title=f"what the middle of a canvas of {task.size} px depends on")
        for name in ("steps", "reach, px", "90 % of the gradient within, px"):
            table.add_column(name, justify="right")
        maps = []
        for times in TIMES[:3]:
            steps = model.recipe.steps_most * times
            found = measures.influence(model, task, steps)
            px = task.size / found.shape[-1]
            far = min(reach(model) * times, task.size)
            table.add_row(str(steps), str(far), f"{measures.radius(found) * px:.0f}")
            level = found / found.max().clamp_min(1e-30)
            maps.append(pictures.heat((level * 1e4).log1p() / np.log1p(1e4), 1.0))
        tables.show(table)
        if options.picture:
            pictures.save(pictures.grid([maps]), options.picture)

    return tables.program(options.run, work)


if __name__ == "__main__":
    raise SystemExit(main())
