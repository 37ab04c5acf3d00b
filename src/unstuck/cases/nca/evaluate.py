"""How good trained rules are: other sizes, more steps, damage, other first states, cost.

    unstuck case eval nca runs/nca
    unstuck case eval nca runs/nca --json figures.json

Errors are mean squares over the cells that count: of the flow in units of each field's variance, so
that 1 is what predicting the mean gives; of a picture over premultiplied red, green, blue, alpha.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from unstuck.atomic import write_text
from unstuck.cases.nca import measures, tables
from unstuck.cases.nca.automaton import Automaton
from unstuck.cases.nca.scenes import Task
from unstuck.cases.nca.training import task_of


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser("python -m unstuck.cases.nca.evaluate", description=__doc__)
    parser.add_argument("run", type=Path, help="folder that `train --out` left")
    parser.add_argument("--json", type=Path, help="write all figures here, too")
    options = parser.parse_args(arguments)

    def work(model: Automaton, task: Task) -> None:
        sizes = measures.across_sizes(model, task_of)
        tables.show(tables.by_size_and_steps(sizes, task.size))
        damage = measures.damaged(model, task)
        tables.show(tables.of_damage(damage))
        elsewhere = measures.from_elsewhere(model, task)
        tables.show(tables.of_values("error from other first states", elsewhere))
        cost = measures.summary(model, task)
        tables.show(tables.of_values("cost of one canvas", cost))
        if options.json:
            figures = {"error": sizes, "damage": damage, "first states": elsewhere, "cost": cost}
            write_text(options.json, json.dumps(figures, indent=1) + "\n")

    return tables.program(options.run, work)


if __name__ == "__main__":
    raise SystemExit(main())
