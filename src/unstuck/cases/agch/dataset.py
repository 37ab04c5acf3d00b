"""Pairs of an image and a text, parted into queries, database and training items without leakage.

Items that are one thing drawn twice (`families.py`; both styles of an emoji) lie on one side. The
vocabulary is taken from training items alone. Queries and database are in random order, so that
ties of a ranking that keeps the database's order say nothing about classes.
"""

import sys
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unstuck.cases.agch import emoji, icons, published
from unstuck.cases.agch.recipe import Recipe
from unstuck.cases.agch.whole import Whole
from unstuck.cases.agch.words import text_vector as text_vector
from unstuck.cases.agch.words import words_of as words_of
from unstuck.data.package import PackageError

PUBLISHED = ("mirflickr", "nuswide")
PUBLISHED_QUERIES, PUBLISHED_TRAIN = 2000, 5000  # the split of the published tables
ROUNDS = 20  # until no query lacks words; two or three are the rule

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Pairs:
    """Row i of everything is one item; two items are relevant to each other if they share a label.

    Images are as the network gave them; a text has 1 where the item has the word.
    """

    images: Tensor  # (n, d_image) float32
    texts: Tensor  # (n, words) float32
    labels: Tensor  # (n, classes) bool
    names: tuple[str, ...]
    keys: Tensor  # (n,) int64, row in the whole set

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: Tensor) -> "Pairs":
        rows = torch.arange(len(self))[index].reshape(-1)
        names = tuple(self.names[i] for i in rows.tolist())
        parts = self.images[rows], self.texts[rows], self.labels[rows]
        return Pairs(*parts, names, self.keys[rows])


@dataclass(frozen=True)
class Split:
    """`train` is part of `database`; no query is in it, nor a twin of one."""

    train: Pairs
    query: Pairs
    database: Pairs
    vocabulary: tuple[str, ...]
    classes: tuple[str, ...]


def whole(recipe: Recipe) -> Whole:
    """All items before the split; ValueError where the data cannot be had or read."""
    if recipe.data == "emoji":
        return emoji.whole(recipe)
    if recipe.data in PUBLISHED:
        return published.whole(recipe.path)
    try:
        return icons.whole(recipe)
    except PackageError as error:
        raise ValueError(f"{error}; data=emoji is embedded and needs no package") from None


def pictures(recipe: Recipe, keys: Tensor) -> NDArray[np.uint8] | None:
    """(k, s, s, 3) RGB of the items with these keys; None where the set has features only."""
    if recipe.data in PUBLISHED:
        return None
    if recipe.data == "emoji":
        return emoji.pictures(recipe, keys.numpy())
    return icons.pictures(recipe, keys.numpy())


def load(recipe: Recipe, seed: int) -> Split:
    """The split of a seed. ValueError where there are too few items for it.

    Published sets have their own sizes where the recipe has the usual ones: 2,000 queries, 5,000
    training items. Items without any word of the vocabulary stay in the database, but are neither
    asked nor trained on; for published sets, a line on stderr says how many there are.
    """
    items = whole(recipe)
    asked, train, kept, columns = _sides(items, recipe, seed)
    if recipe.data in PUBLISHED and (without := int((items.texts.getnnz(1) == 0).sum())):
        said = "they are neither asked nor trained on and stay in the database"
        print(f"{without:,} of {len(items):,} items have no word: {said}", file=sys.stderr)
    database = _pairs(items, kept, columns)
    place = np.full(len(items), -1)
    place[kept] = np.arange(len(kept))
    return Split(
        database[torch.from_numpy(place[train])],
        _pairs(items, asked, columns),
        database,
        tuple(items.vocabulary[i] for i in columns),
        items.classes,
    )


def _sides(items: Whole, recipe: Recipe, seed: int) -> tuple[Rows, Rows, Rows, Rows]:
    """Rows of queries, training items and database, and columns of the vocabulary.

    The vocabulary follows from the training items, so a query may turn out to have no word of it:
    its family then goes to the database and another one is asked.
    """
    queries, train_items = _sizes(recipe)
    stays = np.zeros(0, np.int64)
    for _ in range(ROUNDS):
        asked, kept = _parted(items.families, queries, stays, np.random.default_rng(seed))
        train = kept[items.texts[kept].getnnz(1) > 0]
        train = train[:train_items] if train_items else train
        columns = _columns(items, train, recipe)
        worded = items.texts[:, columns].getnnz(1) > 0
        if worded[asked].all():
            break
        stays = np.union1d(stays, items.families[asked[~worded[asked]]])
    asked, train = asked[worded[asked]], train[worded[train]]
    if not len(asked) or not len(train):
        raise ValueError(
            f"{len(asked)} queries and {len(train)} training items with a known word are left of "
            f"{len(items)} items: lower queries or least_uses"
        )
    return asked, train, kept, columns


def _columns(items: Whole, train: Rows, recipe: Recipe) -> Rows:
    """Words on enough training items; of published sets every one, as they are a vocabulary."""
    if recipe.data in PUBLISHED:
        return np.arange(len(items.vocabulary))
    return np.flatnonzero(items.texts[train].getnnz(0) >= recipe.least_uses)


def _sizes(recipe: Recipe) -> tuple[int, int]:
    """How many queries and training items (0: all that are no queries)."""
    if recipe.data not in PUBLISHED:
        return recipe.queries, recipe.train_items
    usual = recipe.queries == Recipe.model_fields["queries"].default
    queries = PUBLISHED_QUERIES if usual else recipe.queries
    return queries, recipe.train_items or PUBLISHED_TRAIN


def _parted(
    families: Rows, queries: int, stays: Rows, rng: np.random.Generator
) -> tuple[Rows, Rows]:
    """Rows of the queries and of the rest, both in random order; whole families at a time.

    Families that would be too many queries are passed over, and those in `stays` are no queries.
    """
    if queries >= len(families):
        raise ValueError(f"{queries} queries of {len(families)} items leave no database")
    members = np.bincount(families)
    members[stays] = queries + 1
    room, chosen = queries, []
    for family in rng.permutation(np.unique(families)).tolist():
        if members[family] <= room:
            chosen.append(family)
            room -= members[family]
    order = rng.permutation(len(families))
    is_query = np.isin(families, chosen)[order]
    return order[is_query], order[~is_query]


def _pairs(items: Whole, rows: Rows, columns: Rows) -> Pairs:
    index = torch.from_numpy(rows)
    return Pairs(
        items.images[index],
        torch.from_numpy(items.texts[rows][:, columns].toarray()),
        torch.from_numpy(items.labels[rows]),
        tuple(items.names[i] for i in rows),
        index,
    )
