"""Errors at 1, 2, 4 and 10 times the trained steps, on canvases of 1, 2 and 4 times the size.

unstuck case nca stability runs/nca --picture stability.png
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from unstuck.cases.nca import measures, pictures, tables
from unstuck.cases.nca.automaton import Automaton
from unstuck.cases.nca.rollouts import TIMES, shown
from unstuck.cases.nca.scenes import Task
from unstuck.cases.nca.training import task_of


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser("python -m unstuck.cases.nca.stability", description=__doc__)
    parser.add_argument("run", type=Path, help="folder that `train --out` left")
    parser.add_argument("--picture", type=Path, help="one canvas after all these steps, as a PNG")
    options = parser.parse_args(arguments)

    def work(model: Automaton, task: Task) -> None:
        sizes = measures.across_sizes(model, task_of)
        tables.show(tables.by_size_and_steps(sizes, task.size))
        if options.picture:
            rows = []
            for times in TIMES:
                found, scene = shown(model, task, 1, times)
                rows.append(pictures.rows_of(model.recipe, found, scene)[0])
            pictures.save(pictures.grid(rows), options.picture)

    return tables.program(options.run, work)


if __name__ == "__main__":
    raise SystemExit(main())
