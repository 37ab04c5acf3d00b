"""Whether labels can be told from inputs at all: answers of simple probes, each sample left out.

Every probe is a matrix S (n, n) that makes a prediction S @ labels in which no sample's own label
has a part: the sum of its nearest neighbours' labels, or a ridge regression with each sample left
out in turn. How well it does on the labels against the same labels shuffled, hundreds of times, is
a permutation test (Ojala & Garriga, 2010, <https://jmlr.org/papers/v11/ojala10a.html>) that holds
for any number of probes, since each shuffle takes the best of them, too.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unstuck.lab.neighbours import Features, distances, standard
from unstuck.records import Floats

Numbers = NDArray[np.floating[Any]]

NEIGHBOURS = 5
SHARE = 0.25  # of the samples: as many directions as a ridge regression may use
DIRECTIONS = 32  # of greatest spread, in which neighbours are looked for
COLUMNS = 2000  # label columns that are shuffled in all
ALARMS = 0.05  # share of shuffled labels that would pass for real ones
FOUND = 0.84  # deviations beyond that limit, where four of five are found (Cohen, 1988)


@dataclass(frozen=True, slots=True)
class Foretold:
    """How labels are told: `correlation` of the best probe's predictions with them, `p` of it.

    `detectable`: the correlation that would have been noticed four times in five. `linear`,
    `neighbour`: share of labels told right, or of the targets' variance.
    """

    linear: float
    neighbour: float
    correlation: float
    p: float
    detectable: float


def foretold(kinds: Features, labels: Floats, classes: bool, seed: int = 0) -> Foretold:
    """Labels (n, k): indicators of classes, or targets; kinds of rows (n, d)."""
    centred = labels - labels.mean(0)
    probes = [("linear", _ridge(standard(rows))) for rows in kinds.values()]
    probes += [("neighbour", _nearest(standard(rows))) for rows in kinds.values()]
    rng = np.random.default_rng(seed)
    draws = int(np.clip(COLUMNS // labels.shape[1], 39, 199))
    orders = [rng.permutation(len(labels)) for _ in range(draws)]
    shuffled = np.stack([centred[order] for order in orders], 2, dtype=np.float32)
    told = {"linear": -np.inf, "neighbour": -np.inf}
    found, guessed = np.empty(len(probes)), np.empty((len(probes), draws))
    for i, (name, matrix) in enumerate(probes):
        prediction = matrix @ centred
        found[i] = _agreement(prediction, centred)
        told[name] = max(told[name], _right(prediction + labels.mean(0), labels, classes))
        flat = shuffled.reshape(len(labels), -1)
        guesses = (matrix.astype(np.float32) @ flat).reshape(shuffled.shape)
        guessed[i] = _agreement(guesses, shuffled)
    level, spread = guessed.mean(1), np.maximum(guessed.std(1), 1e-9)
    above = np.abs(found - level) / spread  # below chance is no chance either: parity is
    best = (np.abs(guessed - level[:, None]) / spread[:, None]).max(0)
    p = float((1 + (best >= above.max()).sum()) / (1 + draws))
    seen = (float(np.quantile(best, 1 - ALARMS)) + FOUND) * float(spread.mean())
    return Foretold(told["linear"], told["neighbour"], float(found[above.argmax()]), p, seen)


def _ridge(rows: Floats) -> Floats:
    """Ridge regression that uses a given number of directions, each sample left out."""
    count = len(rows)
    if not rows.shape[1]:
        return np.zeros((count, count))
    spectrum, vectors = np.linalg.eigh(rows @ rows.T / rows.shape[1])
    spectrum = np.maximum(spectrum, 0.0)
    goal = min(SHARE * count, 0.95 * float((spectrum > 1e-9 * spectrum[-1]).sum()))
    low, high = 1e-9, 1e6
    for _ in range(60):
        middle = (low * high) ** 0.5
        used = float((spectrum / (spectrum + middle)).sum())
        low, high = (middle, high) if used > goal else (low, middle)
    hat = (vectors * (spectrum / (spectrum + high))) @ vectors.T
    own = np.diag(hat).copy()
    np.fill_diagonal(hat, 0.0)
    return np.asarray(hat / np.maximum(1.0 - own, 1e-6)[:, None])


def _nearest(rows: Floats) -> Floats:
    """The mean of the nearest others, in the directions of greatest spread."""
    count = len(rows)
    matrix = np.zeros((count, count))
    if not rows.shape[1]:
        return matrix
    if rows.shape[1] > DIRECTIONS:
        _, vectors = np.linalg.eigh(rows.T @ rows)
        rows = rows @ vectors[:, -DIRECTIONS:]
    apart = distances(rows, rows)
    np.fill_diagonal(apart, np.inf)
    many = min(NEIGHBOURS, count - 1)
    near = np.argpartition(apart, many - 1, axis=1)[:, :many]
    matrix[np.arange(count)[:, None], near] = 1 / many
    return matrix


def _agreement(prediction: Numbers, labels: Numbers) -> Floats:
    """Correlation over samples and columns; of (n, k) or, for each draw, of (n, k, draws)."""
    size = np.sqrt((prediction**2).sum((0, 1)) * (labels**2).sum((0, 1)))
    return np.asarray((prediction * labels).sum((0, 1)) / np.maximum(size, 1e-30))


def _right(prediction: Floats, labels: Floats, classes: bool) -> float:
    if classes:
        return float((prediction.argmax(1) == labels.argmax(1)).mean())
    missed = ((prediction - labels) ** 2).sum()
    return float(1 - missed / max(float(((labels - labels.mean(0)) ** 2).sum()), 1e-30))
