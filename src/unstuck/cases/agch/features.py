"""Image features: MobileNetV2 on pictures of any size, kept in the cache once they are made.

About 90 pictures a second on one core. The features are what the last convolution says, averaged
over all positions: 1,280 numbers that are never below zero.
"""

import sys
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from torch import Tensor
from torch.nn.functional import interpolate

from unstuck.data.mobilenet import MEAN, STD, MobileNetV2, load
from unstuck.data.package import cache, write_whole

SIZE = 128  # px that the network sees
WIDTH = 1280  # features of a picture
BATCH = 64

Pictures = NDArray[np.uint8]  # (n, s, s, 3) RGB


def cached(name: str, items: int, pictures: Callable[[], Iterable[Pictures]]) -> Tensor:
    """Features (items, 1280) float32 kept under `name`; `pictures` gives batches to make them.

    They are kept as float16, whole or not at all; a file that is none of ours is made anew.
    """
    file = cache() / f"{name}-mobilenet-v2-{SIZE}.npz"
    found = _kept(file, items)
    if found is None:
        file.parent.mkdir(parents=True, exist_ok=True)
        found = made(pictures(), items, name).numpy().astype(np.float16)
        write_whole(file, {"features": found})
    return torch.from_numpy(found).float()


def _kept(file: Path, items: int) -> NDArray[np.float16] | None:
    """What the file holds; None where it is missing, broken or of other items."""
    if not file.is_file() or file.stat().st_size > 2 * items * WIDTH + 10_000:
        return None
    try:
        with file.open("rb") as opened:
            found = np.load(opened, allow_pickle=False)["features"]
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        return None
    fits = found.shape == (items, WIDTH) and found.dtype == np.float16
    return found if fits else None


@torch.no_grad()
def made(batches: Iterable[Pictures], items: int, name: str) -> Tensor:
    """Features (items, 1280) of all pictures of the batches, in order, with progress on stderr."""
    network = load()
    console = Console(stderr=True)
    found = []
    steps = track(
        batches,
        description=f"features of {items:,} {name}",
        total=-(-items // BATCH),
        console=console,
        disable=not sys.stderr.isatty(),
    )
    for pictures in steps:
        found.append(features(network, pictures))
    return torch.cat(found)


@torch.no_grad()
def features(network: MobileNetV2, pictures: Pictures) -> Tensor:
    """(n, s, s, 3) bytes -> (n, 1280): enlarged to 128 px, normalised, mean over positions."""
    x = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255
    x = interpolate(x, (SIZE, SIZE), mode="bicubic", antialias=True, align_corners=False)
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (MEAN, STD))
    found: Tensor = network.features((x.clamp(0, 1) - mean) / std).mean((2, 3))
    return found
