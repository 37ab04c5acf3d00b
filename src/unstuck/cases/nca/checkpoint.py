"""What a run leaves behind, and how it is read back."""

import json
from pathlib import Path

from unstuck.cases.nca.automaton import Automaton
from unstuck.cases.nca.recipe import Recipe, made
from unstuck.cases.nca.scenes import Task
from unstuck.cases.nca.training import task_of
from unstuck.data import weights

STATE, RULE, RECIPE, METRICS = "checkpoint.pt", "rule.pt", "recipe.json", "metrics.json"
LARGEST = 1 << 20  # bytes of a recipe


def recipe_of(run: Path) -> Recipe:
    """The recipe of a run's folder; ValueError in one line."""
    file = run / RECIPE
    try:
        if file.stat().st_size > LARGEST:
            raise ValueError("too large for a recipe")
        values = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"{run} holds no finished nca run: there is no {RECIPE} in it") from None
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{file} cannot be read: {str(error)[:120]}") from None
    if not isinstance(values, dict):
        raise ValueError(f"{file} holds no keys and values")
    return made(values)


def trained(run: Path) -> tuple[Automaton, Task]:
    """The rule of a finished run, in eval mode, and its task; ValueError in one line."""
    recipe = recipe_of(run)
    task = task_of(recipe)
    model = Automaton(recipe, task.outputs, task.given)
    file = run / RULE
    weights.load_into(model, weights.read(file, "nca"), file)
    return model.eval(), task
