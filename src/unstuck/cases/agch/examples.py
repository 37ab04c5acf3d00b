"""Queries and what they find, as rows of a grid: an ordinary query of each class, not the best."""

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unstuck.cases.agch.codes import WAYS, RunCodes
from unstuck.cases.agch.dataset import Pairs, Split, pictures
from unstuck.cases.agch.grids import Item, Row
from unstuck.cases.agch.methods import distances
from unstuck.cases.agch.retrieval import average_precisions

ROWS = 6
TOP = 10


def rows(run: RunCodes, split: Split, way: str) -> list[Row]:
    """In the largest classes, the query of median average precision at `TOP`, and what it finds."""
    asked, answers = (name.rpartition("_")[2] for name in WAYS[way])
    distance = np.asarray(distances(run)[way])
    chosen = ordinary(run, distance)
    nearest = np.argsort(distance[chosen], axis=1, kind="stable")[:, :TOP]
    shared = run.labels["query"][chosen].astype(int) @ run.labels["database"].T.astype(int) > 0
    queries = items_of(run, split, "query", asked, np.array(chosen))
    found = []
    for i, near in enumerate(nearest):
        items = items_of(run, split, "database", answers, near)
        facts = zip(items, distance[chosen[i], near], shared[i, near], strict=True)
        told = [replace(item, note=f"{bits} bits", relevant=bool(r)) for item, bits, r in facts]
        found.append(Row(queries[i], told))
    return found


def ordinary(run: RunCodes, distance: NDArray[np.generic]) -> list[int]:
    """One query of each of the largest classes, of median average precision within its class."""
    labels = run.labels["query"]
    precision = average_precisions(distance, labels, run.labels["database"], TOP)
    chosen = []
    for label in labels.sum(0).argsort()[::-1][:ROWS]:
        members = np.flatnonzero(labels[:, label])
        if len(members):
            ranked = members[np.argsort(precision[members], kind="stable")]
            chosen.append(int(ranked[len(ranked) // 2]))
    return list(dict.fromkeys(chosen))


def items_of(
    run: RunCodes, split: Split, side: str, kind: str, chosen: NDArray[np.intp]
) -> list[Item]:
    """Items of a side as they are shown: an image by its picture, a text by its words."""
    names = [run.names[side][i] for i in chosen]
    if kind == "text":
        pairs: Pairs = getattr(split, side)
        words = [words_in(pairs.texts[int(i)], split.vocabulary) for i in chosen]
        return [Item(name, words=w) for name, w in zip(names, words, strict=True)]
    shown = pictures(run.recipe, torch.from_numpy(run.keys[side][chosen]))
    if shown is None:
        return [Item(name) for name in names]
    return [Item(name, picture) for name, picture in zip(names, shown, strict=True)]


def words_in(text: Tensor, vocabulary: tuple[str, ...]) -> list[str]:
    """The words of one text (words,)."""
    return [vocabulary[i] for i in text.nonzero()[:, 0].tolist()]
