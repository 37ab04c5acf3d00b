"""Pictures of what was found: a query left, its nearest items right, nearest first."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from textwrap import wrap
from typing import Any

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image

matplotlib.use("Agg")  # no screen needed
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

Picture = NDArray[np.uint8]  # (s, s, 3)

MOST_BYTES = 300_000  # of a file
DPI = 130
CELL = 0.86  # inches
LINE, LINES = 15, 6  # letters of a line of words in a cell, and lines
RIGHT, WRONG, NEITHER = "#009E73", "#D55E00", "#999999"  # apart for colour-blind eyes too
MARKS = {True: "\N{CHECK MARK}", False: "\N{MULTIPLICATION X}", None: ""}
COLOURS = {True: RIGHT, False: WRONG, None: NEITHER}


@dataclass(frozen=True)
class Item:
    """Something asked with, or found. Without a picture its `words` are shown in its place."""

    name: str
    picture: Picture | None = None
    words: Sequence[str] = ()
    note: str = ""  # under a found item, such as its distance
    relevant: bool | None = None  # None: nobody knows


@dataclass(frozen=True)
class Row:
    query: Item | None  # None: a further line of the same query
    found: Sequence[Item]


def grid(file: Path, rows: Sequence[Row], title: str) -> None:
    """One line a row; a found item's frame tells whether it is relevant, by colour and by mark."""
    widest = 1 + max(len(row.found) for row in rows)
    size = (widest * CELL + 0.3, len(rows) * CELL * 1.36 + 0.55)
    figure = plt.figure(figsize=size)
    ratios = [1.25] + [1.0] * (widest - 1)
    spec = figure.add_gridspec(
        len(rows),
        widest,
        width_ratios=ratios,
        wspace=0.12,
        hspace=0.42,
        left=0.02,
        right=0.985,
        top=1 - 0.36 / size[1],
        bottom=0.32 / size[1],
    )
    for i, row in enumerate(rows):
        if row.query is not None:
            _cell(figure.add_subplot(spec[i, 0]), row.query, asked=True)
        for j, item in enumerate(row.found):
            _cell(figure.add_subplot(spec[i, j + 1]), item, asked=False)
    figure.text(0.02, 1 - 0.2 / size[1], title, fontsize=8, va="center")
    save(figure, file)


def _cell(axis: Axes, item: Item, asked: bool) -> None:
    axis.set_xticks([])
    axis.set_yticks([])
    if item.picture is not None:
        axis.imshow(item.picture, interpolation="bicubic", aspect="equal")
    else:
        axis.set_xlim(0, 1)
        axis.set_ylim(0, 1)
        axis.set_aspect("equal")
        lines = wrap(", ".join(item.words) or item.name, LINE + 2 * asked)
        kept = lines[:LINES] + ["..."] * (len(lines) > LINES)
        size = 6.2 if asked else 5.2
        axis.text(0.5, 0.5, "\n".join(kept), fontsize=size, ha="center", va="center")
    for spine in axis.spines.values():
        spine.set_color("#000000" if asked else COLOURS[item.relevant])
        spine.set_linewidth(0.8 if asked else 2.0)
    below = [*wrap(item.name, LINE + 1, max_lines=2, placeholder="..."), item.note]
    axis.set_xlabel("\n".join(filter(None, below)), fontsize=5.4, labelpad=2, linespacing=1.05)
    if not asked and item.relevant is not None:
        _mark(axis, item.relevant)


def _mark(axis: Axes, relevant: bool) -> None:
    """The same as the frame's colour, for who cannot tell the colours apart."""
    box: dict[str, Any] = {
        "boxstyle": "square,pad=0.15",
        "facecolor": COLOURS[relevant],
        "edgecolor": "none",
    }
    mark = axis.text(1, 1, MARKS[relevant], fontsize=5.5, color="white", ha="right", va="top")
    mark.set_transform(axis.transAxes)
    mark.set_bbox(box)


def save(figure: Figure, file: Path) -> None:
    """A PNG of at most 256 colours; smaller where it would take more than `MOST_BYTES`."""
    buffer = BytesIO()
    figure.savefig(buffer, dpi=DPI, facecolor="white")
    plt.close(figure)
    with Image.open(buffer) as drawn:
        picture = drawn.convert("RGB")
    file.parent.mkdir(parents=True, exist_ok=True)
    while True:
        few = picture.quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        buffer = BytesIO()
        few.save(buffer, "PNG", optimize=True)
        if buffer.tell() <= MOST_BYTES:
            break
        smaller = (int(picture.width * 0.85), int(picture.height * 0.85))
        picture = picture.resize(smaller, Image.Resampling.LANCZOS)
    file.write_bytes(buffer.getvalue())
