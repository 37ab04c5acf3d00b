"""Whether labels can be told from inputs at all: answers of simple probes, each sample left out.

Every probe is linear in the labels, and no sample's own label has a part in its prediction: the
mean of its nearest neighbours' labels, or a ridge regression with each sample left out in turn. How
well it does on the labels against the same labels shuffled, up to two hundred times, is a
permutation test (Ojala & Garriga, 2010, <https://jmlr.org/papers/v11/ojala10a.html>) that holds for
any number of probes, since each shuffle takes the best of them, too.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unstuck.lab.neighbours import Features, distances, standard
from unstuck.records import Floats

Numbers = NDArray[np.floating[Any]]
Told = Callable[[Numbers], Numbers]  # labels (n, k) -> what each sample's others say of it

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
    plain = [standard(rows) for rows in kinds.values()]
    probes = [("linear", _ridge(rows)) for rows in plain] + [("neighbour", _near(r)) for r in plain]
    rng = np.random.default_rng(seed)
    draws = int(np.clip(COLUMNS // labels.shape[1], 39, 199))
    orders = [rng.permutation(len(labels)) for _ in range(draws)]
    shuffled = np.stack([centred[order] for order in orders], 2, dtype=np.float32)
    told = {"linear": -np.inf, "neighbour": -np.inf}
    found, guessed = np.empty(len(probes)), np.empty((len(probes), draws))
    for i, (name, probe) in enumerate(probes):
        prediction = probe(centred)
        found[i] = _agreement(prediction, centred)
        told[name] = max(told[name], _right(prediction + labels.mean(0), labels, classes))
        guesses = probe(shuffled.reshape(len(labels), -1)).reshape(shuffled.shape)
        guessed[i] = _agreement(guesses, shuffled)
    level, spread = guessed.mean(1), np.maximum(guessed.std(1), 1e-9)
    # neighbours that are wrong more often than by chance know something, too: parity
    both = np.array([name == "neighbour" for name, _ in probes])
    above, best = (found - level) / spread, (guessed - level[:, None]) / spread[:, None]
    above = np.where(both, np.abs(above), above)
    best = np.where(both[:, None], np.abs(best), best).max(0)
    p = float((1 + (best >= above.max()).sum()) / (1 + draws))
    seen = (float(np.quantile(best, 1 - ALARMS)) + FOUND) * float(spread.mean())
    return Foretold(told["linear"], told["neighbour"], float(found[above.argmax()]), p, seen)


def _ridge(rows: Floats) -> Told:
    """Ridge regression that uses a given number of directions, each sample left out."""
    count, width = rows.shape
    if not width:
        return np.zeros_like
    if width < count:
        spectrum, vectors = np.linalg.eigh(rows.T @ rows)
        kept = spectrum > 1e-9 * spectrum[-1]
        spectrum, axes = spectrum[kept], rows @ vectors[:, kept] / np.sqrt(spectrum[kept])
    else:
        spectrum, axes = np.linalg.eigh(rows @ rows.T)
        kept = spectrum > 1e-9 * spectrum[-1]
        spectrum, axes = spectrum[kept], axes[:, kept]
    goal = min(SHARE * count, 0.95 * len(spectrum))
    low, high = 1e-9 * spectrum[-1], 1e6 * spectrum[-1]
    for _ in range(60):
        middle = (low * high) ** 0.5
        used = float((spectrum / (spectrum + middle)).sum())
        low, high = (middle, high) if used > goal else (low, middle)
    share = spectrum / (spectrum + high)
    own = (axes**2) @ share

    def told(labels: Numbers) -> Numbers:
        scaled = (axes * share).astype(labels.dtype)
        fit = scaled @ (axes.T.astype(labels.dtype) @ labels)
        left = (fit - own[:, None] * labels) / np.maximum(1.0 - own, 1e-6)[:, None]
        return np.asarray(left)

    return told


def _near(rows: Floats) -> Told:
    """The mean of the nearest others, in the directions of greatest spread."""
    if not rows.shape[1]:
        return np.zeros_like
    if rows.shape[1] > DIRECTIONS:
        _, vectors = np.linalg.eigh(rows.T @ rows)
        rows = rows @ vectors[:, -DIRECTIONS:]
    apart = distances(rows, rows)
    np.fill_diagonal(apart, np.inf)
    many = min(NEIGHBOURS, len(rows) - 1)
    near = np.argpartition(apart, many - 1, axis=1)[:, :many]

    def told(labels: Numbers) -> Numbers:
        return np.asarray(sum(labels[near[:, i]] for i in range(many)) / many)

    return told


def _agreement(prediction: Numbers, labels: Numbers) -> Floats:
    """Correlation over samples and columns; of (n, k) or, for each draw, of (n, k, draws)."""
    size = np.sqrt((prediction**2).sum((0, 1)) * (labels**2).sum((0, 1)))
    return np.asarray((prediction * labels).sum((0, 1)) / np.maximum(size, 1e-30))


def _right(prediction: Floats, labels: Floats, classes: bool) -> float:
    if classes:
        return float((prediction.argmax(1) == labels.argmax(1)).mean())
    missed = ((prediction - labels) ** 2).sum()
    return float(1 - missed / max(float(((labels - labels.mean(0)) ** 2).sum()), 1e-30))
