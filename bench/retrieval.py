"""Seconds of the retrieval measures on random codes, and of a plain loop over the queries.

    python bench/retrieval.py [--queries 20000] [--database 20000] [--bits 64] [--loop 300]

Items have 1 of 24 labels by default, or several (`--labels-each 4`, as MIRFlickr-25K has). The loop
sorts the distances of one query after the other and divides; it is timed on the first `--loop`
queries, in the same run, and scaled.
"""

import argparse
import os
import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from unstuck.cases.agch.retrieval import (
    BitDistances,
    average_precisions,
    mean_average_precision,
    tied_mean_average_precision,
)

T = TypeVar("T")

CLASSES = 24


def items(
    rng: np.random.Generator, count: int, bits: int, each: int
) -> tuple[NDArray[np.int8], NDArray[np.bool_]]:
    """Codes (count, bits) that lean towards their first label, labels (count, CLASSES)."""
    centre = np.random.default_rng(0).choice([-1, 1], (CLASSES, bits))
    chosen = rng.random((count, CLASSES)).argsort(1)[:, :each]
    labels = np.zeros((count, CLASSES), np.bool_)
    np.put_along_axis(labels, chosen, True, 1)
    flipped = rng.random((count, bits)) < 0.4
    return np.where(flipped, -1, 1).astype(np.int8) * centre[chosen[:, 0]].astype(np.int8), labels


def plain(
    queries: NDArray[np.int8],
    database: NDArray[np.int8],
    query_labels: NDArray[np.bool_],
    database_labels: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Average precision of one query after the other, as it is often written."""
    found = []
    for code, label in zip(queries, query_labels, strict=True):
        distance = (len(code) - database.astype(np.float32) @ code.astype(np.float32)) / 2
        relevant = (database_labels @ label.astype(np.float32) > 0)[
            np.argsort(distance, kind="stable")
        ]
        place = np.flatnonzero(relevant) + 1
        found.append(np.mean(np.arange(1, len(place) + 1) / place) if len(place) else 0.0)
    return np.array(found)


def timed(function: Callable[[], T]) -> tuple[NDArray[np.float64], T]:
    """Seconds by the clock and of processors, and what the function gives."""
    start = np.array([time.perf_counter(), time.process_time()])
    value = function()
    return np.array([time.perf_counter(), time.process_time()]) - start, value


def shown(seconds: NDArray[np.float64]) -> str:
    return f"{seconds[0]:.2f} s (processors {seconds[1]:.2f} s)"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--queries", type=int, default=20_000)
    options.add_argument("--database", type=int, default=20_000)
    options.add_argument("--bits", type=int, default=64)
    options.add_argument("--labels-each", type=int, default=1)
    options.add_argument("--loop", type=int, default=300, help="queries of the plain loop")
    o = options.parse_args()
    rng = np.random.default_rng(1)
    queries, asked = items(rng, o.queries, o.bits, o.labels_each)
    database, held = items(rng, o.database, o.bits, o.labels_each)
    print(
        f"{o.queries} queries, database {o.database}, {o.bits} bits, {o.labels_each} of "
        f"{CLASSES} labels each, {os.cpu_count()} processors"
    )

    labels = asked, held
    strict, figure = timed(
        lambda: mean_average_precision(BitDistances(queries, database), *labels, None)
    )
    tied, expected = timed(
        lambda: tied_mean_average_precision(BitDistances(queries, database), *labels, None)
    )
    print(f"mAP@all {figure:.4f}, ties in order: {shown(strict)}")
    print(f"mAP@all {expected:.4f}, over all orders of ties: {shown(tied)}")

    some = min(o.loop, o.queries)
    with threadpool_limits(1):  # threads of a product this small only wait for each other
        loop, slow = timed(lambda: plain(queries[:some], database, asked[:some], held))
    loop *= o.queries / some
    off = np.abs(
        slow - average_precisions(BitDistances(queries[:some], database), asked[:some], held, None)
    ).max()
    print(
        f"plain loop {shown(loop)}, from {some} queries: {(loop / strict)[0]:.1f} x "
        f"the time; largest difference of a query {off:.1e}"
    )


if __name__ == "__main__":
    main()
