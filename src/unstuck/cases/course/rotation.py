"""Rotation prediction (RotNet): features learned from asking which way is up.

Every picture is shown turned by 0, 90, 180 and 270 degrees; a four-way classifier names the turn
and never sees a label. What counts is not the pretext's accuracy but a linear probe on the frozen
features, learned from few labels. Gidaris, Singh, Komodakis, "Unsupervised Representation Learning
by Predicting Image Rotations" (2018).

Covers: 12.01 12.03 12.04 12.05 12.07 12.08 H01 H02 H17
Run: unstuck case run course/rotation
Expected: linear_probe 0.812 +- 0.012 over 5 seeds (trivial answer 0.682) in 5 s on one core each:
    python -m unstuck.cases.course rotation --seeds 5
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from unstuck.cases.course import item, loop, pictures
from unstuck.cases.course.data import digits
from unstuck.cases.course.data.probe import linear_probe
from unstuck.cases.course.item import Fault

METRIC, HIGHER_IS_BETTER, UNIT = "linear_probe", True, ""
MARGIN = 0.08  # over the same probe on the same encoder before training
TINY = {"steps": 3, "train": 128, "width": 4}


class Recipe(loop.Recipe):
    train: int = Field(8000, ge=1)
    """pictures without labels"""
    labelled: int = Field(100, ge=1)
    """labels the probe gets, about ten a class"""
    steps: int = Field(240, ge=1)
    """updates; the turn is then named right nine times in ten"""
    lr: float = Field(2e-3, gt=0)
    """learning rate of Adam"""
    batch: int = Field(32, ge=1)
    """pictures an update; each is seen in four orientations"""
    width: int = Field(16, ge=1)
    """channels of the first convolution; the third has four times as many"""
    upright: bool = True
    """pictures come upright; else each lies in an orientation of its own before it is turned"""


class RotNet(nn.Module):
    """(n, 1, 28, 28) -> scores of the four turns; `features` are those of the middle layer."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.early = nn.Sequential(
            nn.Conv2d(1, width, 3, 2, 1), nn.BatchNorm2d(width), nn.ReLU(),
            nn.Conv2d(width, 2 * width, 3, 2, 1), nn.BatchNorm2d(2 * width), nn.ReLU(),
        )  # fmt: skip
        self.late = nn.Sequential(
            nn.Conv2d(2 * width, 4 * width, 3, 2, 1), nn.BatchNorm2d(4 * width), nn.ReLU()
        )
        self.head = nn.Linear(4 * width, 4)

    def features(self, x: Tensor) -> Tensor:
        """(n, 2 width, 3, 3): late layers know of turns only, the middle one transfers best."""
        return F.adaptive_avg_pool2d(self.early(x), 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.late(self.early(x)).mean((2, 3)))


def turned(x: Tensor) -> tuple[Tensor, Tensor]:
    """All four turns of each picture (4n, c, s, s) and which turn it is (4n,)."""
    views = torch.cat([torch.rot90(x, turn, (2, 3)) for turn in range(4)])
    return views, torch.arange(4).repeat_interleave(len(x))


def scattered(x: Tensor, seed: int) -> Tensor:
    """Each picture in a random one of the four orientations."""
    turns = torch.randint(4, (len(x), 1, 1, 1), generator=torch.Generator().manual_seed(seed))
    views = torch.stack([torch.rot90(x, turn, (2, 3)) for turn in range(4)])
    return views.gather(0, turns.expand_as(x)[None])[0]


FAULTS = {
    "no-upright": Fault(
        {"upright": False},
        "no orientation is the natural one, so the turn cannot be told: the loss stays at log 4 and"
        " the features learn nothing",
        ("DAT004", "OPT004"),
    ),
}


def train(
    recipe: Recipe | Mapping[str, item.Scalar], seed: int, out: Path | None = None
) -> dict[str, float]:
    r = item.made(Recipe, recipe)
    data = digits.load(r.train, sample=r.sample)
    train_x, test_x = ((x - digits.MEAN) / digits.STD for x in (data.train_x, data.test_x))
    pretext_x, held_x = train_x, test_x[:500]
    if not r.upright:
        pretext_x, held_x = scattered(pretext_x, seed), scattered(held_x, seed + 1)
    torch.manual_seed(seed)
    model = RotNet(r.width)

    def probe() -> dict[str, float]:
        labelled = model.features(train_x[: r.labelled]), data.train_y[: r.labelled]
        return {"linear_probe": linear_probe(*labelled, model.features(test_x), data.test_y)}

    def loss(x: Tensor) -> dict[str, Tensor]:
        views, turns = turned(x)
        return {"cross_entropy": F.cross_entropy(model(views), turns)}

    def evaluate() -> dict[str, float]:
        views, turns = turned(held_x)
        scores = model(views)
        return {
            "val_loss": float(F.cross_entropy(scores, turns)),
            "pretext_accuracy": float((scores.argmax(1) == turns).float().mean()),
        }

    before = loop.looked_at(model, probe)["linear_probe"]
    metrics = loop.fit(r, model, loop.minibatches((pretext_x,), r.batch, seed), loss, evaluate)
    metrics |= loop.looked_at(model, probe)
    pixels = linear_probe(train_x[: r.labelled], data.train_y[: r.labelled], test_x, data.test_y)
    if out is not None:
        views, _ = turned(test_x[:8])
        with torch.no_grad():
            guessed = model.eval()(views).argmax(1)
        undone = torch.cat(
            [torch.rot90(v[None], -int(g), (2, 3)) for v, g in zip(views, guessed, strict=True)]
        )
        rows = [pair[8 * t : 8 * t + 8, 0] for t in range(4) for pair in (views, undone)]
        names = [name for t in range(4) for name in (f"turned {90 * t}", "turned back")]
        pictures.grid(out / "picture.png", rows, row_titles=names, limits=None)
    return metrics | {"baseline": before, "raw_pixels": pixels}
