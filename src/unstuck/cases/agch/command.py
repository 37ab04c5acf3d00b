"""The command line the case's programs share: which recipe, which data, which seed, where to."""

import argparse
from collections.abc import Mapping
from typing import Any

from unstuck import case_options
from unstuck.cases.agch.recipe import PRESETS, Recipe, made


def parser(module: str, about: str) -> argparse.ArgumentParser:
    options = case_options.parser(module, about, PRESETS)
    options.add_argument("--bits", type=int, help="length of the codes")
    options.add_argument(
        "--data",
        nargs="+",
        metavar=("NAME", "PATH"),
        help="emoji, icons, or mirflickr or nuswide with the file or folder of their features",
    )
    return options


def recipe_of(options: argparse.Namespace) -> Recipe:
    """Preset, then single changes; ValueError with one clear line."""
    more: dict[str, Any] = {}
    if options.bits is not None:
        more["bits"] = options.bits
    if options.data is not None:
        more |= _data(options.data)
    return case_options.recipe_of(options, PRESETS, made, more)


def _data(words: list[str]) -> Mapping[str, str]:
    if len(words) > 2:
        raise ValueError(f"--data takes a name and a path, got {' '.join(words)!r}")
    name, *path = words
    return {"data": name, "path": "".join(path)}
