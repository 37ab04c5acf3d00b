"""What a run drew of the characters that it never learnt: read with suspicion, and described.

A run is the folder that `train --out` filled, or the directory that `unstuck case run` recorded,
which has that folder as `output`.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unstuck.cases.zi2zi import checkpoint
from unstuck.cases.zi2zi.glyphs import pictures
from unstuck.cases.zi2zi.recipe import PRESETS, Recipe
from unstuck.data.arrays import UNREADABLE, arrays

FILE = "held_out.npz"
PICTURES = ("input", "prediction", "target")
MOST_BYTES = 2_000_000_000  # of all arrays unpacked: 4,000 characters of 384 px
NOT_OF_A_FORM = (
    "source", "target", "charset", "size", "char_size", "held_out", "device", "threads", "compile",
    "channels_last",
)  # fmt: skip
"""Fields in which runs of one form may differ: what is drawn, told beside it, and on what."""


@dataclass(frozen=True)
class HeldOut:
    """Pictures (n, 1, s, s) in [-1, 1], row i of each of one character in one style."""

    folder: Path
    recipe: Recipe
    seed: int
    d_accuracy: float | None  # of pairs, mean over the second half of training
    source: Tensor
    drawn: Tensor
    target: Tensor
    characters: tuple[str, ...]
    styles: Tensor

    def __len__(self) -> int:
        return len(self.characters)

    @property
    def size(self) -> int:
        return int(self.target.shape[-1])

    @property
    def fonts(self) -> str:
        """Source and targets: "A.ttf -> B.ttf", or "sample"."""
        return fonts(self.recipe)


def fonts(recipe: Recipe) -> str:
    """
    >>> fonts(Recipe())
    'sample'
    """
    if recipe.source == "sample":
        return recipe.source
    targets = [Path(name).name for name in recipe.target.split(os.pathsep)]
    return f"{Path(recipe.source).name} -> {', '.join(targets)}"


def read(run: Path) -> HeldOut:
    """What a finished run left; ValueError in one line where it is missing or does not fit."""
    folder = run / "output" if (run / "output" / FILE).is_file() else run
    recipe, seed = checkpoint.recipe_of(folder)
    try:
        metrics = json.loads((folder / checkpoint.METRICS).read_text(encoding="utf-8"))
        found = arrays(folder / FILE, MOST_BYTES)
        source, drawn, target = (_pictures(found, name, recipe.size) for name in PICTURES)
        characters = tuple(str(char) for char in found["characters"])
        styles = torch.from_numpy(found["styles"].astype(np.int64))
        counts = {len(source), len(drawn), len(target), len(characters), len(styles)}
        if len(counts) > 1 or not characters or styles.dim() != 1:
            raise ValueError("pictures, characters and styles are not equally many")
    except UNREADABLE as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"{run} holds no pictures left by `train --out`: {reason[:160]}") from None
    accuracy = metrics.get("d_accuracy")
    accuracy = float(accuracy) if isinstance(accuracy, int | float) else None
    return HeldOut(folder, recipe, seed, accuracy, source, drawn, target, characters, styles)


def _pictures(found: dict[str, NDArray[Any]], name: str, size: int) -> Tensor:
    array = found[name]
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[1:] != (size, size):
        raise ValueError(f"{name} is {array.dtype} of shape {array.shape}, not uint8 of {size} px")
    return pictures(array)


def form(recipe: Recipe) -> str:
    """The preset a recipe is of whatever it draws, or the nearest one and what is changed.

    >>> form(Recipe(ngf=48, size=64))
    'repaired, ngf=48'
    """
    changes = {name: _changes(recipe, preset) for name, preset in PRESETS.items()}
    name = min(changes, key=lambda name: len(changes[name]))
    return ", ".join([name, *changes[name]])


def _changes(recipe: Recipe, preset: Recipe) -> list[str]:
    own = recipe.flat()
    return [
        f"{key}={own[key]:g}" if isinstance(own[key], float) else f"{key}={own[key]}"
        for key, value in preset.flat().items()
        if key not in NOT_OF_A_FORM and own[key] != value
    ]
