"""NeRF: a scene as a network, learned from photographs with known poses.

    C = sum_i T_i alpha_i c_i
    alpha_i = 1 - exp(-sigma_i delta_i),   T_i = prod_{j<i} (1 - alpha_j)

The network gives colour c and density sigma at a point; light is gathered along each ray, what is
left of it (T behind the last sample) falls on a white background. Coordinates go in as sines and
cosines of doubling frequency: without them the scene stays a blur. These surfaces look the same
from all sides, so the network is not told the direction. Mildenhall et al., "NeRF: representing
scenes as neural radiance fields for view synthesis" (2020).

Covers: 15.33 15.34 J11
Run: unstuck case run course/nerf
Expected: psnr 23.52 +- 0.53 dB over 5 seeds (trivial answer 11) in 8 s on one core each: python -m
    unstuck.cases.course nerf --seeds 5
"""

import math
from collections.abc import Mapping
from pathlib import Path

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from unstuck.cases.course import item, loop, pictures
from unstuck.cases.course.data import views
from unstuck.cases.course.item import Fault

METRIC, HIGHER_IS_BETTER, UNIT = "psnr", True, "dB"
MARGIN = 6.0  # dB over one colour, the mean of the photographs
TINY = {"steps": 3, "batch": 32, "size": 8, "width": 8, "samples": 8}
NEAR, FAR = views.DISTANCE - 1.1, views.DISTANCE + 1.1
HELD_OUT = ((0.4, 0.3), (2.5, 0.7), (4.6, 0.5))  # poses never trained on


class Recipe(loop.Recipe):
    photographs: int = Field(20, ge=1)
    """poses around the scene, at two heights in turn"""
    size: int = Field(32, ge=2)
    """pixels a side"""
    steps: int = Field(500, ge=1)
    """updates"""
    batch: int = Field(192, ge=1)
    """rays an update"""
    samples: int = Field(32, ge=2)
    """points on a ray, each at random in its own part"""
    width: int = Field(64, ge=1)
    """hidden units of each of three layers"""
    lr: float = Field(1e-2, gt=0)
    """learning rate of Adam, falling to 0 along a cosine"""
    octaves: int = Field(5, ge=0)
    """frequencies of the positional encoding, 1 to 2^(octaves - 1) half turns a unit; 0: none"""


class Radiance(nn.Module):
    """Points (n, 3) -> colours (n, 3) in [0, 1] and densities (n,), not negative."""

    def __init__(self, width: int, octaves: int) -> None:
        super().__init__()
        self.octaves = octaves
        self.layers = nn.Sequential(
            nn.Linear(3 + 6 * octaves, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(),
            nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 4),
        )  # fmt: skip

    def forward(self, points: Tensor) -> tuple[Tensor, Tensor]:
        out = self.layers(encoded(points, self.octaves))
        return torch.sigmoid(out[:, :3]), F.softplus(10 * out[:, 3])


def encoded(points: Tensor, octaves: int) -> Tensor:
    """p, sin(2^k pi p), cos(2^k pi p) for k = 0 .. octaves - 1."""
    angles = [2.0**k * math.pi * points for k in range(octaves)]
    return torch.cat([points, *(f(a) for a in angles for f in (torch.sin, torch.cos))], 1)


def weights_along(density: Tensor, delta: Tensor) -> Tensor:
    """T_i alpha_i of the samples of each ray, (n, samples)."""
    alpha = 1 - torch.exp(-density * delta)
    through = torch.cumprod(1 - alpha, 1)
    return alpha * torch.cat([torch.ones_like(through[:, :1]), through[:, :-1]], 1)


def rendered(model: nn.Module, origin: Tensor, way: Tensor, at: Tensor) -> Tensor:
    """Colours (n, 3) of rays; `at` (n, samples) in [0, 1] places each sample in its part."""
    count = at.shape[1]
    part = (FAR - NEAR) / count
    depth = NEAR + part * (torch.arange(count) + at)
    points = origin[:, None] + depth[..., None] * way[:, None]
    colour, density = model(points.reshape(-1, 3))
    weights = weights_along(density.reshape(at.shape), torch.full_like(at, part))
    lit = (weights[..., None] * colour.reshape(*at.shape, 3)).sum(1)
    return lit + 1 - weights.sum(1, keepdim=True)


def psnr(a: Tensor, b: Tensor) -> float:
    return -10 * math.log10(float(F.mse_loss(a, b)))


FAULTS = {
    "bare-coordinates": Fault(
        {"octaves": 0}, "the balls are there but their edges and stripes are washed out"
    ),
}


def train(
    recipe: Recipe | Mapping[str, item.Scalar], seed: int, out: Path | None = None
) -> dict[str, float]:
    r = item.made(Recipe, recipe)
    poses = [(2 * math.pi * i / r.photographs, 0.25 + 0.6 * (i % 2)) for i in range(r.photographs)]
    origins, ways = (
        torch.cat(x) for x in zip(*(views.rays(*p, r.size) for p in poses), strict=True)
    )
    colours = torch.cat([views.photograph(*p, r.size) for p in poses])
    truth = torch.cat([views.photograph(*p, r.size) for p in HELD_OUT])
    own = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    model = Radiance(r.width, r.octaves)
    optimizer = torch.optim.AdamW(model.parameters(), r.lr, weight_decay=r.weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, r.steps)

    def loss(origin: Tensor, way: Tensor, colour: Tensor) -> dict[str, Tensor]:
        at = torch.rand(len(way), r.samples, generator=own)
        return {"colour": F.mse_loss(rendered(model, origin, way, at), colour)}

    def seen(around: float, height: float) -> Tensor:
        origin, way = views.rays(around, height, r.size)
        return rendered(model, origin, way, torch.full((len(way), r.samples), 0.5))

    def evaluate() -> dict[str, float]:
        made = torch.cat([seen(*pose) for pose in HELD_OUT])
        return {"val_loss": float(F.mse_loss(made, truth)), "psnr": psnr(made, truth)}

    batches = loop.minibatches((origins, ways, colours), r.batch, seed)
    metrics = loop.fit(r, model, batches, loss, evaluate, optimizer=optimizer, schedule=schedule)
    if out is not None:
        shape = (r.size, r.size, 3)
        with torch.no_grad():
            rows = [[seen(*pose).reshape(shape) for pose in HELD_OUT]]
            orbit = [seen(2 * math.pi * i / 24, 0.5).reshape(shape) for i in range(24)]
        rows.append([views.photograph(*pose, r.size).reshape(shape) for pose in HELD_OUT])
        pictures.grid(out / "picture.png", rows, row_titles=["rendered", "held-out\nphotograph"])
        pictures.clip(out / "clip.gif", torch.stack(orbit).numpy(), scale=3)
    return metrics | {"baseline": psnr(colours.mean(0).expand_as(truth), truth)}
