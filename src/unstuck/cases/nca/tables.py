"""What the case's programs print of a measured rule."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table

from unstuck.cases.nca.automaton import Automaton
from unstuck.cases.nca.checkpoint import trained
from unstuck.cases.nca.scenes import Task
from unstuck.data.weights import NotSavedError

WIDTH = 120  # letters, where no terminal says how wide it is


def program(run: Path, work: Callable[[Automaton, Task], None]) -> int:
    """Do something with the rule of a finished run; one line on what is wrong, and its status."""
    try:
        work(*trained(run))
    except (ValueError, NotSavedError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def show(table: Table) -> None:
    console = Console(highlight=False)
    Console(highlight=False, width=console.width if console.is_terminal else WIDTH).print(table)


def by_size_and_steps(found: Mapping[int, Mapping[int, float]], r_size: int) -> Table:
    """Errors by times the size (rows) and times the steps of training (columns)."""
    table = Table(title="error by size of the canvas and steps, times those of training")
    table.add_column("canvas")
    columns = list(next(iter(found.values())))
    for times in columns:
        table.add_column(f"{times}x steps", justify="right")
    for scale, errors in found.items():
        cells = [f"{errors[times]:.4g}" for times in columns]
        table.add_row(f"{scale}x ({scale * r_size} px)", *cells)
    return table


def of_damage(found: Mapping[str, tuple[float, float, float]]) -> Table:
    """Errors before a hole, with it, and a rollout later, and how much of the damage is undone."""
    table = Table(title="a hole in the finished state, and one training rollout after it")
    for name in ("hole", "before", "with it", "after", "undone"):
        table.add_column(name, justify="left" if name == "hole" else "right")
    for name, (before, hurt, after) in found.items():
        undone = 1 - (after - before) / (hurt - before) if hurt > before else 1.0
        table.add_row(name, f"{before:.4g}", f"{hurt:.4g}", f"{after:.4g}", f"{undone:.0%}")
    return table


def of_values(title: str, found: Mapping[str, float]) -> Table:
    """Names and numbers."""
    table = Table(title=title)
    table.add_column("")
    table.add_column("", justify="right")
    for name, value in found.items():
        table.add_row(name, f"{value:,.4g}")
    return table
