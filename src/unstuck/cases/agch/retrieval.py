"""How well codes retrieve: mean average precision, precision at N, precision over recall.

Every function takes distances (queries, database), smaller is nearer: `BitDistances`, an array as
of `hamming`, or the negative of a real similarity. Labels are (items, classes) bool; two items are
relevant to each other if they share a label. A query that nothing is relevant to counts as 0.

Ties: codes of few bits put many items at one distance. The ORDER of the database breaks ties (a
stable sort); the `tied_` functions give the expected value over all orders of tied items instead
(McSherry & Najork, Computing information retrieval performance measures efficiently in the presence
of tied scores, ECIR 2008).

Average precision at k divides by the number of relevant items among the first k, as the tables of
this field do (Su et al., DJSRH, 2019; Zhang et al., AGCH, 2022), not by all relevant items. At k
larger than the database it is that of the whole database.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from unstuck.cases.agch.ties import expected_average_precision

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Codes = NDArray[np.int8]

T = TypeVar("T")

BLOCK = 2**19  # entries handled at a time: about what a core's cache holds
MOST_ROWS = 512  # queries at a time, where the database is small
SPAN = 2**11  # whole-number distances over less than this are taken as they are
LEVELS = tuple(i / 20 for i in range(1, 21))  # recall


class BitDistances:
    """Bits that differ, (q, n) int16, of codes (q, bits) and (n, bits) of -1 and 1.

    They are made for the rows that are asked for, as those of large sets fill the memory. Every
    measure here takes them as it takes an array. ValueError for other codes.
    """

    ndim = 2
    dtype = np.dtype(np.int16)  # signed, so that the negative is what it should be

    def __init__(self, queries: Codes, database: Codes) -> None:
        for name, codes in (("queries", queries), ("database", database)):
            if codes.ndim != 2 or not (np.abs(codes) == 1).all():
                raise ValueError(f"the codes of the {name} must be rows of -1 and 1; take signs")
        bits = queries.shape[1]
        if database.shape[1] != bits:
            raise ValueError(f"queries have {bits} bits and the database {database.shape[1]}")
        self.shape = len(queries), len(database)
        self._half = np.float32(bits / 2)
        self._left = queries * np.float32(-0.5)
        self._right = np.ascontiguousarray(database.T, dtype=np.float32)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> NDArray[np.int16]:
        product = self._left[rows] @ self._right
        product += self._half
        return product.astype(np.int16)  # whole numbers up to 1,024: exact


def hamming(queries: Codes, database: Codes) -> NDArray[np.int16]:
    """All of `BitDistances` at once, for what fits into memory."""
    made = BitDistances(queries, database)
    distance = np.empty(made.shape, np.int16)

    def fill(rows: slice) -> None:
        distance[rows] = made[rows]

    _each(fill, len(queries), BLOCK // max(1, len(database)))
    return distance


Distances = NDArray[Any] | BitDistances  # whole numbers or real ones


def mean_average_precision(
    distance: Distances, query_labels: Bools, database_labels: Bools, at: int | None
) -> float:
    """Mean over the queries of `average_precisions`; `at` None: the whole database."""
    return float(average_precisions(distance, query_labels, database_labels, at).mean())


def tied_mean_average_precision(
    distance: Distances, query_labels: Bools, database_labels: Bools, at: int | None
) -> float:
    """The same, expected over all orders of tied items."""
    return float(tied_average_precisions(distance, query_labels, database_labels, at).mean())


def average_precisions(
    distance: Distances, query_labels: Bools, database_labels: Bools, at: int | None
) -> Floats:
    """Of each query, (q,): mean of the precision at each relevant item among the first `at`."""
    relevant, at = _checked(distance, query_labels, database_labels, at)

    nth = np.arange(1.0, at + 1)

    def block(rows: slice) -> Floats:
        hits = _ranked(distance[rows], relevant(rows))[:, :at]
        places = [np.flatnonzero(row) + 1 for row in hits]
        return np.array([(nth[: len(p)] / p).sum() / max(1, len(p)) for p in places])

    return np.concatenate(_each(block, len(distance), BLOCK // distance.shape[1]))


def tied_average_precisions(
    distance: Distances, query_labels: Bools, database_labels: Bools, at: int | None
) -> Floats:
    """Of each query, (q,): `average_precisions` expected over all orders of tied items."""
    relevant, at = _checked(distance, query_labels, database_labels, at)

    def block(rows: slice) -> Floats:
        level = _levels(distance[rows])
        width, queries = int(level.max()) + 1, len(level)
        cell = level.astype(np.int64)
        cell *= 2
        cell += relevant(rows)
        cell += (np.arange(queries) * (2 * width))[:, None]
        cells = np.bincount(cell.ravel(), minlength=queries * 2 * width)
        groups = cells.reshape(queries, width, 2)
        return expected_average_precision(groups.sum(2), groups[:, :, 1], at)

    return np.concatenate(_each(block, len(distance), BLOCK // distance.shape[1]))


def precision_at(
    distance: Distances, query_labels: Bools, database_labels: Bools, counts: Sequence[int]
) -> dict[int, float]:
    """Share of relevant items among the first N, mean over queries, of each N in `counts`.

    N larger than the database stands for the whole database.
    """
    relevant, items = _checked(distance, query_labels, database_labels, None)
    if not counts or min(counts) < 1:
        raise ValueError(f"precision needs counts of at least 1, got {list(counts)}")
    ends = np.minimum(np.asarray(counts), items)

    def block(rows: slice) -> Floats:
        hits = _ranked(distance[rows], relevant(rows))[:, : ends.max()]
        return np.asarray(np.cumsum(hits, axis=1)[:, ends - 1] / ends)

    found = np.concatenate(_each(block, len(distance), BLOCK // items)).mean(0)
    return {int(count): float(share) for count, share in zip(counts, found, strict=True)}


def precision_recall(
    distance: Distances,
    query_labels: Bools,
    database_labels: Bools,
    points: Sequence[float] = LEVELS,
) -> tuple[Floats, Floats]:
    """Recall levels, and the precision where each is first reached, mean over queries.

    A query's precision at recall r is that at its ceil(r R)-th relevant item of R, not
    interpolated. Levels are in (0, 1].
    """
    relevant, items = _checked(distance, query_labels, database_labels, None)
    recall = np.asarray(points, dtype=np.float64)
    if recall.ndim != 1 or not len(recall) or not ((recall > 0) & (recall <= 1)).all():
        raise ValueError("levels of recall must be numbers above 0 and up to 1")

    def of_query(hits: Bools) -> Floats:
        place = np.flatnonzero(hits) + 1
        if not len(place):
            return np.zeros(len(recall))
        nth = np.ceil(len(place) * recall - 1e-9).astype(np.int64)  # .3 * 10 is not 3
        return np.asarray(nth / place[nth - 1])

    def block(rows: slice) -> Floats:
        return np.stack([of_query(hits) for hits in _ranked(distance[rows], relevant(rows))])

    return recall, np.concatenate(_each(block, len(distance), BLOCK // items)).mean(0)


def _ranked(distance: NDArray[Any], relevant: Bools) -> Bools:
    """`relevant` (rows, n) in the order of the distances, ties in that of the database.

    Whole numbers: distance, row of the database and relevance become one number, so that a plain
    sort of numbers, the fastest there is, carries all three.
    """
    items = distance.shape[1]
    level = _counted(distance)
    if level is None:
        return np.take_along_axis(relevant, np.argsort(distance, axis=1, kind="stable"), axis=1)
    shift = items.bit_length() + 1
    narrow = shift + int(level.max()).bit_length() <= 32
    key: NDArray[Any] = level.astype(np.uint32 if narrow else np.uint64)
    key <<= key.dtype.type(shift)
    key |= np.arange(items, dtype=key.dtype) << key.dtype.type(1)
    key |= relevant
    key.sort(axis=1)
    key &= key.dtype.type(1)
    return key.astype(np.bool_)


def _counted(distance: NDArray[Any]) -> NDArray[Any] | None:
    """Whole-number distances from 0 to less than SPAN; None where they are not such."""
    if not np.issubdtype(distance.dtype, np.integer):
        return None
    low, high = int(distance.min()), int(distance.max())
    if high - low >= SPAN:
        return None
    return distance if low == 0 else np.asarray(distance.astype(np.int64) - low)


def _levels(distance: NDArray[Any]) -> NDArray[Any]:
    """Distances as whole numbers from 0, equal where they are equal, in the same order."""
    level = _counted(distance)
    if level is not None:
        return level
    return np.stack([np.unique(row, return_inverse=True)[1] for row in distance])


def _checked(
    distance: Distances, query_labels: Bools, database_labels: Bools, at: int | None
) -> tuple[Callable[[slice], Bools], int]:
    """What tells the relevance (rows, n) of some queries, and the depth; ValueError if wrong."""
    if distance.ndim != 2 or 0 in distance.shape:
        raise ValueError(f"distances must be (queries, database), not empty: {distance.shape}")
    if query_labels.ndim != 2 or database_labels.ndim != 2:
        raise ValueError("labels must be (items, classes), one column for each class")
    if query_labels.dtype != np.bool_ or database_labels.dtype != np.bool_:
        raise ValueError("labels must be true or false, one column for each class")
    rows = len(query_labels), len(database_labels)
    if rows != distance.shape:
        raise ValueError(f"distances are {distance.shape}, labels are of {rows} items")
    if query_labels.shape[1] != database_labels.shape[1]:
        classes = query_labels.shape[1], database_labels.shape[1]
        raise ValueError(f"queries have {classes[0]} classes and the database {classes[1]}")
    if isinstance(distance, np.ndarray) and np.isnan(distance.min()):
        raise ValueError("some distances are not numbers (NaN)")
    if at is not None and at < 1:
        raise ValueError(f"the depth must be at least 1, got {at}")
    items = distance.shape[1]
    return _relevance(query_labels, database_labels), items if at is None else min(at, items)


def _relevance(query_labels: Bools, database_labels: Bools) -> Callable[[slice], Bools]:
    """Rows of queries -> whether they share a label with each item, (rows, n)."""
    query, database = _words(query_labels), _words(database_labels)

    def shared(rows: slice) -> Bools:
        found = np.zeros((len(query[rows]), len(database)), np.bool_)
        for word in range(query.shape[1]):
            found |= (query[rows, word, None] & database[None, :, word]) != 0
        return found

    return shared


def _words(labels: Bools) -> NDArray[np.unsignedinteger[Any]]:
    """Labels (n, classes) as bits of as few words as hold them, (n, words)."""
    packed = np.packbits(labels, axis=1)
    size = next((size for size in (1, 2, 4) if packed.shape[1] <= size), 8)
    missing = -packed.shape[1] % size
    padded = np.pad(packed, ((0, 0), (0, missing)))
    return padded.view(f"u{size}")


def _each(function: Callable[[slice], T], rows: int, size: int) -> list[T]:
    """The function of blocks of rows, in order; by all processors where there are many blocks."""
    size = min(max(1, size), MOST_ROWS)
    blocks = [slice(first, min(first + size, rows)) for first in range(0, rows, size)]
    if len(blocks) < 4:
        return [function(block) for block in blocks]
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(os.cpu_count()) as threads:
        return list(threads.map(function, blocks))
