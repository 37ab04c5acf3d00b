"""What the study's trials run: a training, or a baseline on the same split, and their figures."""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from numpy.typing import NDArray

from unstuck.cases.agch.codes import RunCodes, read
from unstuck.cases.agch.dataset import load
from unstuck.cases.agch.health import health
from unstuck.cases.agch.methods import Distances, baseline, real_distances
from unstuck.cases.agch.recipe import Scalar, made
from unstuck.cases.agch.retrieval import mean_average_precision
from unstuck.cases.agch.train import AT, train

Bools = NDArray[np.bool_]


def trained(recipe: Mapping[str, Scalar], seed: int) -> dict[str, float]:
    """The training's own metrics, those of its real codes (`real_`), and how healthy the codes are.

    `map` is that of bits, whatever the recipe reports.
    """
    with TemporaryDirectory() as folder:
        metrics = train(made(recipe), seed, Path(folder))
        run = read(Path(folder))
    labels = run.labels["query"], run.labels["database"]
    real = figures(real_distances(run), *labels)
    return metrics | {f"real_{name}": value for name, value in real.items()} | health_of(run)


def compared(recipe: Mapping[str, Scalar], seed: int) -> dict[str, float]:
    """The figures of a baseline: `recipe` is one of a training, with `method` besides."""
    torch.set_num_threads(1)
    values = dict(recipe)
    name = str(values.pop("method"))
    r = made(values)
    split = load(r, seed)
    found = baseline(name, split, r.bits, seed)
    labels = split.query.labels.numpy(), split.database.labels.numpy()
    return figures(found, *labels) | sizes(*labels)


def figures(found: Distances, query_labels: Bools, database_labels: Bools) -> dict[str, float]:
    """mAP over the whole database and at 50, under the names that a training uses."""
    values: dict[str, float] = {}
    for key, at in (("map", None), (f"map_{AT}", AT)):
        ways = {
            f"{key}_{way.replace(' ', '_')}": mean_average_precision(
                distance, query_labels, database_labels, at
            )
            for way, distance in found.items()
        }
        values |= ways | {key: float(np.mean(list(ways.values())))}
    return values


def sizes(query_labels: Bools, database_labels: Bools) -> dict[str, float]:
    """Without the sizes a mAP means nothing."""
    return {"queries": float(len(query_labels)), "database": float(len(database_labels))}


def health_of(run: RunCodes) -> dict[str, float]:
    """Sizes; `unique`: the least share of distinct codes in the database, of either modality;
    `paired`: the share of bits in which an item's image code and text code differ.
    """
    found = health(run.signs["database_image"], run.signs["database_text"])
    unique = min(found["image/unique_share"], found["text/unique_share"])
    measured = {"unique": unique, "paired": found["paired_distance"]}
    return measured | sizes(run.labels["query"], run.labels["database"])
