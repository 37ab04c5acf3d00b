"""Drawn scenes: coloured shapes on a textured ground, with masks and boxes; made from a seed.

Four kinds of shape in many sizes, each with a colour of its own, mixed with any other. Shapes may
touch but do not overlap. With `told`, the ground's colour gives the first shape's kind away.
"""

from typing import NamedTuple

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

KINDS = ("disc", "square", "triangle", "cross")
HUES = np.array([[1.0, 0.6, 0.0], [0.1, 0.5, 1.0], [0.1, 0.8, 0.2], [0.9, 0.2, 0.8]])


class Scenes(NamedTuple):
    """Pictures (n, 3, s, s) in [0, 1]; masks (n, s, s), 0 ground, k + 1 kind k.

    Boxes (n, shapes, 4) as x0, y0, x1, y1 in pixels (x1, y1 just outside) and kinds (n, shapes),
    -1 where a picture has fewer shapes.
    """

    pictures: Tensor
    masks: Tensor
    boxes: Tensor
    kinds: Tensor


def draw(
    count: int, size: int, seed: int, *, shapes: tuple[int, int] = (1, 3), told: bool = False
) -> Scenes:
    """`count` scenes of `size` px with from `shapes[0]` to `shapes[1]` shapes each."""
    random = np.random.default_rng(seed)
    pictures = np.empty((count, 3, size, size), np.float32)
    masks = np.zeros((count, size, size), np.int64)
    boxes = np.zeros((count, shapes[1], 4), np.float32)
    kinds = np.full((count, shapes[1]), -1)
    for n in range(count):
        placed: list[tuple[int, int, int, int]] = []
        for k in range(random.integers(shapes[0], shapes[1] + 1)):
            box = _free_place(size, placed, random)
            if box is None:
                break
            placed.append(box)
            kinds[n, k], boxes[n, k] = random.integers(len(KINDS)), box
        pictures[n] = _ground(size, random, kinds[n, 0] if told else None)
        for kind, box in zip(kinds[n], placed, strict=False):
            inside = shape(KINDS[kind], size, box)
            colour = 0.65 * HUES[kind] + 0.35 * random.uniform(0, 1, 3)
            shade = 0.06 * random.standard_normal((3, size, size))
            pictures[n] = np.where(inside, colour[:, None, None] + shade, pictures[n])
            masks[n][inside] = kind + 1
    tensors = (torch.from_numpy(a) for a in (pictures.clip(0, 1), masks, boxes, kinds))
    return Scenes(*tensors)


def shape(kind: str, size: int, box: tuple[int, int, int, int]) -> np.ndarray:
    """(size, size), true inside the shape that fills `box`."""
    x0, y0, x1, y1 = box
    y, x = np.mgrid[:size, :size] + 0.5
    u, v = 2 * (x - x0) / (x1 - x0) - 1, 2 * (y - y0) / (y1 - y0) - 1  # -1 .. 1 in the box
    inside = {
        "disc": u**2 + v**2 < 1,
        "square": np.maximum(abs(u), abs(v)) < 1,
        "triangle": (abs(u) < (v + 1) / 2) & (v < 1),
        "cross": (np.minimum(abs(u), abs(v)) < 0.36) & (np.maximum(abs(u), abs(v)) < 1),
    }
    return inside[kind]


def _free_place(
    size: int, placed: list[tuple[int, int, int, int]], random: np.random.Generator
) -> tuple[int, int, int, int] | None:
    """A box that overlaps no other, a third to half as wide as the picture; None after 20 tries."""
    for _ in range(20):
        side = int(random.integers(size * 5 // 16, size // 2 + 1))
        x, y = (int(value) for value in random.integers(0, size - side + 1, 2))
        if all(x >= b[2] or y >= b[3] or x + side <= b[0] or y + side <= b[1] for b in placed):
            return x, y, x + side, y + side
    return None


def _ground(size: int, random: np.random.Generator, kind: int | None) -> np.ndarray:
    """Smooth patches of two colours; both reddish, greenish, bluish or greyish, to tell `kind`."""
    colours = random.uniform(0.1, 0.7, (2, 3))
    if kind is not None:
        colours = 0.4 * colours + 0.5 * np.array([*np.eye(3), np.full(3, 0.4)])[kind]
    field = ndimage.gaussian_filter(random.standard_normal((size, size)), 2.0)
    share = 1 / (1 + np.exp(-3 * field / field.std()))
    ground = colours[0][:, None, None] * share + colours[1][:, None, None] * (1 - share)
    return ground + 0.06 * random.standard_normal((3, size, size))
