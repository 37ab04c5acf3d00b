"""Which options a checkpoint was made with, from the shapes of its weights alone.

    unstuck case zi2zi recover-recipe runs/a/generator.pt
    unstuck case zi2zi recover-recipe runs/a/checkpoint.pt --recipe runs/b/recipe.json

Widths, skips, attention, spectral norm and, where the discriminator is there, the size. No tensor
depends on dropout, norm, losses or rates. Without a discriminator 64 to 384 px are told apart by
the number of levels, where 128 and 384 px have the same.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from torch import nn

import unstuck
from unstuck.cases.zi2zi import checkpoint
from unstuck.cases.zi2zi.model import Discriminator, Generator
from unstuck.cases.zi2zi.recipe import PRESETS, Recipe, made

WIDTHS = (16, 64, 4, 8, 12, 24, 32, 48, 6, 20, 40, 56, 80, 96)
SECONDS = 60.0
SHOWN = 4  # tensors named that do not fit


def generator(**options: Any) -> nn.Module:
    return Generator(_recipe(options))


def discriminator(**options: Any) -> nn.Module:
    return Discriminator(_recipe(options))


def _recipe(options: dict[str, Any]) -> Recipe:
    return Recipe(**{"source": "a.ttf", "target": "b.ttf"} | options)


GENERATORS = unstuck.Family(
    "the generator",
    generator,
    {
        "ngf": WIDTHS,
        "size": (64, 128, 256, 384),
        "skips": ("concatenated", "added", "none"),
        "attention": ("none", "innermost", "shallow"),
        "spectral_g": (False, True),
    },
)
DISCRIMINATORS = unstuck.Family(
    "the discriminator",
    discriminator,
    {"ndf": WIDTHS, "size": (64, 128, 256, 384), "spectral_d": (False, True)},
)


def recovered(file: Path) -> dict[str, unstuck.Recovery]:
    """What the generator and the discriminator in a file tell; ValueError if it has neither.

    A file of a discriminator alone, or of a generator alone, tells of that one.
    """
    found = {
        family.name: unstuck.recovered_from_file(file, family, seconds=SECONDS)
        for family in (GENERATORS, DISCRIMINATORS)
    }
    exact = {name: one for name, one in found.items() if one.exact}
    return exact or {GENERATORS.name: found[GENERATORS.name]}


def sentences(found: unstuck.Recovery, name: str) -> list[str]:
    """What the weights of a network say of its options."""
    values = {option: " or ".join(map(str, some)) for option, some in found.values.items()}
    options = ", ".join(f"{option}={value}" for option, value in values.items())
    if found.exact:
        said = [f"The weights are those of {name} with {options}."]
    else:
        first = "; ".join(found.differences[:SHOWN])
        said = [f"No form of {name} gives these weights; the nearest has {options}: {first}."]
    if found.part:
        said.append(f"They were found in {found.part}.")
    return said


def differences(found: dict[str, unstuck.Recovery], recipe: Recipe) -> list[str]:
    """The options of a recipe that the weights speak against."""
    said = []
    for one in found.values():
        for option, values in one.values.items():
            asked = getattr(recipe, option)
            if asked not in values and option not in one.undecided:
                known = " or ".join(str(value) for value in values)
                said.append(f"{option} is {known} in the weights, {asked} in the recipe")
    return list(dict.fromkeys(said))


def asked_for(name: str) -> Recipe:
    """A preset, or a recipe.json; ValueError in one line."""
    if name in PRESETS:
        return PRESETS[name]
    try:
        values = json.loads(Path(name).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{name} is no preset and no recipe: {str(error)[:120]}") from None
    if not isinstance(values, dict):
        raise ValueError(f"{name} holds no keys and values")
    return made(values)


def main(arguments: list[str] | None = None) -> int:
    about = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser("unstuck case zi2zi recover-recipe", description=about)
    parser.add_argument(
        "checkpoint", type=Path, help=f"{checkpoint.GENERATOR} or {checkpoint.STATE}"
    )
    parser.add_argument("--recipe", help="a preset or a recipe.json: what is it that differs?")
    options = parser.parse_args(arguments)
    try:
        found = recovered(options.checkpoint)
        for name, one in found.items():
            print("\n".join(sentences(one, name)))
        if options.recipe:
            said = differences(found, asked_for(options.recipe))
            print("\n".join(said) or f"Nothing in the weights speaks against {options.recipe}.")
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    print("No tensor depends on dropout, norm, losses or learning rates: these cannot be known.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
