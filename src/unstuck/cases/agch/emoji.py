"""Emoji for hashing: 1,696 of them in two styles, with words and groups, embedded in the package.

All 1,636 emoji of eight groups, and 60 flags of 270: nearly all flags are of a country, and they
would be the third largest group. `scripts/make_agch_sample.py` makes the files. Features of either
style are whole numbers 0..127, of each column's largest value: they are off by at most 1/254 of it.
Pictures are 32 px wide.
"""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from unstuck.cases.agch.families import families
from unstuck.cases.agch.recipe import Recipe
from unstuck.cases.agch.whole import Whole, bag, one_hot
from unstuck.cases.agch.words import words_of

FOLDER = Path(__file__).parent / "sample"
STYLES = ("google", "twitter")
LEVELS = 127  # steps of a feature between 0 and its column's largest value
SIDE = 32  # px of a picture
ACROSS = 42  # pictures in a row of a sheet


def whole(recipe: Recipe) -> Whole:
    """Every emoji in the recipe's style; for "both" all of one style, then all of the other."""
    sample = _sample()
    styles = STYLES if recipe.style == "both" else (recipe.style,)
    times = len(styles)
    names = sample["name"].tolist()
    texts, vocabulary = bag([words_of(text) for text in sample["text"].tolist()] * times)
    labels, classes = one_hot(sample[recipe.labels].tolist() * times)
    return Whole(
        torch.from_numpy(np.concatenate([_features(style) for style in styles])),
        texts,
        vocabulary,
        labels,
        classes,
        tuple(names * times),
        np.array(families(names) * times),
    )


def pictures(recipe: Recipe, keys: NDArray[np.int64]) -> NDArray[np.uint8]:
    """(k, 32, 32, 3) of the emoji whose keys these are."""
    style, item = np.divmod(keys, len(_sample()["name"]))
    if recipe.style != "both":
        style = np.full_like(keys, STYLES.index(recipe.style))
    row, column = np.divmod(item, ACROSS)
    sheets = np.stack([_sheet(name) for name in STYLES])
    found: NDArray[np.uint8] = sheets[style, row, :, column]
    return found


@cache
def _sample() -> dict[str, NDArray[Any]]:
    with np.load(FOLDER / "emoji.npz", allow_pickle=False) as kept:
        return dict(kept)


@cache
def _features(style: str) -> NDArray[np.float32]:
    sample = _sample()
    levels = sample[f"{style}_levels"].T.astype(np.float32)
    return np.ascontiguousarray(levels / LEVELS * sample[f"{style}_largest"])


@cache
def _sheet(style: str) -> NDArray[np.uint8]:
    """(rows, 32, ACROSS, 32, 3)."""
    with Image.open(FOLDER / f"{style}.webp") as sheet:
        return np.asarray(sheet.convert("RGB")).reshape(-1, SIDE, ACROSS, SIDE, 3)
