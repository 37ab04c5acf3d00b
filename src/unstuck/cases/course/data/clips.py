"""Drawn clips: a shape moves over a textured ground; what it does is the class, not what it is.

Any single frame looks alike for all classes: same shapes, colours, places. Made from a seed.
"""

from typing import NamedTuple

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

MOTIONS = ("right", "left", "down", "up", "clockwise", "anticlockwise")


class Clips(NamedTuple):
    """Clips (n, t, s, s) in [0, 1] and their motions (n,)."""

    frames: Tensor
    motions: Tensor


def draw(count: int, seed: int, *, frames: int = 8, size: int = 16) -> Clips:
    random = np.random.default_rng(seed)
    motions = random.integers(len(MOTIONS), size=count)
    clips = [_clip(MOTIONS[m], frames, size, random) for m in motions]
    return Clips(torch.from_numpy(np.stack(clips).astype(np.float32)), torch.from_numpy(motions))


def _clip(motion: str, frames: int, size: int, random: np.random.Generator) -> np.ndarray:
    """(t, s, s): a disc, square or ring that moves on a line or a circle, round the edges."""
    x, y = _path(motion, frames, size, random)
    kind, radius = random.integers(3), random.uniform(1.8, 3.0)
    ground = ndimage.gaussian_filter(random.standard_normal((size, size)), 1.0, mode="wrap")
    ground = random.uniform(0.1, 0.4) + 0.1 * ground / ground.std()
    rows, columns = np.mgrid[:size, :size]
    pictures = []
    for t in range(frames):
        u = (columns - x[t] + size / 2) % size - size / 2  # the picture's edges are joined
        v = (rows - y[t] + size / 2) % size - size / 2
        away = np.maximum(abs(u), abs(v)) if kind == 1 else np.hypot(u, v)
        inside = (away < radius) & ((kind != 2) | (away > radius - 1.2))
        pictures.append(np.where(inside, 0.95, ground))
    noise = 0.05 * random.standard_normal((frames, size, size))
    return (np.stack(pictures) + noise).clip(0, 1)


def _path(
    motion: str, frames: int, size: int, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    t = np.arange(frames)
    x, y = random.uniform(0, size, 2)
    if motion in ("clockwise", "anticlockwise"):
        turn = random.uniform(0.5, 0.8) * (1 if motion == "clockwise" else -1)  # y points down
        angle, reach = random.uniform(0, 2 * np.pi) + turn * t, random.uniform(3.0, 4.5)
        return x + reach * np.cos(angle), y + reach * np.sin(angle)
    speed = random.uniform(0.8, 1.8)
    towards = {"right": (1, 0), "left": (-1, 0), "down": (0, 1), "up": (0, -1)}[motion]
    return x + speed * towards[0] * t, y + speed * towards[1] * t
