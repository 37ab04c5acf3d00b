"""What is compared on one split: a run's codes, and baselines on the same features.

Distances are by direction, (queries, database), smaller is nearer.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unstuck.cases.agch.baselines import METHODS, feature_distances
from unstuck.cases.agch.baselines import codes as baseline_codes
from unstuck.cases.agch.codes import SIDES, WAYS, RunCodes
from unstuck.cases.agch.dataset import Split, load
from unstuck.cases.agch.retrieval import hamming

Distances = Mapping[str, NDArray[Any]]

UNCOMPRESSED = {  # where the distances between features lie
    "features": {way: way for way in WAYS},  # of the query's own modality
    "features both": dict.fromkeys(WAYS, "both"),  # of both, which no query of one has
}
BASELINES = (*METHODS, *UNCOMPRESSED)


def distances(run: RunCodes) -> Distances:
    """Bits that differ, by direction."""
    return between(run.signs)


def baseline(name: str, split: Split, bits: int, seed: int) -> Distances:
    """Distances of one of BASELINES; of features (UNCOMPRESSED) they are negative cosines."""
    if name in UNCOMPRESSED:
        found = feature_distances(split)
        return {way: found[where] for way, where in UNCOMPRESSED[name].items()}
    return between(baseline_codes(name, split, bits, seed))


def between(signs: Mapping[str, NDArray[np.int8]]) -> Distances:
    """Bits that differ, of codes by name."""
    return {way: hamming(signs[a], signs[b]) for way, (a, b) in WAYS.items()}


def real_distances(run: RunCodes) -> Distances:
    """The negative cosine of the codes before the sign: not what an index of bits would rank by."""
    return {way: -_cosines(run.real[a], run.real[b]) for way, (a, b) in WAYS.items()}


def _cosines(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    unit = [x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12) for x in (a, b)]
    return np.asarray(unit[0] @ unit[1].T)


def split_of(runs: Sequence[RunCodes]) -> Split:
    """The data the runs were trained on, split as they were.

    ValueError where the runs have different splits, or where the data are no longer those.
    """
    first = runs[0]
    for run in runs[1:]:
        if any(not np.array_equal(run.keys[side], first.keys[side]) for side in SIDES):
            raise ValueError(
                f"{first.folder} and {run.folder} have different queries: use one seed and one set"
            )
    split = load(first.recipe, first.seed)
    for side, pairs in (("query", split.query), ("database", split.database)):
        if not np.array_equal(pairs.keys.numpy(), first.keys[side]):
            raise ValueError(
                f"the data are not those {first.folder} was trained on: its {side} items differ"
            )
    return split
