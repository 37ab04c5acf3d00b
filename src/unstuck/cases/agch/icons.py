"""Icons for hashing: four sets, some 18,000 pictures with words and one to four groups each.

The first call fetches 8 MB of packages, draws and embeds every icon (about four minutes on one
core, with progress) and keeps the features in the cache.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from unstuck.cases.agch.families import IGNORED
from unstuck.cases.agch.features import BATCH, cached
from unstuck.cases.agch.recipe import Recipe
from unstuck.cases.agch.whole import Whole, bag
from unstuck.cases.agch.words import words_of
from unstuck.data.icons import Icon, drawn, icons

# what sets put on, into or beside an icon to make the next one
STYLES = "outline outlined filled fill line duotone variant alt solid bold rounded multiple simple"
ADDED = """off on plus minus check checked remove add delete cancel edit pencil alert lock x cross
    slash share search star heart cog settings sync refresh question exclamation info clock pause
    play stop"""
AROUND = "box boxes circle circled square dots"
VARIED = IGNORED.union(STYLES.split(), ADDED.split(), AROUND.split())


def whole(recipe: Recipe) -> Whole:
    """Every icon; labels are the groups of all sets, or as "subgroup" each set's own categories."""
    items = icons()
    texts, vocabulary = bag([words_of(f"{icon.name} {icon.words}") for icon in items])
    kinds = [icon.groups if recipe.labels == "group" else icon.categories for icon in items]
    labels, classes = bag([list(kind) for kind in kinds])
    return Whole(
        cached("icons", len(items), _drawn),
        texts,
        vocabulary,
        labels.toarray() > 0,
        classes,
        tuple(icon.name for icon in items),
        np.array(families(items)),
    )


def families(items: tuple[Icon, ...]) -> list[int]:
    """A number for each icon: one thing drawn by several sets, filled, struck out, with a plus."""
    numbers: dict[str, int] = {}
    return [numbers.setdefault(family(icon.name), len(numbers)) for icon in items]


def family(name: str) -> str:
    """What is left of a name without what only varies it; the first word if nothing is.

    >>> family("account plus"), family("account box"), family("arrow left"), family("plus circle")
    ('account', 'account', 'arrow', 'plus')
    """
    words = words_of(name)
    left = sorted({word for word in words if word not in VARIED})
    return " ".join(left or words[:1])


def pictures(recipe: Recipe, keys: NDArray[np.int64]) -> NDArray[np.uint8]:
    """(k, 64, 64, 3) of the icons whose keys these are, drawn anew."""
    items = icons()
    return np.stack([drawn(items[key]) for key in keys.tolist()])


def _drawn() -> Iterator[NDArray[np.uint8]]:
    items = icons()
    for first in range(0, len(items), BATCH):
        yield np.stack([drawn(icon) for icon in items[first : first + BATCH]])
