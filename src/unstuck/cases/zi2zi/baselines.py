"""What a game must beat, besides the source itself: another font, and a network without a game.

- nearest font: of fonts that are there, the one whose drawings of the training characters are
  nearest to the target's. What a designer would take who has no time.
- L1 alone: the recipe's own generator with the same data and updates, and no other term.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from random import Random

import torch
from torch import Tensor

from unstuck.cases.zi2zi import checkpoint
from unstuck.cases.zi2zi.glyphs import Pairs, load, pictures
from unstuck.cases.zi2zi.held_out import HeldOut, read
from unstuck.cases.zi2zi.metrics import l1
from unstuck.cases.zi2zi.packages import NAMES
from unstuck.cases.zi2zi.recipe import Recipe
from unstuck.cases.zi2zi.typeface import Layout, Typeface, drawn, fitted, middle, typeface
from unstuck.data.package import cache

NEAREST, L1_ALONE = "nearest font", "L1 alone"
SIZES = (0.8, 1.1)  # of the size fitted to the canvas: fonts fill more or less of their em
SAME = 0.03  # L1 below which a font is the target itself, perhaps of another version
COMPARED = 200  # training characters that fonts are compared on
NO_GAME = {  # every term but L1, and the discriminator
    "const": 0.0,
    "category": 0.0,
    "lambda_adv": 0.0,
    "balance": "fixed",
    "feature_matching": 0.0,
    "perceptual": 0.0,
    "r1": 0.0,
    "r2": 0.0,
    "shuffled_labels": False,
    "frozen_discriminator": True,
}


@dataclass(frozen=True)
class Nearest:
    """The font chosen for each style, its L1 on training characters, and those left out."""

    pictures: Tensor  # (n, 1, s, s) of the held-out characters
    chosen: dict[int, tuple[str, float]]
    left_out: dict[str, str]  # font -> why


def available() -> list[str]:
    """Fonts by name whose packages are in the cache: nothing is fetched for a comparison."""
    wanted = {name: font.package for name, font in NAMES.items()}
    folders = {name: cache() / f"{p.name}-{p.version}" for name, p in wanted.items()}
    return [name for name, folder in folders.items() if folder.is_dir()]


def nearest(run: HeldOut, candidates: Iterable[str] | None = None, seed: int = 0) -> Nearest:
    """The best of the candidates for every style, drawn for the held-out characters.

    Each is drawn at the size at which it is nearest. Without candidates those of `available` are
    taken that are not of the target's own family, such as another weight of it. ValueError where
    there is none; a font with the target's own drawings is no candidate.
    """
    split = load(run.recipe, run.seed)
    names = available() if candidates is None else list(candidates)
    found = Nearest(torch.ones_like(run.target), {}, {})
    for style in sorted({int(style) for style in run.styles}):
        rows = (run.styles == style).nonzero()[:, 0]
        characters = [run.characters[row] for row in rows]
        compared, family = _sample(split.train, style, seed), _family(split.faces[1 + style])
        best: tuple[float, str, Tensor] | None = None
        for name in names:
            face = typeface(name)
            if candidates is None and face.name.startswith(family):
                found.left_out[name] = "is of the target's family (--font takes it all the same)"
                continue
            tried = _tried(face, compared, characters)
            if isinstance(tried, str):
                found.left_out[name] = tried
            elif best is None or tried[0] < best[0]:
                best = tried[0], name, tried[1]
        if best is None:
            raise ValueError(_none(found.left_out))
        found.pictures[rows] = best[2]
        found.chosen[style] = best[1], best[0]
    return found


def _family(name: str) -> str:
    """
    >>> _family("LXGW WenKai Regular")
    'LXGW WenKai'
    """
    return name.rpartition(" ")[0] or name


def _sample(train: Pairs, style: int, seed: int) -> Pairs:
    """Training pairs of a style, a seeded choice of at most COMPARED."""
    rows = [row for row, one in enumerate(train.styles.tolist()) if one == style]
    return train[torch.tensor(sorted(Random(seed).sample(rows, min(COMPARED, len(rows)))))]


def _tried(face: Typeface, compared: Pairs, characters: list[str]) -> tuple[float, Tensor] | str:
    """L1 on training characters and the held-out ones drawn, or why it is no candidate."""
    known = list(compared.characters)
    lacking = sum(map(len, face.missing([*known, *characters])))
    if lacking:
        return f"lacks {lacking} of {len(known) + len(characters)} characters"
    size = compared.target.shape[-1]
    fit = fitted(face, known, size)
    least, most = (round(share * fit) for share in SIZES)
    sizes = range(least, most + 1, max(1, size // 64))
    layouts = [Layout(size, em, middle=middle(face, known, em)) for em in sizes]
    apart = [float(l1(drawn_by(face, known, at), compared.target).mean()) for at in layouts]
    far = min(apart)
    if far < SAME:
        return f"is the target itself (L1 {far:.3f})"
    return far, drawn_by(face, characters, layouts[apart.index(far)])


def drawn_by(face: Typeface, characters: list[str], layout: Layout) -> Tensor:
    """Characters of a font (n, 1, s, s) in [-1, 1]."""
    return pictures(drawn(face, characters, layout))


def _none(left_out: dict[str, str]) -> str:
    if not left_out:
        return "no font is there to be compared with: give some with --font FILE"
    reasons = "; ".join(f"{Path(name).name} {why}" for name, why in left_out.items())
    return f"none of the fonts can be compared with: {reasons}"


def l1_alone(recipe: Recipe) -> Recipe:
    """The recipe with no term but L1: same generator, data, order and number of updates."""
    return recipe.model_copy(update=NO_GAME)


def l1_trained(run: HeldOut, say: bool = False) -> HeldOut:
    """The run of `l1_alone` with the run's seed, in its folder; trained where it is not there."""
    from unstuck.cases.zi2zi.train import train

    folder, recipe = run.folder / "l1-alone", l1_alone(run.recipe)
    if not (folder / checkpoint.METRICS).is_file():
        train(recipe, run.seed, folder, say=say, resume=True)
    found = read(folder)
    if found.recipe != recipe or found.seed != run.seed:
        raise ValueError(f"{folder} is of another recipe or seed: delete it to train it anew")
    return found
