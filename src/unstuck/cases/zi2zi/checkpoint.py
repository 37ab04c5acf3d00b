"""What a run leaves behind, written whole or not at all, and read back."""

import io
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from unstuck.cases.zi2zi.model import Generator
from unstuck.cases.zi2zi.recipe import Recipe, made

STATE, GENERATOR, RECIPE, METRICS = "checkpoint.pt", "generator.pt", "recipe.json", "metrics.json"
LARGEST = 4 << 30  # bytes of a file that is read


class NotSavedError(OSError):
    """A file could not be written; what was there before still is."""


def save(file: Path, state: object) -> None:
    """Writes a checkpoint beside the last one, then in its place; NotSavedError leaves that."""
    beside = file.with_name(f"{file.name}.{os.getpid()}.part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with beside.open("wb") as out:
            torch.save(state, out)
            out.flush()
            os.fsync(out.fileno())
        beside.replace(file)
    except (OSError, RuntimeError) as error:  # torch's own writer hides the reason
        beside.unlink(missing_ok=True)
        kept = "the last one is still there" if file.exists() else "there is none before it"
        raise NotSavedError(f"{file} could not be written ({error}); {kept}") from None


def read(file: Path) -> Any:
    """What `save` wrote: tensors and plain values alone; ValueError in one line."""
    if not file.is_file():
        raise ValueError(f"no {file.name} in {file.parent}: is it the folder of a zi2zi run?")
    if file.stat().st_size > LARGEST:
        raise ValueError(f"{file} is larger than {LARGEST >> 30} GiB: it is not read")
    try:
        return torch.load(io.BytesIO(file.read_bytes()), map_location="cpu", weights_only=True)
    except Exception as error:  # any bytes may be there, and torch has many ways to say so
        reason = str(error).strip().splitlines()[0][:120] if str(error).strip() else "no reason"
        raise ValueError(f"{file} is damaged or no checkpoint: {reason}") from None


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
    load_into(generator, read(run / GENERATOR), run / GENERATOR)
    return generator.eval(), recipe, seed


def load_into(model: torch.nn.Module, state: object, file: Path) -> None:
    """Weights into a network made with other options: ValueError says which weights differ."""
    if not isinstance(state, Mapping) or not all(
        isinstance(v, torch.Tensor) for v in state.values()
    ):
        raise ValueError(f"{file} holds no weights")
    own = model.state_dict()
    wrong = [
        f"{name} {_shape(state.get(name))} instead of {_shape(own.get(name))}"
        for name in [*own, *(n for n in state if n not in own)]
        if _shape(state.get(name)) != _shape(own.get(name))
    ]
    if wrong:
        raise ValueError(
            f"{file} is of other options: {wrong[0]}, and {len(wrong) - 1} more; "
            f"`unstuck case zi2zi recover-recipe {file}` says which"
        )
    model.load_state_dict(state)


def _shape(value: torch.Tensor | None) -> str:
    return "nothing" if value is None else "x".join(map(str, value.shape)) or "one number"


def begun(out: Path, recipe: Recipe, seed: int, resume: bool) -> list[dict[str, float]]:
    """Figures of the epochs that are done; ValueError where a run would be lost, or is another."""
    file = out / STATE
    if not file.exists():
        return []
    if not resume:
        raise ValueError(f"{out} holds a run: --resume goes on with it, or take another folder")
    state = read(file)
    known = isinstance(state, dict) and isinstance(state.get("recipe"), dict)
    if not known or not isinstance(state.get("history"), list):
        raise ValueError(f"{file} is no checkpoint of a zi2zi training")
    old, new = state["recipe"] | {"seed": state.get("seed")}, recipe.flat() | {"seed": seed}
    other = [f"{key} {old.get(key)!r} -> {new[key]!r}" for key in new if old.get(key) != new[key]]
    if other:
        raise ValueError(f"{file} is of another training: {', '.join(other[:4])}")
    return list(state["history"])
