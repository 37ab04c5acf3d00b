"""Photographs of a drawn scene from known poses: three coloured balls, one of them striped.

A pose is an angle around the scene and a height above it; the camera looks at the middle from
DISTANCE. Rays meet the balls in closed form; light comes from above, the background is white.
"""

import math

import torch
from torch import Tensor

DISTANCE, FIELD = 3.0, 0.42  # of the camera; half the picture's width at distance 1
BALLS = (  # middle, radius, colour
    ((-0.35, 0.3, 0.0), 0.5, (0.9, 0.25, 0.2)),
    ((0.5, 0.35, -0.1), 0.35, (0.2, 0.6, 0.3)),
    ((0.15, -0.5, 0.1), 0.4, (0.25, 0.35, 0.9)),
)
LIGHT = (0.3, 0.2, 0.93)


def rays(around: float, height: float, size: int) -> tuple[Tensor, Tensor]:
    """The camera's place (size^2, 3) and the directions (size^2, 3), of length 1, of its pixels."""
    flat = math.cos(height)
    backwards = torch.tensor([flat * math.cos(around), flat * math.sin(around), math.sin(height)])
    right = torch.tensor([-math.sin(around), math.cos(around), 0.0])
    upwards = torch.linalg.cross(backwards, right)
    side = (torch.arange(size) + 0.5) / size * 2 - 1
    up, across = torch.meshgrid(-side, side, indexing="ij")
    way = FIELD * (across[..., None] * right + up[..., None] * upwards) - backwards
    way = way.reshape(-1, 3)
    return (DISTANCE * backwards).expand(len(way), 3), way / way.norm(dim=1, keepdim=True)


def photograph(around: float, height: float, size: int) -> Tensor:
    """(size^2, 3) colours in [0, 1]."""
    origin, way = rays(around, height, size)
    colours, nearest = torch.ones(len(way), 3), torch.full((len(way),), torch.inf)
    for number, (middle, radius, colour) in enumerate(BALLS):
        away = origin - torch.tensor(middle)
        half = (away * way).sum(1)
        root = half**2 - (away**2).sum(1) + radius**2
        depth = -half - root.clamp(min=0).sqrt()
        seen = (root > 0) & (depth < nearest)
        point = origin + depth[:, None] * way
        normal = (point - torch.tensor(middle)) / radius
        shade = 0.55 + 0.45 * (normal @ torch.tensor(LIGHT))
        paint = torch.tensor(colour).expand(len(way), 3)
        if number == 0:
            stripe = torch.sin(14 * point[:, 2:]) > 0
            paint = torch.where(stripe, paint, torch.tensor((0.95, 0.9, 0.6)))
        colours = torch.where(seen[:, None], (paint * shade[:, None]).clamp(0, 1), colours)
        nearest = torch.where(seen, depth, nearest)
    return colours
