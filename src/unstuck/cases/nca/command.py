"""The command line the case's programs share: which task, which recipe, which seed, where to."""

import argparse
from typing import Any, cast

from unstuck import case_options
from unstuck.cases.nca.recipe import PRESETS, Recipe, Task, made

OPTIONS = ("image", "size")  # those that are knobs of the recipe under the same name


def parser(module: str, about: str) -> argparse.ArgumentParser:
    known = dict.fromkeys(name for presets in PRESETS.values() for name in presets)
    options = case_options.parser(module, about, known)
    options.add_argument("--task", choices=tuple(PRESETS), default="grow")
    options.add_argument("--image", help="a picture file with alpha, or one of the sample by name")
    options.add_argument("--size", type=int, help="side of the canvas, px")
    return options


def recipe_of(options: argparse.Namespace) -> Recipe:
    """Preset, then single changes; ValueError with one clear line.

    Another size of the canvas keeps the share of it that a crop sees.
    """
    presets = PRESETS[cast(Task, options.task)]
    given = {name: getattr(options, name) for name in OPTIONS}
    more: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    start = case_options.preset_of(options, presets)
    if options.size is not None and start.patch:
        more["patch"] = max(1, round(start.patch * options.size / start.size))
    return case_options.recipe_of(options, presets, made, more)
