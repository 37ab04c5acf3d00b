"""Pairs of pictures of the same character in two fonts, and which of them are never trained on."""

import os
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unstuck.cases.zi2zi import sample
from unstuck.cases.zi2zi.charsets import characters
from unstuck.cases.zi2zi.recipe import Recipe
from unstuck.cases.zi2zi.typeface import Layout, Typeface, drawn, fitted, middle, moved, typeface

ALIKE = 0.1  # fonts whose fitted sizes differ by less are drawn at one size
SHOWN = 8  # characters that a message names


@dataclass(frozen=True)
class Pairs:
    """Row i of each is of one character: pictures (n, 1, s, s) float32 in [-1, 1], -1 ink."""

    source: Tensor
    target: Tensor
    styles: Tensor  # (n,) int64: which of the target fonts
    characters: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.characters)

    def __getitem__(self, index: Tensor) -> "Pairs":
        """Those at the places (k,) int64, or where (n,) is true."""
        rows = torch.arange(len(self))[index].reshape(-1)
        chars = tuple(self.characters[row] for row in rows.tolist())
        return Pairs(self.source[rows], self.target[rows], self.styles[rows], chars)


@dataclass(frozen=True)
class Split:
    """Pairs that are trained on, and pairs of other characters that are not.

    `faces`: names of the source and the targets; `dropped`: characters that a font lacks -> why.
    """

    train: Pairs
    held_out: Pairs
    faces: tuple[str, ...]
    dropped: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Fonts:
    """The opened fonts, where each draws, and the characters that can be paired.

    `shared` are in all fonts; `pairs` are those of the source and of each target.
    """

    source: Typeface
    targets: tuple[Typeface, ...]
    layouts: tuple[Layout, ...]  # of the source, then of the targets
    shared: str
    pairs: tuple[str, ...]
    dropped: Mapping[str, str]


def load(recipe: Recipe, seed: int) -> Split:
    """Pairs of the recipe's fonts; a seed and the fonts' common characters fix who is held out.

    Held-out characters are drawn by lot first, the same for every style, then those trained on. No
    other knob moves the lot. ValueError in one line where fonts or characters do not suffice.
    """
    if recipe.source == "sample":
        return _of_sample(recipe, seed)
    found = fonts(recipe)
    held_out, train = lots(found.shared, recipe, seed)
    kept = set(held_out)
    trained = [train] * len(found.targets)
    if len(found.targets) > 1 and not recipe.train_characters:  # some lack what others have
        trained = [
            train + [c for c in chars if c not in kept and c not in set(train)]
            for chars in found.pairs
        ]
    return Split(
        _pairs(found, trained),
        _pairs(found, [held_out] * len(found.targets)),
        (found.source.name, *(face.name for face in found.targets)),
        found.dropped,
    )


def lots(chars: str, recipe: Recipe, seed: int) -> tuple[list[str], list[str]]:
    """Held-out and training characters; ValueError where there are too few.

    >>> lots("abcd", Recipe(held_out=1), 0), lots("abcd", Recipe(held_out=1, ngf=8), 0)
    ((['d'], ['b', 'a', 'c']), (['d'], ['b', 'a', 'c']))
    """
    if len(chars) < recipe.held_out + 1:
        raise ValueError(
            f"{len(chars)} characters can be paired: with held_out={recipe.held_out} at least "
            f"{recipe.held_out + 1} are needed; a larger charset, or fewer held out"
        )
    order = random.Random(seed).sample(chars, len(chars))
    most = recipe.train_characters or len(chars)
    return order[: recipe.held_out], order[recipe.held_out :][:most]


def fonts(recipe: Recipe) -> Fonts:
    """Opens the recipe's fonts and finds the characters of its charset that they share."""
    chars = characters(recipe.charset)
    source = typeface(recipe.source)
    targets = tuple(typeface(name) for name in recipe.target.split(os.pathsep))
    dropped: dict[str, str] = {}
    lacking = [_lacking(face, chars, recipe.charset, dropped) for face in (source, *targets)]
    shared = "".join(c for c in chars if not any(c in one for one in lacking))
    pairs = tuple("".join(c for c in chars if c not in lacking[0] | one) for one in lacking[1:])
    if not shared:
        raise ValueError(f"no character of {recipe.charset} is in all of the {len(lacking)} fonts")
    return Fonts(
        source, targets, layouts(recipe, (source, *targets), shared), shared, pairs, dropped
    )


def _lacking(face: Typeface, chars: str, charset: str, dropped: dict[str, str]) -> set[str]:
    """Characters a face does not draw, told in `dropped`; ValueError where it draws none."""
    absent, blank = face.missing(chars)
    if len(absent) + len(blank) == len(chars):
        raise ValueError(
            f"{face.path} ({face.name}) has 0 of the {len(chars):,} characters of {charset}: "
            f"it lacks {''.join(chars[:SHOWN])}{'...' if len(chars) > SHOWN else ''}"
        )
    for char in (*absent, *blank):
        why = f"{'absent from' if char in absent else 'blank in'} {face.name}"
        dropped[char] = f"{dropped[char]}, {why}" if char in dropped else why
    return {*absent, *blank}


def layouts(recipe: Recipe, faces: Sequence[Typeface], chars: str) -> tuple[Layout, ...]:
    """Where each face draws: at the size given, or fitted, its ink in the middle on average.

    Faces that would fit at about the same size are drawn at the smallest of these: strokes of two
    fonts lie on each other only where their ems do.
    """
    sizes = [recipe.char_size or fitted(face, chars, recipe.size) for face in faces]
    least = min(sizes)
    sizes = [least if size < (1 + ALIKE) * least else size for size in sizes]
    shifts = [(recipe.source_x, recipe.source_y)]
    shifts += [(recipe.target_x, recipe.target_y)] * (len(faces) - 1)
    found = [
        Layout(recipe.size, size, *by, middle(face, chars, size))
        for face, size, by in zip(faces, sizes, shifts, strict=True)
    ]
    return (found[0], *(beside(found[0], one) for one in found[1:]))


def beside(first: Layout, second: Layout) -> Layout:
    """The second with its middle where whole pixels have put that of the first."""
    if first.middle is None or second.middle is None:
        return second
    half = first.size / 2
    x, y = (
        by - round(half - one) + half - one
        for by, one in zip(second.middle, first.middle, strict=True)
    )
    return replace(second, middle=(x, y))


def _pairs(found: Fonts, chars: Sequence[Sequence[str]]) -> Pairs:
    """Pairs of each target with its characters, one target after the other."""
    needed = list(dict.fromkeys(char for one in chars for char in one))
    place = {char: i for i, char in enumerate(needed)}
    sources = drawn(found.source, needed, found.layouts[0])
    targets = [
        drawn(face, one, layout)
        for face, one, layout in zip(found.targets, chars, found.layouts[1:], strict=True)
    ]
    rows = [place[char] for one in chars for char in one]
    styles = [style for style, one in enumerate(chars) for _ in one]
    return Pairs(
        pictures(sources)[rows] if len(chars) > 1 else pictures(sources),
        pictures(np.concatenate(targets)),
        torch.tensor(styles),
        tuple(char for one in chars for char in one),
    )


def pictures(grey: NDArray[np.uint8]) -> Tensor:
    """Bytes (n, s, s), 0 ink, as pictures (n, 1, s, s) in [-1, 1]."""
    return torch.tensor(grey)[:, None].float().div_(127.5).sub_(1)


def _of_sample(recipe: Recipe, seed: int) -> Split:
    """The embedded sample: drawn once, so that the size of its characters is what it is."""
    if recipe.char_size:
        raise ValueError("the embedded sample has one size: char_size needs two fonts")
    chars, source, target = sample.read()
    held_out, train = lots(chars, recipe, seed)
    source = moved(source, recipe.source_x, recipe.source_y)
    target = moved(target, recipe.target_x, recipe.target_y)

    def pairs(some: Sequence[str]) -> Pairs:
        rows = [chars.index(char) for char in some]
        styles = torch.zeros(len(some), dtype=torch.long)
        return Pairs(pictures(source[rows]), pictures(target[rows]), styles, tuple(some))

    return Split(pairs(train), pairs(held_out), sample.FACES)
