"""DeepSDF: a solid as a network's zero level, read out by marching cubes.

    f(p) = signed distance from p to the surface, negative inside;   L = |f(p) - d(p)|

The solid is constructive geometry: a cube cut with a ball, three bars taken out of it. A distance
has |grad f| = 1. A plain perceptron learns the slow parts first and rounds the edges off; sines of
the coordinates (Fourier features) let it learn the fast ones. Park et al., "DeepSDF" (2019);
Tancik et al., "Fourier features let networks learn high frequency functions" (2020).

Covers: 15.09 15.10 15.12 15.13 15.14 15.31 15.32 J02 J03 J04 J10
Run: unstuck case run course/implicit_shape
Expected: intersection_over_union 0.9020 +- 0.0067 over 5 seeds (trivial answer 0.286) in 1 s on
    one core each: python -m unstuck.cases.course implicit_shape --seeds 5
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from matplotlib import pyplot as plt
from pydantic import Field
from skimage.measure import marching_cubes
from torch import Tensor, nn

from unstuck.cases.course import item, loop, pictures
from unstuck.cases.course.data import solids
from unstuck.cases.course.item import Fault

METRIC, HIGHER_IS_BETTER, UNIT = "intersection_over_union", True, ""
MARGIN = 0.2  # over the ball of the same volume
TINY = {"steps": 3, "width": 16, "grid": 12}


class Recipe(loop.Recipe):
    steps: int = Field(800, ge=1)
    """updates of 512 points"""
    batch: int = Field(512, ge=1)
    """points an update, half of them near the surface"""
    lr: float = Field(3e-3, gt=0)
    """learning rate of Adam, falling to 0 along a cosine"""
    width: int = Field(64, ge=1)
    """hidden units of each of three layers"""
    waves: int = Field(24, ge=0)
    """random directions whose sine and cosine are given to the network; 0: the bare coordinates"""
    pitch: float = Field(3.0, gt=0)
    """spread of the waves' frequencies, radians a unit"""
    near: float = Field(0.5, ge=0, le=1)
    """share of points near the surface"""
    grid: int = Field(48, ge=2)
    """points a side of the grid that is read out"""


class DistanceNet(nn.Module):
    """Points (n, 3) in [-1, 1]^3 -> signed distances (n,)."""

    frequencies: Tensor

    def __init__(self, width: int, waves: int, pitch: float) -> None:
        super().__init__()
        self.register_buffer("frequencies", pitch * torch.randn(3, waves))
        self.layers = nn.Sequential(
            nn.Linear(3 + 2 * waves, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(),
            nn.Linear(width, width), nn.SiLU(), nn.Linear(width, 1),
        )  # fmt: skip

    def forward(self, points: Tensor) -> Tensor:
        angles = points @ self.frequencies
        return self.layers(torch.cat([points, angles.sin(), angles.cos()], 1))[:, 0]


def solid(points: Tensor) -> Tensor:
    """A cube cut with a ball, less three bars through it: signed distance, exact in its sign."""
    whole = solids.intersection(
        solids.box_distance(points, 0.6), solids.sphere_distance(points, 0.8)
    )
    for turn in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        whole = solids.difference(whole, solids.cylinder_distance(points[..., turn], 0.25))
    return whole


def overlap(a: Tensor, b: Tensor) -> float:
    """Volume inside both over volume inside either."""
    return float((a & b).sum() / (a | b).sum().clamp(min=1))


FAULTS = {
    "bare-coordinates": Fault(
        {"waves": 0}, "the solid comes out round: edges and thin walls are missing"
    ),
    "shrill-waves": Fault(
        {"pitch": 60.0},
        "between the points it saw the network guesses wildly: the surface is full of holes, the"
        " slope far above 1",
    ),
}


def train(
    recipe: Recipe | Mapping[str, item.Scalar], seed: int, out: Path | None = None
) -> dict[str, float]:
    r = item.made(Recipe, recipe)
    own = torch.Generator().manual_seed(seed)
    pool = 2 * torch.rand(40_000, 3, generator=own) - 1
    surface = pool[solid(pool).abs() < 0.03]
    everywhere, held_out = pool[:4000], 2 * torch.rand(2000, 3, generator=own) - 1
    count = round(len(everywhere) * r.near)
    jitter = 0.02 * torch.randn(count, 3, generator=own)
    chosen = surface[torch.randint(len(surface), (count,), generator=own)]
    points = torch.cat([chosen + jitter, everywhere[count:]])
    torch.manual_seed(seed)
    model = DistanceNet(r.width, r.waves, r.pitch)
    optimizer = torch.optim.AdamW(model.parameters(), r.lr, weight_decay=r.weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, r.steps)

    def loss(p: Tensor, distance: Tensor) -> dict[str, Tensor]:
        return {"distance": (model(p) - distance).abs().mean()}

    side = torch.linspace(-1, 1, r.grid)
    grid = torch.cartesian_prod(side, side, side)
    truth = solid(grid)

    def evaluate() -> dict[str, float]:
        return {"val_loss": float((model(held_out) - solid(held_out)).abs().mean())}

    batches = loop.minibatches((points, solid(points)), r.batch, seed)
    metrics = loop.fit(r, model, batches, loss, evaluate, optimizer=optimizer, schedule=schedule)
    with torch.no_grad():
        learned = torch.cat([model(part) for part in grid.split(8192)])
    asked = held_out.clone().requires_grad_()
    (slope,) = torch.autograd.grad(model(asked).sum(), asked)
    if out is not None:
        _draw(out / "picture.png", learned, truth, r.grid)
    ball = solids.sphere_distance(grid, _radius_of(float((truth < 0).float().mean()) * 8))
    return metrics | {
        "intersection_over_union": overlap(learned < 0, truth < 0),
        "mean_slope": float(slope.norm(dim=1).mean()),
        "baseline": overlap(ball < 0, truth < 0),
    }


def _radius_of(volume: float) -> float:
    return float((volume * 3 / (4 * np.pi)) ** (1 / 3))


def _draw(file: Path, learned: Tensor, truth: Tensor, size: int) -> None:
    """Both surfaces, and both distances on the plane z = 0."""
    figure = plt.figure(figsize=(6.4, 1.9))
    for column, (name, values) in enumerate((("learned", learned), ("true", truth))):
        cube = values.reshape(size, size, size).numpy()
        axis = figure.add_subplot(1, 4, column + 1, projection="3d")
        if cube.min() < 0 < cube.max():
            corners, faces, _, _ = marching_cubes(cube, 0.0, step_size=2)
            axis.plot_trisurf(*corners.T[:2], faces, corners.T[2], color="tab:blue")
        axis.set_box_aspect((1, 1, 1), zoom=1.5)
        axis.set_axis_off()
        axis.set_title(name, fontsize=8)
        flat = figure.add_subplot(1, 4, column + 3)
        flat.imshow(cube[:, :, size // 2], cmap="RdBu", vmin=-0.6, vmax=0.6)
        flat.contour(cube[:, :, size // 2], levels=[0.0], colors="black", linewidths=0.8)
        flat.set_axis_off()
        flat.set_title(f"{name}, z = 0", fontsize=8)
    figure.tight_layout(pad=0.3)
    figure.savefig(file, dpi=pictures.DPI)
    plt.close(figure)
