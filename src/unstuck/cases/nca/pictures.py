"""What a rule has built, to be looked at: pictures beside their targets, and error maps."""

from pathlib import Path

import numpy as np
from matplotlib import colormaps
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from unstuck.cases.nca.recipe import Recipe
from unstuck.cases.nca.scenes import Scene
from unstuck.data.weights import NotSavedError

WIDE = 144  # px a canvas is shown at, at least
GAP = 4
PAPER = 255
SPREAD = 2.5  # standard deviations that colours cover
FIELDS = (0, 2, 3)  # of the flow, that are shown: u, speed, potential
Picture = NDArray[np.uint8]


def compared(r: Recipe, found: Tensor, scene: Scene) -> Image.Image:
    """Rows of built, wanted and error, for each canvas; of the flow three of its fields."""
    return grid(rows_of(r, found, scene))


def rows_of(r: Recipe, found: Tensor, scene: Scene) -> list[list[Picture]]:
    """The same as a list of rows."""
    rows = []
    for built, wanted, mask in zip(found, scene.target, scene.mask, strict=True):
        if r.task == "grow":
            error = (built - wanted).square().mean(0).sqrt()
            rows.append([on_paper(built), on_paper(wanted), heat(error, 0.25)])
            continue
        row = []
        for field in FIELDS:
            free = mask[0].numpy() > 0
            row += [coloured(built[field], free), coloured(wanted[field], free)]
        error = (built - wanted).square().mean(0).sqrt() * mask[0]
        rows.append([*row, heat(error, 1.0)])
    return rows


def seen(r: Recipe, cells: Tensor, scene: Scene) -> Picture:
    """What one canvas (outputs, h, w) shows: the picture, or the flow's speed."""
    if r.task == "grow":
        return on_paper(cells)
    return coloured(cells[FIELDS[1]], scene.mask[0, 0].numpy() > 0)


def greys(r: Recipe, cells: Tensor, scene: Scene) -> Picture:
    """What canvases (n, outputs, h, w) show, in grey (n, h, w); obstacles are black."""
    if r.task == "grow":
        return np.asarray(np.stack([on_paper(c) for c in cells]).mean(-1), dtype=np.uint8)
    level = np.clip(cells[:, FIELDS[1]].numpy() / SPREAD, -1, 1) / 2 + 0.5
    return bytes_of(level * scene.mask[:, 0].numpy())


def on_paper(cells: Tensor) -> Picture:
    """Premultiplied RGBA (4, h, w) on white."""
    alpha = cells[3:4].clamp(0, 1)
    return bytes_of((1 - alpha + cells[:3]).clamp(0, 1).permute(1, 2, 0).numpy())


def coloured(field: Tensor, free: NDArray[np.bool_]) -> Picture:
    """A field (h, w) in units of its spread, blue to red; obstacles are dark."""
    level = np.clip(field.numpy() / SPREAD, -1, 1) / 2 + 0.5
    found = bytes_of(colormaps["coolwarm"](level)[..., :3])
    found[~free] = 40
    return found


def heat(error: Tensor, top: float) -> Picture:
    """An error (h, w) from 0, dark, to `top`, bright."""
    return bytes_of(colormaps["inferno"](np.clip(error.numpy() / top, 0, 1))[..., :3])


def bytes_of(picture: NDArray[np.floating]) -> Picture:
    return np.asarray(np.rint(np.nan_to_num(picture) * 255), dtype=np.uint8)


def grid(rows: list[list[Picture]]) -> Image.Image:
    """Pictures (h, w, 3) beside and below each other, enlarged by whole pixels."""
    side = rows[0][0].shape[0]
    times = max(1, -(-WIDE // side))
    step = side * times + GAP
    page = Image.new("RGB", (step * len(rows[0]) - GAP, step * len(rows) - GAP), (PAPER,) * 3)
    for y, row in enumerate(rows):
        for x, picture in enumerate(row):
            large = picture.repeat(times, 0).repeat(times, 1)
            page.paste(Image.fromarray(large), (x * step, y * step))
    return page


def save(page: Image.Image, file: Path) -> None:
    """A PNG, whole or not at all; NotSavedError says why not."""
    beside = file.with_name(f"part-{file.name}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        page.save(beside, "PNG")
        beside.replace(file)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise NotSavedError(f"{file} could not be written ({error})") from None
    print(file)
