"""The command line the case's programs share: which recipe, which fonts, which seed, where to."""

import argparse
import os
from collections.abc import Sequence
from typing import Any

from unstuck import case_options
from unstuck.cases.zi2zi.recipe import PRESETS, Recipe, made

OPTIONS = ("charset", "size")  # those that are knobs of the recipe under the same name


def parser(module: str, about: str) -> argparse.ArgumentParser:
    options = case_options.parser(module, about, PRESETS)
    options.add_argument("--source", help="a font file, or a font by name (default: the sample)")
    options.add_argument(
        "--target", action="append", help="the font to draw like; several are styles 0, 1, ..."
    )
    options.add_argument("--charset", help="a named set of characters, or a file with them")
    options.add_argument("--size", type=int, help="side of the pictures, px: 64, 128, 256 or 384")
    return options


def changes_from(options: argparse.Namespace, names: Sequence[str] = OPTIONS) -> dict[str, Any]:
    """The fonts and the other options that were given, as fields of a recipe."""
    more: dict[str, Any] = {}
    if options.source is not None:
        more["source"] = options.source
    if options.target:
        more["target"] = os.pathsep.join(options.target)
    given = {name: getattr(options, name) for name in names}
    return more | {name: value for name, value in given.items() if value is not None}


def recipe_of(options: argparse.Namespace) -> Recipe:
    """Preset, then single changes; ValueError with one clear line."""
    return case_options.recipe_of(options, PRESETS, made, changes_from(options))
