"""The codes that a trained run left: read with suspicion, checked, and described.

A run is the folder that `train --out` filled, or the directory that `unstuck case run` recorded,
which has that folder as `output`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unstuck.cases.agch.recipe import PRESETS, Recipe
from unstuck.data.arrays import UNREADABLE, arrays

CODES = ("query_image", "query_text", "database_image", "database_text")
SIDES = ("query", "database")
WAYS = {  # what is asked with, and what is found
    "image to text": ("query_image", "database_text"),
    "text to image": ("query_text", "database_image"),
}
MOST_BYTES = 4_000_000_000  # of all arrays unpacked: some 4 million items of 128 bits
NOT_OF_A_FORM = ("bits", "threads", "path")  # fields in which runs of one form may differ


@dataclass(frozen=True)
class RunCodes:
    """What a run left. Codes (n, bits): `signs` int8 in {-1, 1}, `real` float32 before the sign.

    `labels` (n, classes) bool, `names` and `keys` (n,) belong to the sides "query" and "database".
    """

    folder: Path
    recipe: Recipe
    seed: int
    signs: Mapping[str, NDArray[np.int8]]
    real: Mapping[str, NDArray[np.float32]]
    labels: Mapping[str, NDArray[np.bool_]]
    names: Mapping[str, list[str]]
    keys: Mapping[str, NDArray[np.int64]]

    @property
    def bits(self) -> int:
        return int(self.signs["query_image"].shape[1])

    @property
    def queries(self) -> int:
        return len(self.names["query"])

    @property
    def database(self) -> int:
        return len(self.names["database"])

    @property
    def described(self) -> str:
        """All that a figure on these codes depends on but k."""
        return f"{self.bits} bits, {self.queries} queries, database {self.database}"


def read(run: Path) -> RunCodes:
    """The codes of a run; ValueError in one line where there are none or they do not fit."""
    folder = run / "output" if (run / "output" / "codes.npz").is_file() else run
    try:
        recipe = Recipe.model_validate_json((folder / "recipe.json").read_text(encoding="utf-8"))
        seed = int(json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["seed"])
        kept = arrays(folder / "codes.npz", MOST_BYTES)
        found = RunCodes(
            folder,
            recipe,
            seed,
            signs={name: kept[name] for name in CODES},
            real={name: kept[f"{name}_real"].astype(np.float32) for name in CODES},
            labels={side: kept[f"{side}_labels"].astype(bool) for side in SIDES},
            names={side: [str(name) for name in kept[f"{side}_names"]] for side in SIDES},
            keys={side: kept[f"{side}_keys"].astype(np.int64) for side in SIDES},
        )
        _check(found)
    except UNREADABLE as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"{run} holds no codes left by `train --out`: {reason}") from None
    return found


def _check(run: RunCodes) -> None:
    bits = run.recipe.bits
    for name, code in run.signs.items():
        items = len(run.names[name.partition("_")[0]])
        for kind, array in (("", code), ("_real", run.real[name])):
            if array.shape != (items, bits) or not items or not bits:
                raise ValueError(
                    f"{name}{kind} is of shape {array.shape}, expected {(items, bits)}"
                )
        if not np.isin(code, (-1, 1)).all():
            raise ValueError(f"{name} holds other values than -1 and 1")
        if not np.isfinite(run.real[name]).all():
            raise ValueError(f"{name}_real holds values that are no numbers")
    for side in SIDES:
        labels, keys = run.labels[side], run.keys[side]
        if labels.ndim != 2 or keys.ndim != 1 or {len(labels), len(keys)} != {len(run.names[side])}:
            raise ValueError(f"labels, names and keys of the {side} are not equally many")
    if run.labels["query"].shape[1] != run.labels["database"].shape[1]:
        raise ValueError("queries and database have different classes")


def form(recipe: Recipe) -> str:
    """The preset a recipe is of whatever its bits, or the nearest one and what is changed.

    >>> form(Recipe(bits=16, align=0.0))
    'repaired, align=0'
    """
    changes = {name: _changes(recipe, preset) for name, preset in PRESETS.items()}
    name = min(changes, key=lambda name: len(changes[name]))
    return ", ".join([name, *changes[name]])


def short(recipe: Recipe, most: int = 1) -> str:
    """`form`, with the changes counted where there are more than so many.

    >>> short(Recipe(align=0.0, beta=0.0))
    'repaired, 2 changes'
    """
    name, *changes = form(recipe).split(", ")
    if len(changes) > most:
        changes = [f"{len(changes)} changes"]
    return ", ".join([name, *changes])


def _changes(recipe: Recipe, preset: Recipe) -> list[str]:
    kept = {key: value for key, value in preset.flat().items() if key not in NOT_OF_A_FORM}
    own = recipe.flat()
    return [
        f"{key}={own[key]:g}" if isinstance(own[key], float) else f"{key}={own[key]}"
        for key, value in kept.items()
        if own[key] != value
    ]
