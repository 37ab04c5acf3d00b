"""The command line the case's programs share: which recipe, which seed, where to."""

import argparse
from pathlib import Path

from unstuck import case_options
from unstuck.cases.contrast.config import read_config
from unstuck.cases.contrast.recipe import PRESETS, Recipe, made


def parser(module: str, about: str) -> argparse.ArgumentParser:
    options = case_options.parser(module, about, PRESETS)
    options.add_argument("--config", type=Path, metavar="FILE.json", help="published JSON form")
    options.add_argument("--steps", type=int, help="training steps")
    options.add_argument("--data", help="folder of fastMRI-style HDF5 files")
    return options


def recipe_of(options: argparse.Namespace) -> Recipe:
    """Preset, then configuration, then single changes; ValueError with one clear line."""
    recipe = case_options.preset_of(options, PRESETS)
    if options.config:
        recipe = read_config(options.config, recipe)
    changes = case_options.changes_of(options.changes)
    if options.steps is not None:
        changes["steps"] = options.steps
    if options.data is not None:
        changes["data"] = options.data
    return made(recipe.model_dump() | changes)
