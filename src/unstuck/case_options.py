"""What the programs of a case share: recipes from presets and words, and what a study's runs say.

A recipe is a pydantic model; where it is made for trials it also has `.flat()`, every field as a
number or text.
"""

import argparse
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from unstuck.records import Trial

DEFAULT = "repaired"  # the preset that is taken where none is named

R = TypeVar("R", bound=BaseModel)


def parser(module: str, about: str, presets: Iterable[str]) -> argparse.ArgumentParser:
    """The options of `python -m module`: preset, changes, seed and where to."""
    options = argparse.ArgumentParser(f"python -m {module}", description=about)
    options.add_argument("--preset", help=f"{', '.join(presets)} (default: {DEFAULT})")
    options.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="changes")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--out", type=Path, help="folder for metrics, weights and pictures")
    return options


def recipe_of(
    options: argparse.Namespace,
    presets: Mapping[str, R],
    made: Callable[[Mapping[str, Any]], R],
    more: Mapping[str, Any] | None = None,
) -> R:
    """The preset, changed by `--set` and then by `more`; ValueError with one clear line.

    `made` turns values into a recipe, as `made` below does for a given model.
    """
    start = preset_of(options, presets)
    return made(start.model_dump() | changes_of(options.changes) | dict(more or {}))


def preset_of(options: argparse.Namespace, presets: Mapping[str, R]) -> R:
    """The preset that was asked for, or the usual one; ValueError where there is none."""
    name = options.preset or DEFAULT
    if name not in presets:
        raise ValueError(f"no preset {name!r}; there are: {', '.join(presets)}")
    return presets[name]


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


def made(kind: type[R], values: Mapping[str, Any]) -> R:
    """A recipe from flat values; ValueError with one clear line where they are no recipe."""
    try:
        return kind(**values)
    except ValidationError as error:
        raise ValueError(_said(kind, error)) from None


def _said(kind: type[BaseModel], error: ValidationError) -> str:
    problem = error.errors()[0]
    key = ".".join(str(part) for part in problem["loc"]) or "recipe"
    if problem["type"] == "extra_forbidden":
        return f"unknown key {key!r}; known keys: {', '.join(kind.model_fields)}"
    return f"{key}: {problem['msg'].removeprefix('Value error, ')}"


def named_first(trial: Trial, arm: str) -> str:
    """The first code of each run's diagnosis with its count: "COL004 5 of 5"."""
    codes = [o.codes for o in trial.outcomes if o.arm == arm and o.codes is not None]
    first = [c[0] if c else "none" for c in codes]
    return ", ".join(f"{c} {first.count(c)} of {len(first)}" for c in dict.fromkeys(first))
