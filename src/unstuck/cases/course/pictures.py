"""Pictures of what an item learned, drawn with matplotlib: grids, heat maps, curves, clips."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from PIL import Image

matplotlib.use("Agg")  # no screen needed
from matplotlib import pyplot as plt

PER_CELL = 0.9  # inches of a grid's cell
DPI = 110


def grid(
    file: Path,
    rows: Sequence[Any],
    *,
    titles: Sequence[str] = (),
    row_titles: Sequence[str] = (),
    limits: tuple[float, float] | None = (0, 1),
    colours: str = "gray",
) -> None:
    """Pictures in rows; each (h, w), (1, h, w), (3, h, w) or (h, w, 3).

    `titles` stand above the columns, `row_titles` beside the rows. Grey values run over `limits`
    (None: each picture over its own range); `colours` is matplotlib's map for them.
    """
    widest = max(len(row) for row in rows)
    size = (widest * PER_CELL + 0.9 * bool(row_titles), len(rows) * PER_CELL + 0.3)
    figure, axes = plt.subplots(len(rows), widest, figsize=size, squeeze=False)
    for i, row in enumerate(rows):
        for j, axis in enumerate(axes[i]):
            axis.set_xticks([])
            axis.set_yticks([])
            axis.set_frame_on(False)
            if j < len(row):
                low, high = limits or (None, None)
                axis.imshow(_image(row[j]), cmap=colours, vmin=low, vmax=high)
            if i == 0 and j < len(titles):
                axis.set_title(titles[j], fontsize=7)
        if i < len(row_titles):
            axes[i][0].set_ylabel(row_titles[i], fontsize=7, rotation=0, ha="right", va="center")
    _save(figure, file)


def curves(
    file: Path,
    lines: Mapping[str, tuple[Any, Any] | Any],
    *,
    x: str,
    y: str,
    log_x: bool = False,
    log_y: bool = False,
    markers: bool = False,
) -> None:
    """Lines by name, each (x values, y values) or y values alone, with labelled axes."""
    figure, axis = plt.subplots(figsize=(4.6, 2.8))
    for name, line in lines.items():
        values = line if isinstance(line, tuple) else (np.arange(len(np.asarray(line))), line)
        axis.plot(*values, "o-" if markers else "-", label=name, linewidth=1.3, markersize=3)
    axis.set_xlabel(x, fontsize=8)
    axis.set_ylabel(y, fontsize=8)
    axis.tick_params(labelsize=7)
    if log_x:
        axis.set_xscale("log")
    if log_y:
        axis.set_yscale("log")
    if len(lines) > 1:
        axis.legend(fontsize=7, frameon=False)
    axis.spines[["top", "right"]].set_visible(False)
    _save(figure, file)


def clip(file: Path, frames: Any, *, seconds: float = 0.1, scale: int = 2) -> None:
    """A looping GIF from frames (t, h, w) or (t, h, w, 3) in [0, 1]; each pixel `scale` wide."""
    values = np.round(np.clip(np.asarray(frames, dtype=np.float32), 0, 1) * 255).astype(np.uint8)
    pages = [Image.fromarray(v.repeat(scale, 0).repeat(scale, 1)) for v in values]
    pages[0].save(
        file, save_all=True, append_images=pages[1:], duration=int(seconds * 1000), loop=0
    )


def _image(values: Any) -> np.ndarray:
    picture = np.asarray(values, dtype=np.float32)
    if picture.ndim == 3 and picture.shape[0] in (1, 3):
        picture = picture.transpose(1, 2, 0)
    if picture.ndim == 3 and picture.shape[2] == 1:
        picture = picture[..., 0]
    return np.clip(picture, 0, 1) if picture.ndim == 3 else picture


def _save(figure: Any, file: Path) -> None:
    figure.tight_layout(pad=0.4)
    figure.savefig(file, dpi=DPI)
    plt.close(figure)
