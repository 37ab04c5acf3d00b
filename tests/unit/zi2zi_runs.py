"""Folders as finished trainings of the zi2zi case leave them, with characters of bars."""

import json

import numpy as np

from unstuck.cases.zi2zi.recipe import PRESETS

SIZE = 64


def bars(n, seed=0, size=SIZE):
    """Pictures (n, size, size) uint8: some horizontal and vertical strokes each, 0 ink."""
    rng = np.random.default_rng(seed)
    pictures = np.full((n, size, size), 255, np.uint8)
    for picture in pictures:
        for at in rng.integers(4, size - 12, 4):
            if rng.random() < 0.5:
                picture[at : at + 4, 6:-6] = 0
            else:
                picture[6:-6, at : at + 4] = 0
    return pictures


def left(folder, n=12, seed=0, noise=0.1, recipe=None, **changes):
    """A run that drew its characters with so much noise, in [0, 1]; `changes` replace arrays."""
    target, source = bars(n), bars(n, 1)
    rng = np.random.default_rng(seed + 100)
    drawn = np.clip(target + rng.normal(0, 255 * noise, target.shape), 0, 255).round()
    arrays = {
        "input": source,
        "prediction": drawn.astype(np.uint8),
        "target": target,
        "characters": np.array([chr(0x4E00 + i) for i in range(n)]),
        "styles": np.zeros(n, np.int64),
    }
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / "held_out.npz", allow_pickle=False, **(arrays | changes))
    flat = PRESETS["repaired"].flat() | (recipe or {})
    (folder / "recipe.json").write_text(json.dumps(flat))
    metrics = {"seed": float(seed), "d_accuracy": 0.75}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    return folder
