"""SimCLR: two views of a picture attract, all other pictures of the batch repel.

NT-Xent over the 2N views of N pictures, with s the cosine of the projections z = g(h), h = f(x):

    l(i, j) = -log exp(s(i, j) / tau) / sum over k != i of exp(s(i, k) / tau)

It is the cross-entropy of a (2N - 1)-way choice, log(2N - 1) where all views look alike. The head
g is thrown away afterwards: h keeps what the augmentations make z forget. Chen, Kornblith, Norouzi,
Hinton, "A Simple Framework for Contrastive Learning of Visual Representations" (2020).

Covers: 12.02 12.05 12.26 12.27 12.28 12.29 12.30 12.31 12.34 H02 H13 H18
Run: unstuck case run course/simclr
Expected: linear_probe 0.760 +- 0.014 over 5 seeds (trivial answer 0.473) in 7 s on one core each:
    python -m unstuck.cases.course simclr --seeds 5
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from unstuck.cases.course import item, loop, pictures
from unstuck.cases.course.data import digits
from unstuck.cases.course.data.augmentation import affine_views
from unstuck.cases.course.data.probe import linear_probe
from unstuck.cases.course.item import Fault

METRIC, HIGHER_IS_BETTER, UNIT = "linear_probe", True, ""
MARGIN = 0.2  # over the same probe on the same encoder before training
TINY = {"steps": 3, "train": 128, "width": 4, "batch": 16}


class Recipe(loop.Recipe):
    train: int = Field(8000, ge=1)
    """pictures without labels"""
    labelled: int = Field(100, ge=1)
    """labels the probe gets, about ten a class"""
    steps: int = Field(200, ge=1)
    """updates"""
    batch: int = Field(128, ge=2)
    """pictures an update, twice as many views: each has 2 batch - 2 negatives"""
    lr: float = Field(2e-3, gt=0)
    """learning rate of Adam"""
    width: int = Field(16, ge=1)
    """channels of the first convolution; the third has four times as many"""
    tau: float = Field(0.2, gt=0)
    """temperature; smaller looks at the hardest negatives only"""
    negatives: bool = True
    """pictures repel each other; else views of one picture only attract"""
    zoom: float = Field(0.3, ge=0)
    """views are stretched and slanted by up to this share"""
    turn: float = Field(0.4, ge=0)
    """views are turned by up to this many radians"""
    shift: float = Field(0.2, ge=0)
    """views are moved by up to this share of half the picture"""


class SimCLR(nn.Module):
    """(n, 1, 28, 28) -> z (n, 32); the encoder's h (n, 4 width) are averaged convolutions."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(1, width, 3, 2, 1), nn.BatchNorm2d(width), nn.ReLU(),
            nn.Conv2d(width, 2 * width, 3, 2, 1), nn.BatchNorm2d(2 * width), nn.ReLU(),
            nn.Conv2d(2 * width, 4 * width, 3, 2, 1), nn.BatchNorm2d(4 * width), nn.ReLU(),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        )  # fmt: skip
        self.projection = nn.Sequential(nn.Linear(4 * width, 64), nn.ReLU(), nn.Linear(64, 32))

    def forward(self, x: Tensor) -> Tensor:
        return self.projection(self.encoder(x))


def nt_xent(z: Tensor, tau: float) -> Tensor:
    """Projections (2N, d), views i and i + N of one picture, to the mean loss of all 2N views."""
    z = F.normalize(z, dim=1)
    scores = z @ z.T / tau
    itself = torch.eye(len(z), dtype=torch.bool)
    everything = scores.masked_fill(itself, -torch.inf).logsumexp(1)
    partner = torch.arange(len(z)).roll(len(z) // 2)
    attraction = scores[torch.arange(len(z)), partner]
    return (everything - attraction).mean()


def attraction_alone(z: Tensor, tau: float) -> Tensor:
    """NT-Xent's numerator alone: least where all projections are the same."""
    return -F.cosine_similarity(z, z.roll(len(z) // 2, 0)).mean() / tau


FAULTS = {
    "no-augmentation": Fault(
        {"zoom": 0.0, "turn": 0.0, "shift": 0.0},
        "both views are the same picture: the loss falls at once to its floor, nothing has to be"
        " recognised and the features stay poor",
    ),
    "no-negatives": Fault(
        {"negatives": False},
        "nothing keeps pictures apart: all of them get the same projection",
        ("COL004",),
    ),
}


def train(
    recipe: Recipe | Mapping[str, item.Scalar], seed: int, out: Path | None = None
) -> dict[str, float]:
    r = item.made(Recipe, recipe)
    data = digits.load(r.train, sample=r.sample)
    train_x, test_x = ((x - digits.MEAN) / digits.STD for x in (data.train_x, data.test_x))
    source = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    model = SimCLR(r.width)

    def view(x: Tensor, source: torch.Generator) -> Tensor:
        return affine_views(x, source, zoom=r.zoom, turn=r.turn, shift=r.shift)

    def probe(features: nn.Module) -> float:
        labelled = features(train_x[: r.labelled]), data.train_y[: r.labelled]
        return linear_probe(*labelled, features(test_x), data.test_y)

    def probes() -> dict[str, float]:
        return {"linear_probe": probe(model.encoder), "probe_of_z": probe(model)}

    def loss(x: Tensor) -> dict[str, Tensor]:
        views = torch.cat([view(x, source), view(x, source)])
        z = model(views)
        return {"contrastive": nt_xent(z, r.tau) if r.negatives else attraction_alone(z, r.tau)}

    def evaluate() -> dict[str, float]:
        x, fixed = test_x[: r.batch], torch.Generator().manual_seed(0)
        views = torch.cat([view(x, fixed), view(x, fixed)])
        return {"val_loss": float(nt_xent(model(views), r.tau))}

    before = loop.looked_at(model, probes)["linear_probe"]
    metrics = loop.fit(r, model, loop.minibatches((train_x,), r.batch, seed), loss, evaluate)
    metrics |= loop.looked_at(model, probes)
    metrics["information"] = float(np.log(2 * r.batch - 1) - metrics["val_loss"])  # a lower bound
    pixels = linear_probe(train_x[: r.labelled], data.train_y[: r.labelled], test_x, data.test_y)
    if out is not None:
        _draw(out / "picture.png", model.encoder, test_x, source)
    return metrics | {"baseline": before, "raw_pixels": pixels}


def _draw(file: Path, encoder: nn.Module, x: Tensor, source: torch.Generator) -> None:
    """Some pictures, two views of each, and their nearest neighbours by the cosine of h."""
    with torch.no_grad():
        h = F.normalize(encoder.eval()(x), dim=1)
    near = (h[:10] @ h.T).argsort(1, descending=True)[:, 1:4]
    rows = [
        x[:10],
        affine_views(x[:10], source),
        affine_views(x[:10], source),
        *(x[near[:, k]] for k in range(3)),
    ]
    names = ["picture", "view", "other view", "nearest", "second", "third"]
    pictures.grid(file, [row[:, 0] for row in rows], row_titles=names, limits=None)
