"""Random views of pictures: each changed in a way of its own."""

import torch
from torch import Tensor
from torch.nn import functional as F


def affine_views(
    x: Tensor,
    source: torch.Generator,
    *,
    zoom: float = 0.3,
    turn: float = 0.4,
    shift: float = 0.2,
) -> Tensor:
    """Pictures (n, c, h, w), each seen through a random affine map; the border is continued.

    `zoom` is the largest change of the map's entries, `turn` the largest angle in radians, `shift`
    the largest move as a share of half the picture.
    """
    n = len(x)
    angle = turn * _uniform(n, source=source)
    turns = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], 1).view(n, 2, 2)
    stretch = torch.eye(2) + zoom * _uniform(n, 2, 2, source=source)
    move = shift * _uniform(n, 2, 1, source=source)
    where = F.affine_grid(torch.cat([turns @ stretch, move], 2), list(x.shape), align_corners=False)
    return F.grid_sample(x, where, padding_mode="border", align_corners=False)


def stroke_views(x: Tensor, source: torch.Generator) -> Tensor:
    """Pictures (n, c, h, w), light on dark, with strokes thicker or thinner by up to a pixel."""
    change = _uniform(len(x), 1, 1, 1, source=source)
    thick, thin = F.max_pool2d(x, 3, 1, 1), -F.max_pool2d(-x, 3, 1, 1)
    return x + change.clamp(min=0) * (thick - x) + (-change).clamp(min=0) * (thin - x)


def _uniform(*shape: int, source: torch.Generator) -> Tensor:
    """Numbers from -1 to 1."""
    return 2 * torch.rand(*shape, generator=source) - 1
