"""PointNet: naming a solid by the points on its surface, in whatever order they come.

    f({p_1, ..., p_n}) = g(max_i h(T p_i))

The same small network h sees every point, the maximum over points forgets their order, and a T-Net
T, a small PointNet itself, turns the cloud first. Points that win no maximum could be left out:
the others are the critical points. Qi, Su, Mo, Guibas, "PointNet: Deep learning on point sets for
3D classification and segmentation" (2017).

Covers: 15.02 15.17 15.22 15.23 15.27 15.28 J07
Run: unstuck case run course/pointnet
Expected: test_accuracy 0.910 +- 0.026 over 5 seeds (trivial answer 0.138) in 4 s on one core each:
    python -m unstuck.cases.course pointnet --seeds 5
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from matplotlib import pyplot as plt
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from unstuck.cases.course import item, loop, pictures
from unstuck.cases.course.data import solids
from unstuck.cases.course.item import Fault

METRIC, HIGHER_IS_BETTER, UNIT = "test_accuracy", True, ""
MARGIN = 0.6  # over naming one kind always
TINY = {"steps": 3, "train": 64, "width": 8}


class Recipe(loop.Recipe):
    train: int = Field(1200, ge=1)
    """clouds to learn from"""
    points: int = Field(96, ge=1)
    """points of a cloud"""
    steps: int = Field(400, ge=1)
    """updates of 32 clouds"""
    batch: int = Field(32, ge=1)
    """clouds an update"""
    lr: float = Field(2e-3, gt=0)
    """learning rate of Adam, falling to 0 along a cosine"""
    width: int = Field(128, ge=4)
    """features of a cloud; the paper has 1,024"""
    pooled: bool = True
    """maximum over points; without it the points are read one after another, in their order"""


class PointNet(nn.Module):
    """Clouds (n, points, 3) -> scores (n, kinds)."""

    def __init__(self, points: int, width: int, pooled: bool) -> None:
        super().__init__()
        self.pooled = pooled
        self.align_points = nn.Sequential(nn.Linear(3, 32), nn.ReLU(), nn.Linear(32, 64), nn.ReLU())
        self.align = nn.Linear(64, 9)
        nn.init.zeros_(self.align.weight)
        with torch.no_grad():
            self.align.bias.copy_(torch.eye(3).flatten())  # no turn at first
        each = width if pooled else max(1, width // 16)  # read one by one they would be too many
        self.per_point = nn.Sequential(nn.Linear(3, 64), nn.ReLU(), nn.Linear(64, each), nn.ReLU())
        whole = width if pooled else points * each
        self.head = nn.Sequential(nn.Linear(whole, 64), nn.ReLU(), nn.Linear(64, len(solids.KINDS)))

    def features(self, cloud: Tensor) -> Tensor:
        """h(T p) for every point, (n, points, width)."""
        turn = self.align(self.align_points(cloud).max(1).values).reshape(-1, 3, 3)
        return self.per_point(cloud @ turn)

    def forward(self, cloud: Tensor) -> Tensor:
        features = self.features(cloud)
        return self.head(features.max(1).values if self.pooled else features.flatten(1))


FAULTS = {
    "read-in-order": Fault(
        {"pooled": False},
        "the training clouds are learned point by point; new clouds, whose points come in another"
        " order, are hardly named",
    ),
}


def train(
    recipe: Recipe | Mapping[str, item.Scalar], seed: int, out: Path | None = None
) -> dict[str, float]:
    r = item.made(Recipe, recipe)
    train_x, train_y = solids.clouds(r.train, r.points, 2 * seed)
    test_x, test_y = solids.clouds(500, r.points, 2 * seed + 1)
    torch.manual_seed(seed)
    model = PointNet(r.points, r.width, r.pooled)
    optimizer = torch.optim.AdamW(model.parameters(), r.lr, weight_decay=r.weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, r.steps)

    def loss(x: Tensor, y: Tensor) -> dict[str, Tensor]:
        return {"cross_entropy": F.cross_entropy(model(x), y)}

    def evaluate() -> dict[str, float]:
        scores = model(test_x)
        shuffled = model(test_x[:, torch.randperm(r.points, generator=own)])
        same = scores.argmax(1) == shuffled.argmax(1)
        return {
            "val_loss": float(F.cross_entropy(scores, test_y)),
            "test_accuracy": float((scores.argmax(1) == test_y).float().mean()),
            "same_when_shuffled": float(same.float().mean()),
        }

    own = torch.Generator().manual_seed(seed)
    batches = loop.minibatches((train_x, train_y), r.batch, seed)
    metrics = loop.fit(r, model, batches, loss, evaluate, optimizer=optimizer, schedule=schedule)
    if out is not None:
        _draw(model, test_x, test_y, out / "picture.png")
    majority = float((test_y == train_y.mode().values).float().mean())
    return metrics | {"baseline": majority}


def _draw(model: PointNet, clouds: Tensor, kinds: Tensor, file: Path) -> None:
    """One cloud of each kind; its critical points, those that win a maximum, in red."""
    figure = plt.figure(figsize=(8, 1.5))
    for kind, name in enumerate(solids.KINDS):
        of_kind = clouds[kinds == kind]
        if not len(of_kind):
            continue
        with torch.no_grad():
            critical = model.features(of_kind[:1])[0].argmax(0).unique()
        axis = figure.add_subplot(1, len(solids.KINDS), kind + 1, projection="3d")
        axis.scatter(*of_kind[0].T.numpy(), s=2, c="0.7")
        axis.scatter(*of_kind[0][critical].T.numpy(), s=6, c="tab:red")
        axis.set_title(name, fontsize=8)
        axis.set_axis_off()
        axis.set(xlim=(-1.5, 1.5), ylim=(-1.5, 1.5), zlim=(-1.5, 1.5))
        axis.set_box_aspect((1, 1, 1), zoom=1.7)
    figure.subplots_adjust(0, 0, 1, 0.85, wspace=0)
    figure.savefig(file, dpi=pictures.DPI)
    plt.close(figure)
