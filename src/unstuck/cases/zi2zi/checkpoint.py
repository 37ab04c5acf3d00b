"""What a run leaves behind, and how it is read back."""

import json
from pathlib import Path
from typing import Any

from unstuck.cases.zi2zi.model import Generator
from unstuck.cases.zi2zi.recipe import Recipe, made
from unstuck.data import weights
from unstuck.data.weights import NotSavedError as NotSavedError
from unstuck.data.weights import save as save

STATE, GENERATOR, RECIPE, METRICS = "checkpoint.pt", "generator.pt", "recipe.json", "metrics.json"


def read(file: Path) -> Any:
    """What `save` wrote; ValueError in one line."""
    return weights.read(file, "zi2zi")


def recipe_of(run: Path) -> tuple[Recipe, int]:
    """The recipe and the seed of a run's folder; ValueError in one line."""
    found: list[dict[str, Any]] = []
    for name in (RECIPE, METRICS):
        file = run / name
        try:
            values = json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise ValueError(
                f"{run} holds no finished zi2zi run: there is no {name} in it"
            ) from None
        except (OSError, ValueError, RecursionError) as error:
            raise ValueError(f"{file} cannot be read: {str(error)[:120]}") from None
        if not isinstance(values, dict):
            raise ValueError(f"{file} holds no keys and values")
        found.append(values)
    return made(found[0]), int(found[1].get("seed", 0))


def trained(run: Path) -> tuple[Generator, Recipe, int]:
    """The generator of a finished run, in eval mode, its recipe and its seed; ValueError."""
    recipe, seed = recipe_of(run)
    generator = Generator(recipe)
    file = run / GENERATOR
    advice = f"; `unstuck case zi2zi recover-recipe {file}` says which"
    weights.load_into(generator, read(file), file, advice)
    return generator.eval(), recipe, seed


def begun(out: Path, recipe: Recipe, seed: int, resume: bool) -> list[dict[str, float]]:
    """Figures of the epochs that are done; ValueError where a run would be lost, or is another."""
    file = out / STATE
    state = weights.begun(file, "zi2zi", recipe.flat(), seed, resume)
    if state is None:
        return []
    if not isinstance(state.get("history"), list):
        raise ValueError(f"{file} is no checkpoint of a zi2zi training")
    return list(state["history"])
