"""Average precision where items are tied, exactly: its mean over all orders of tied items.

McSherry & Najork, Computing information retrieval performance measures efficiently in the presence
of tied scores, ECIR 2008 (section 2.3), for the whole database. Where the depth cuts through a
group of ties, how many relevant items fall before the cut is hypergeometric, and so is the divisor.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


def expected_average_precision(items: Counts, relevant: Counts, at: int) -> Floats:
    """Expected average precision of the first `at` items of each query, (queries,).

    `items` and `relevant` (queries, groups): how many items, and how many relevant ones, stand in
    each group of ties, nearest first.
    """
    before = np.cumsum(items, axis=1) - items
    found = np.cumsum(relevant, axis=1) - relevant
    inverse = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, int(items.sum(1).max()) + 1))])
    whole = before + items <= at
    each = _group(before, found, items, relevant, inverse)
    total = np.where(whole, each, 0.0).sum(1)
    divisor = np.where(whole, relevant, 0).sum(1)
    average = total / np.maximum(divisor, 1)
    row, group = np.nonzero((before < at) & ~whole)  # at most one of each query
    if len(row):
        ahead, tied, hits = (a[row, group] for a in (before, items, relevant))
        average[row] = _cut(total[row], divisor[row], ahead, tied, hits, at, inverse)
    return np.asarray(average)


def _group(
    before: Counts, found: Counts, items: Counts, relevant: Counts, inverse: Floats
) -> Floats:
    """Expected sum of the precisions at the relevant items of a group in random order.

    `before` items and `found` relevant ones stand ahead. At the group's i-th place, relevant with
    probability r / n, stand found + 1 + (i - 1)(r - 1) / (n - 1) relevant ones up to here.
    """
    n = np.maximum(items, 1)
    slope = np.maximum(relevant - 1, 0) / np.maximum(items - 1, 1)
    harmonic = inverse[before + items] - inverse[before]
    return np.asarray(
        relevant / n * (slope * items + (found + 1 - slope - slope * before) * harmonic)
    )


def _cut(
    total: Floats,
    found: Counts,
    before: Counts,
    items: Counts,
    relevant: Counts,
    at: int,
    inverse: Floats,
) -> Floats:
    """Expected average precision of queries (rows,) whose depth cuts through a group.

    `total` and `found`: sum of precisions and relevant items ahead of the group.
    """
    places = at - before
    hits = np.arange(int(np.minimum(places, relevant).max()) + 1)[None]
    found, before, items, relevant, places = (
        a[:, None] for a in (found, before, items, relevant, places)
    )
    possible = (hits <= np.minimum(places, relevant)) & (places - hits <= items - relevant)
    hits = np.where(possible, hits, np.minimum(places, relevant))
    chance = np.exp(
        _log_choose(relevant, hits)
        + _log_choose(items - relevant, np.where(possible, places - hits, 0))
        - _log_choose(items, places)
    )
    within = _group(before, found, np.broadcast_to(places, hits.shape), hits, inverse)
    value = (total[:, None] + within) / np.maximum(found + hits, 1)
    return np.asarray(np.where(possible, chance * value, 0.0).sum(1))


def _log_choose(n: Counts, k: Counts) -> Floats:
    return np.asarray(gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1))
