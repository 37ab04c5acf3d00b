"""Picture grids: one row a held-out subject; input, prediction, target, error.

    python -m unstuck.cases.contrast.pictures runs/notes runs/repaired before-after.png

joins two runs that `train --out` left: input, prediction of the first, of the second, target.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Images = Mapping[str, NDArray[np.floating]]

ARRAYS = ("input", "prediction", "target")
ROWS = 6
GAP = 2  # px between pictures
ENLARGED = 2  # times


def write(images: Images, folder: Path) -> None:
    """`held_out.npz` with the arrays (n, s, s) and `held_out.png` with the grid."""
    given, made, wanted = (np.asarray(images[name]) for name in ARRAYS)
    np.savez_compressed(folder / "held_out.npz", input=given, prediction=made, target=wanted)
    error = 2 * np.abs(made.astype(np.float32) - wanted)
    save([given, made, wanted, error], folder / "held_out.png")


def save(columns: Sequence[NDArray[np.floating]], path: Path) -> None:
    Image.fromarray(grid(columns)).save(path, optimize=True)


def grid(columns: Sequence[NDArray[np.floating]], rows: int = ROWS) -> NDArray[np.uint8]:
    """`rows` images spread over those given, one column an array (n, s, s); white is the
    brightest of all columns but for a fiftieth of their pixels."""
    arrays = [np.asarray(c, dtype=np.float32) for c in columns]
    top = max(float(np.quantile(array, 0.98)) for array in arrays) or 1.0
    chosen = np.linspace(0, len(arrays[0]) - 1, rows).round().astype(int)
    lines = [joined([array[i] for array in arrays], axis=1) for i in chosen]
    grey = (np.clip(joined(lines, axis=0) / top, 0, 1) * 255).astype(np.uint8)
    return np.asarray(grey.repeat(ENLARGED, 0).repeat(ENLARGED, 1))


def joined(tiles: list[NDArray[np.float32]], axis: int) -> NDArray[np.float32]:
    """Tiles side by side with a white gap."""
    shape = list(tiles[0].shape)
    shape[axis] = GAP
    gap = np.full(shape, np.inf, dtype=np.float32)
    parts = [part for tile in tiles for part in (tile, gap)][:-1]
    return np.concatenate(parts, axis=axis)


def read(folder: Path) -> dict[str, NDArray[np.floating]]:
    """The arrays of a folder that `train --out` left."""
    try:
        with np.load(folder / "held_out.npz", allow_pickle=False) as file:
            return {name: file[name] for name in ARRAYS}
    except (OSError, KeyError, ValueError) as error:
        raise ValueError(f"{folder} holds no pictures left by `train --out`: {error}") from None


def main(arguments: Sequence[str] | None = None) -> int:
    words = sys.argv[1:] if arguments is None else arguments
    try:
        if len(words) != 3:
            raise ValueError("give two folders left by `train --out` and a PNG to write")
        before, after = (read(Path(word)) for word in words[:2])
        if before["input"].shape != after["input"].shape:
            raise ValueError("the two runs show different images: use the same seed and data")
        columns = [before["input"], before["prediction"], after["prediction"], before["target"]]
        save(columns, Path(words[2]))
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
