"""The command line the case's programs share: which recipe, which seed, where to."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from unstuck.cases.contrast.config import read_config
from unstuck.cases.contrast.recipe import PRESETS, Recipe, made


def parser(module: str, about: str) -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(f"python -m {module}", description=about)
    options.add_argument("--preset", help=f"{', '.join(PRESETS)} (default: repaired)")
    options.add_argument("--config", type=Path, metavar="FILE.json", help="published JSON form")
    options.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="changes")
    options.add_argument("--steps", type=int, help="training steps")
    options.add_argument("--data", help="folder of fastMRI-style HDF5 files")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--out", type=Path, help="folder for metrics, weights and pictures")
    return options


def recipe_of(options: argparse.Namespace) -> Recipe:
    """Preset, then configuration, then single changes; ValueError with one clear line."""
    name = options.preset or "repaired"
    if name not in PRESETS:
        raise ValueError(f"no preset {name!r}; there are: {', '.join(PRESETS)}")
    recipe = PRESETS[name]
    if options.config:
        recipe = read_config(options.config, recipe)
    changes = changes_of(options.changes)
    if options.steps is not None:
        changes["steps"] = options.steps
    if options.data is not None:
        changes["data"] = options.data
    return made(recipe.model_dump() | changes)


def changes_of(words: Sequence[str]) -> dict[str, object]:
    """`key=value` words; a value is read as JSON where it is JSON, else as text."""
    changes: dict[str, object] = {}
    for word in words:
        key, sign, value = word.partition("=")
        if not sign or not key:
            raise ValueError(f"--set needs KEY=VALUE, got {word!r}")
        try:
            changes[key] = json.loads(value)
        except json.JSONDecodeError:
            changes[key] = {"True": True, "False": False}.get(value, value)
    return changes
