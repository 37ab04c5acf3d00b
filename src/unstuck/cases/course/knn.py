"""K nearest neighbours on clothes, K and the distance chosen on held-out pictures.

Training memorises the pictures; a new one gets the majority vote of the K nearest by
d1 = sum_p |I1 - I2| or d2 = sqrt(sum_p (I1 - I2)^2). K and the distance cannot be learned from the
training set (with K = 1 every picture finds itself there): they are chosen on a validation split,
and the test set is looked at once. Fix and Hodges, "Discriminatory analysis" (1951).

Covers: 1.03 2.01 2.02 2.03 2.04 2.05 2.06 2.07 A02 A03 A04 A05 A06
Run: unstuck case run course/knn
Expected: test_accuracy 0.784 +- 0.012 over 5 seeds (trivial answer 0.0978) in 1 s on one core
    each: python -m unstuck.cases.course knn --seeds 5
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field
from sklearn.neighbors import NearestNeighbors

from unstuck.cases.course import item, pictures
from unstuck.cases.course.data import fashion
from unstuck.cases.course.item import Fault

METRIC, HIGHER_IS_BETTER, UNIT = "test_accuracy", True, ""
MARGIN = 0.5  # over naming one class always
TINY = {"train": 200, "test": 100}
DISTANCES = {"L1": "manhattan", "L2": "euclidean"}
KS = (1, 3, 5, 7, 11, 15, 25)


class Recipe(item.Recipe):
    train: int = Field(2000, ge=50)
    """pictures to memorise; the seed draws them out of five times as many"""
    held_out: float = Field(0.25, gt=0, lt=1)
    """their share held out to choose K and the distance"""
    test: int = Field(1000, ge=1)
    """pictures to test on, once"""
    noise: float = Field(0.1, ge=0, lt=1)
    """share of the training labels that are wrong, as some are where people label in a hurry"""
    choose_on: Literal["validation", "train"] = "validation"
    """where K and the distance are compared"""


class Neighbours:
    """Memorises flat pictures and their classes."""

    def __init__(self, x: np.ndarray, y: np.ndarray, distance: str) -> None:
        self.y = y
        self.index = NearestNeighbors(metric=DISTANCES[distance], algorithm="brute").fit(x)

    def nearest(self, x: np.ndarray, k: int) -> np.ndarray:
        """(n, k) indices of the memorised pictures, the nearest first."""
        return self.index.kneighbors(x, min(k, len(self.y)), return_distance=False)

    def vote(self, nearest: np.ndarray, k: int) -> np.ndarray:
        """(n,) classes: the majority of the first k, the lowest class of several."""
        classes = int(self.y.max()) + 1
        votes = np.eye(classes, dtype=int)[self.y[nearest[:, :k]]].sum(1)
        return votes.argmax(1)


FAULTS = {
    "choice-on-training-set": Fault(
        {"choose_on": "train"},
        "K = 1 is right on every training picture, wrong labels included, and is chosen",
    ),
}


def train(
    recipe: Recipe | Mapping[str, item.Scalar], seed: int, out: Path | None = None
) -> dict[str, float]:
    r = item.made(Recipe, recipe)
    data = fashion.load(5 * r.train, r.test, sample=r.sample)
    random = np.random.default_rng(seed)
    drawn = random.permutation(len(data.train_x))[: r.train]
    x, y = _flat(data.train_x)[drawn], data.train_y.numpy()[drawn]
    y = np.where(random.random(len(y)) < r.noise, random.integers(0, 10, len(y)), y)
    held = int(r.held_out * len(x))
    fit_x, fit_y = x[held:], y[held:]
    judge_x, judge_y = (x[:held], y[:held]) if r.choose_on == "validation" else (fit_x, fit_y)

    accuracy = {}
    for distance in DISTANCES:
        memory = Neighbours(fit_x, fit_y, distance)
        nearest = memory.nearest(judge_x, max(KS))
        for k in KS:
            accuracy[distance, k] = float((memory.vote(nearest, k) == judge_y).mean())
        print(distance, "  ".join(f"K={k} {accuracy[distance, k]:.3f}" for k in KS), flush=True)
    distance, k = max(accuracy, key=lambda choice: accuracy[choice])

    memory = Neighbours(x, y, distance)
    test_x, test_y = _flat(data.test_x), data.test_y.numpy()
    nearest = memory.nearest(test_x, k)
    if out is not None:
        near = memory.nearest(test_x[:6], 7)
        rows = [[test_x[i], *x[near[i]]] for i in range(6)]
        square = [[p.reshape(28, 28) for p in row] for row in rows]
        names = [fashion.NAMES[label] for label in test_y[:6]]
        pictures.grid(out / "picture.png", square, titles=("asked", "nearest"), row_titles=names)
    return {
        "test_accuracy": float((memory.vote(nearest, k) == test_y).mean()),
        "baseline": float((test_y == np.bincount(y).argmax()).mean()),
        "chosen_k": float(k),
        "chosen_l1": float(distance == "L1"),
        "accuracy_where_chosen": accuracy[distance, k],
    }


def _flat(tensor: object) -> np.ndarray:
    values = np.asarray(tensor)
    return values.reshape(len(values), -1)
