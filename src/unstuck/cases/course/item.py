"""The shape of an item: a module with a recipe, faults and a `train`; and the command that runs it.

    Recipe               subclass of `item.Recipe`: every knob, with its reason
    METRIC               name of the metric that counts; HIGHER_IS_BETTER, UNIT, MARGIN beside it
    FAULTS               name -> Fault
    TINY                 recipe changes for a run of about a second on embedded data (tests)
    train(recipe, seed, out=None) -> metrics

`train` returns METRIC, "baseline" (the trivial answer's METRIC on the same data) and whatever else
is worth knowing; METRIC must beat the baseline by MARGIN. With `out` it writes pictures there.
"""

import argparse
import json
import math
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType
from typing import Any, TypeVar

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, ValidationError

from unstuck.cases import course
from unstuck.data.package import PackageError

Scalar = float | int | str | bool
NOT_ITEMS = ("item", "loop", "pictures")


class Recipe(BaseModel):
    """What every item can be asked for; frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    sample: bool = False
    """train on the embedded sample instead of the package's full data set"""


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to make an item sick.

    `seen` says what must be seen; `codes` are the pathologies a right diagnosis names first (empty:
    nothing catalogued shows it). METRIC gets worse, or where `symptom` is given, that metric of
    `train` rises (with `falls`, falls) against the healthy run of the same seed.
    """

    changes: Mapping[str, Scalar]
    seen: str
    codes: tuple[str, ...] = ()
    symptom: str = ""
    falls: bool = False


R = TypeVar("R", bound=Recipe)


def names() -> list[str]:
    """Every item, in alphabetical order."""
    found = (m.name for m in iter_modules(course.__path__) if not m.ispkg)
    return sorted(n for n in found if n not in NOT_ITEMS and not n.startswith("_"))


def load(name: str) -> ModuleType:
    """The module of an item; ValueError where there is none of that name."""
    if name not in names():
        raise ValueError(f"the course has no item {name!r}; there are: {', '.join(names())}")
    return import_module(f"{course.__name__}.{name}")


def made(kind: type[R], values: R | Mapping[str, Any]) -> R:
    """A recipe from flat values; ValueError with one clear line where they are no recipe."""
    if isinstance(values, kind):
        return values
    try:
        return kind(**dict(values))
    except ValidationError as error:
        problem = error.errors()[0]
        key = ".".join(str(part) for part in problem["loc"]) or "recipe"
        if problem["type"] == "extra_forbidden":
            raise ValueError(
                f"unknown key {key!r}; known keys: {', '.join(kind.model_fields)}"
            ) from None
        raise ValueError(f"{key}: {problem['msg'].removeprefix('Value error, ')}") from None


def changed(module: ModuleType, fault: str | None) -> Mapping[str, Scalar]:
    """What a fault changes; ValueError where the item has no such fault."""
    if fault is None:
        return {}
    if fault not in module.FAULTS:
        raise ValueError(f"no fault {fault!r}; there are: {', '.join(module.FAULTS)}")
    changes: Mapping[str, Scalar] = module.FAULTS[fault].changes
    return changes


def run(module: ModuleType, recipe: Recipe, seed: int, out: Path | None = None) -> dict[str, float]:
    """Train once, on one core and from `seed` alone; with `out`, keep recipe, metrics, pictures.

    The metrics get `seconds`: processor seconds of the whole call, data and evaluation included.
    """
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        (out / "recipe.json").write_text(recipe.model_dump_json(indent=1) + "\n")
    began = time.process_time()
    metrics: dict[str, float] = module.train(recipe, seed, out)
    metrics["seconds"] = time.process_time() - began
    if out is not None:
        (out / "metrics.json").write_text(json.dumps(metrics, indent=1) + "\n")
    return metrics


def main(arguments: list[str] | None = None) -> int:
    """Train the item that the words name; the exit status."""
    words = sys.argv[1:] if arguments is None else arguments
    try:
        if not words or words[0].startswith("-"):
            raise ValueError(f"give an item: {', '.join(names())}")
        module = load(words[0])
        options = _parser(module).parse_args(words[1:])
        asked = {k: v for k, v in vars(options).items() if k in module.Recipe.model_fields}
        given = {key: value for key, value in asked.items() if value is not None}
        recipe = made(module.Recipe, {**changed(module, options.fault), **given})
        found = []
        for seed in range(options.seed, options.seed + options.seeds):
            found.append(run(module, recipe, seed, options.out if seed == options.seed else None))
            print("  ".join(f"{name} {value:.4g}" for name, value in found[-1].items()))
    except PackageError as error:
        print(f"{error}; add `--sample` to train on the embedded sample", file=sys.stderr)
        return 2
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    if options.seeds > 1:
        said = [
            f"{name} {spread([m[name] for m in found])}" for name in (module.METRIC, "baseline")
        ]
        print(f"over {options.seeds} seeds: {'  '.join(said)}")
    return 0


def spread(values: Sequence[float]) -> str:
    """Mean and standard deviation, with the digits that the deviation leaves.

    >>> spread([0.85, 0.86, 0.87])
    '0.860 +- 0.010'
    >>> spread([200.0, 200.0])
    '200 +- 0'
    """
    mean = float(np.mean(values))
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    if not math.isfinite(mean) or deviation <= 1e-12 * abs(mean):
        return f"{mean:.4g} +- 0"
    digits = min(6, max(0, 1 - math.floor(math.log10(deviation))))
    return f"{mean:.{digits}f} +- {deviation:.{digits}f}"


def _parser(module: ModuleType) -> argparse.ArgumentParser:
    title = (module.__doc__ or "").strip().splitlines()[0]
    options = argparse.ArgumentParser(
        f"unstuck case run course/{module.__name__.rpartition('.')[2]}", description=title
    )
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--seeds", type=int, default=1, help="train with so many, one by one")
    options.add_argument("--fault", help=", ".join(module.FAULTS))
    options.add_argument("--out", type=Path, help="folder for recipe, metrics and pictures")
    for name, field in module.Recipe.model_fields.items():
        about = f"{field.description or ''} (default: {field.default})".replace("%", "%%").strip()
        flags = {f"--{name}", f"--{name.replace('_', '-')}"}
        if field.annotation is bool:
            options.add_argument(*sorted(flags), dest=name, help=about, nargs="?", const=True)
        else:
            options.add_argument(*sorted(flags), dest=name, help=about, metavar="VALUE")
    return options
