"""Picture grids: one row a held-out subject; input, prediction, target, error."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

COLUMNS = ("input", "prediction", "target", "error")
ROWS = 6
GAP = 2  # px between pictures
ENLARGED = 2  # times


def grid(images: Mapping[str, NDArray[np.float16]], rows: int = ROWS) -> NDArray[np.uint8]:
    """Grey picture of `rows` images spread over those given, in the order of COLUMNS.

    `images` holds (n, s, s) arrays under "input", "prediction", "target"; white is the top of the
    target's range, for the error half of it.
    """
    arrays = {name: np.asarray(value, dtype=np.float32) for name, value in images.items()}
    arrays["error"] = 2 * np.abs(arrays["prediction"] - arrays["target"])
    top = float(np.quantile(arrays["target"], 0.999)) or 1.0
    chosen = np.linspace(0, len(arrays["target"]) - 1, rows).round().astype(int)
    lines = [joined([arrays[name][i] for name in COLUMNS], axis=1) for i in chosen]
    grey = (np.clip(joined(lines, axis=0) / top, 0, 1) * 255).astype(np.uint8)
    return np.asarray(grey.repeat(ENLARGED, 0).repeat(ENLARGED, 1))


def joined(tiles: list[NDArray[np.float32]], axis: int) -> NDArray[np.float32]:
    """Tiles side by side with a white gap."""
    shape = list(tiles[0].shape)
    shape[axis] = GAP
    gap = np.full(shape, np.inf, dtype=np.float32)
    parts = [part for tile in tiles for part in (tile, gap)][:-1]
    return np.concatenate(parts, axis=axis)


def write(images: Mapping[str, NDArray[np.float16]], folder: Path) -> None:
    """`held_out.npz` with the arrays and `held_out.png` with the grid."""
    np.savez_compressed(
        folder / "held_out.npz",
        input=images["input"],
        prediction=images["prediction"],
        target=images["target"],
    )
    Image.fromarray(grid(images)).save(folder / "held_out.png", optimize=True)
