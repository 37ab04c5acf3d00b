"""Fashion-MNIST: 60,000 + 10,000 pictures of clothes, 28 x 28 grey, ten classes (MIT licence).

Xiao, Rasul, Vollgraf, "Fashion-MNIST" (2017). From the Debian package dataset-fashion-mnist; the
embedded sample holds 3,000 training and 1,000 test pictures.
"""

import gzip
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from unstuck.data.package import Package, cache, unpacked, write_whole

NAMES = (
    "t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot",
)  # fmt: skip
MEAN, STD = 0.286, 0.353  # of the training pixels in [0, 1]
PACKAGE = Package(
    "debian",
    "dataset-fashion-mnist",
    "0.0~git20200523.55506a9-1",
    "39e172fe32dd318ebb3e512220c3beea2fa47d7e20bab348fb4e0922d6beefc0",
)
SAMPLE = Path(__file__).parent / "fashion.npz"


class Pictures(NamedTuple):
    """Pictures (n, 1, 28, 28) in [0, 1] and their classes (n,)."""

    train_x: Tensor
    train_y: Tensor
    test_x: Tensor
    test_y: Tensor


def load(train: int, test: int = 1000, *, sample: bool = False) -> Pictures:
    """The first `train` and `test` pictures (the order of the set is random already)."""
    if sample:
        kept = np.load(SAMPLE, allow_pickle=False)
    else:
        file = cache() / "fashion-mnist.npz"
        if not file.exists():
            _convert(file)
        kept = np.load(file, allow_pickle=False)
    return Pictures(
        _pictures(kept["train_x"][:train]),
        torch.from_numpy(kept["train_y"][:train].astype(np.int64)),
        _pictures(kept["test_x"][:test]),
        torch.from_numpy(kept["test_y"][:test].astype(np.int64)),
    )


def _pictures(values: np.ndarray) -> Tensor:
    return torch.from_numpy(values.astype(np.float32))[:, None] / 255


def _convert(file: Path) -> None:
    """The package's four files as one array file, written whole or not at all."""
    folder = unpacked(PACKAGE) / "usr" / "share" / "datasets" / "fashion-mnist"
    arrays = {}
    for part, prefix in (("train", "train"), ("test", "t10k")):
        pixels = gzip.decompress((folder / f"{prefix}-images-idx3-ubyte.gz").read_bytes())
        labels = gzip.decompress((folder / f"{prefix}-labels-idx1-ubyte.gz").read_bytes())
        arrays[f"{part}_x"] = np.frombuffer(pixels, np.uint8, offset=16).reshape(-1, 28, 28)
        arrays[f"{part}_y"] = np.frombuffer(labels, np.uint8, offset=8)
    write_whole(file, arrays)
