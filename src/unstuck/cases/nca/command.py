"""The command line the case's programs share: which task, which recipe, which seed, where to."""

import argparse
from typing import Any, get_args

from unstuck import case_options
from unstuck.cases.nca.recipe import PRESETS, Recipe, Task, made

OPTIONS = ("image", "size")  # those that are knobs of the recipe under the same name
TASKS: tuple[str, ...] = get_args(Task)


def parser(module: str, about: str) -> argparse.ArgumentParser:
    forms = dict.fromkeys(name.partition("-")[2] for name in PRESETS)
    options = case_options.parser(module, about, forms)
    options.add_argument("--task", choices=TASKS, default=TASKS[0])
    about_image = "a picture file with alpha, or one of the sample by name; several: a,b"
    options.add_argument("--image", help=about_image)
    options.add_argument("--size", type=int, help="side of the canvas, px")
    return options


def recipe_of(options: argparse.Namespace) -> Recipe:
    """Preset, then single changes; ValueError with one clear line.

    Another size of the canvas keeps the share of it that a crop sees.
    """
    form = options.preset or case_options.DEFAULT
    if form not in PRESETS and f"{options.task}-{form}" in PRESETS:
        options.preset = f"{options.task}-{form}"
    given = {name: getattr(options, name) for name in OPTIONS}
    more: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    start = case_options.preset_of(options, PRESETS)
    if options.size is not None and start.patch:
        more["patch"] = max(1, round(start.patch * options.size / start.size))
    return case_options.recipe_of(options, PRESETS, made, more)
