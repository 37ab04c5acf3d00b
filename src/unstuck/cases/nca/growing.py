"""The growing task: from one cell to a picture, and for good.

A picture has transparency: colours are premultiplied by alpha, and the rest of the canvas is empty.
One rule may grow several: their seeds differ in the hidden channels after alpha, one for each.
"""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, UnidentifiedImageError
from torch import Generator, Tensor

from unstuck.cases.nca import sample
from unstuck.cases.nca.recipe import Recipe
from unstuck.cases.nca.rule import ALPHA
from unstuck.cases.nca.scenes import DOMAIN, TOP, Scene, coordinates, corners, cropped, judged

LARGEST = 4096  # px of a picture file's side
SHARE = 5 / 9  # of the canvas, where no size is asked for: 40 of 72


class Growing:
    """The task at one size of its canvas."""

    outputs = 4

    def __init__(self, r: Recipe, size: int = 0) -> None:
        self.recipe, self.size = r, size or r.size
        self.given = 2 if r.coordinates != "none" else 0
        asked = r.picture or max(1, round(SHARE * r.size))
        picture = max(1, round(asked * self.size / r.size))
        one = Path(r.image).is_file()  # whose name may have commas
        names = [r.image] if one else [name.strip() for name in r.image.split(",")]
        if len(names) > r.channels - ALPHA - 1:
            raise ValueError(f"{len(names)} pictures are more than {r.channels} channels can tell")
        self.targets = torch.cat([placed(name, picture, self.size) for name in names])

    def entries(self, count: int, side: int, lots: Generator) -> Tensor:
        """Random crops (n, 4) of the pictures."""
        which = torch.zeros(count)
        if len(self.targets) > 1:
            which = torch.randint(0, len(self.targets), (count,), generator=lots).float()
        edges = corners(count, self.size, side, lots)
        return torch.cat([which[:, None], torch.zeros(count, 1), edges], 1)

    def held_out(self) -> Tensor:
        """The whole canvas, under eight sequences of random numbers."""
        found = torch.zeros(8, 4)
        found[:, DOMAIN] = torch.arange(8) % len(self.targets)
        return found

    def start(self, entries: Tensor, side: int, channels: int) -> Tensor:
        """One living cell in the middle of each canvas or crop (n, channels, side, side)."""
        state = torch.zeros(len(entries), channels, side, side)
        middle = state[:, :, side // 2, side // 2]
        middle[:, ALPHA:] = 1.0
        if len(self.targets) > 1:
            places = torch.arange(len(entries)), ALPHA + 1 + entries[:, DOMAIN].long()
            middle[places] -= self.recipe.apart
        return state

    def scene(self, entries: Tensor, side: int) -> Scene:
        whole = self.targets[entries[:, DOMAIN].long()]
        given = coordinates(self.recipe, entries, side, self.size)
        mask = judged(entries[:, TOP:], side, self.size, self.recipe.margin)
        return Scene(given, cropped(whole, entries, side), mask)


def placed(image: str, picture: int, size: int) -> Tensor:
    """A picture (1, 4, size, size) whose longer side is `picture` px, in the middle of a canvas.

    `image` is a file or a picture of the sample by name. ValueError in one line where it is
    neither, is no picture, has no alpha or is empty.
    """
    if picture > size:
        raise ValueError(f"a picture of {picture} px is larger than the canvas of {size}")
    drawn = opened(image)
    longer = max(drawn.size)
    sides = [max(1, round(side * picture / longer)) for side in drawn.size]
    values = np.asarray(drawn, dtype=np.float32) / 255
    values[..., :3] *= values[..., 3:]
    cells = torch.from_numpy(values).permute(2, 0, 1)[None]
    cells = F.interpolate(cells, sides[::-1], mode="bilinear", antialias=True).clamp(0, 1)
    left, top = ((size - side) // 2 for side in sides)
    return F.pad(cells, (left, size - sides[0] - left, top, size - sides[1] - top))


def opened(image: str) -> Image.Image:
    """A picture with transparency, cut to what is not empty; ValueError in one line."""
    if image in sample.NAMES:
        return sample.picture(image)
    file = Path(image)
    known = ", ".join(sample.NAMES)
    if not file.is_file():
        raise ValueError(f"no picture {image!r}: a file, or one of the sample: {known}")
    try:
        with Image.open(file) as found:
            if max(found.size) > LARGEST:
                raise ValueError(f"{image} is {found.size} px: {LARGEST} at most")
            has_alpha = found.mode in ("RGBA", "LA", "PA") or "transparency" in found.info
            if not has_alpha:
                raise ValueError(
                    f"{image} is {found.mode} without alpha, which tells what is to be grown from "
                    "what is empty: save it as RGBA with a transparent background"
                )
            drawn = found.convert("RGBA")
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
        raise ValueError(f"{image} is no picture that can be read: {error}") from None
    box = drawn.getchannel("A").getbbox()
    if box is None:
        raise ValueError(f"{image} is wholly transparent: there is nothing to grow")
    return drawn.crop(box)
