"""What the study's trials run: a training, and more figures of what it drew."""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from unstuck.cases.zi2zi import perception
from unstuck.cases.zi2zi.glyphs import load, pictures
from unstuck.cases.zi2zi.metrics import l1
from unstuck.cases.zi2zi.recipe import Scalar, made
from unstuck.cases.zi2zi.train import moved, train


def trained(recipe: Mapping[str, Scalar], seed: int) -> dict[str, float]:
    """The training's own metrics, the Frechet distance, and what a wrong offset costs.

    `l1` is against the targets in their place, whatever offset was trained on; `l1_moved_back`
    is of the drawn pictures moved back by it.
    """
    r = made(recipe)
    with TemporaryDirectory() as folder:
        metrics = train(r, seed, Path(folder))
        with np.load(Path(folder) / "held_out.npz", allow_pickle=False) as file:
            drawn, target = (pictures(file[name]) for name in ("prediction", "target"))
    if r.target_x or r.target_y:
        placed = r.model_copy(update={"target_x": 0, "target_y": 0})
        target = load(placed, seed).held_out.target
        metrics["l1"] = float(l1(drawn, target).mean())
        back = moved(drawn, [-r.target_y, -r.target_x])
        metrics["l1_moved_back"] = float(l1(back, target).mean())
    return metrics | {"frechet": perception.frechet(drawn, target)}
