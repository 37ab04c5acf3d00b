"""Batch, layer, instance and group normalisation written out, in one convolutional network.

y = gamma (x - mu) / sqrt(sigma^2 + eps) + beta; they differ in what mu and sigma are taken over:
batch and space (Ioffe and Szegedy 2015), channels and space of one sample (Ba et al. 2016), space
(Ulyanov et al. 2016), a group of channels and space (Wu and He 2018). Batch normalisation uses the
batch in training and moving averages in testing, so that one picture can be judged alone;
gamma = sqrt(sigma^2 + eps) and beta = mu give back the input.

Covers: 7.08 7.09 7.10 8.01 B04 B05
Run: unstuck case run course/normalisation
Expected: test_accuracy 0.8612 +- 0.0043 over 5 seeds (trivial answer 0.105) in 4 s on one core
    each: python -m unstuck.cases.course normalisation --seeds 5
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from unstuck.cases.course import item, loop, pictures
from unstuck.cases.course.data import fashion
from unstuck.cases.course.item import Fault

METRIC, HIGHER_IS_BETTER, UNIT = "test_accuracy", True, ""
MARGIN = 0.6  # over naming one class always
TINY = {"steps": 3, "train": 128, "width": 4}
EPS = 1e-5
AXES = {"layer": (1, 2, 3), "instance": (2, 3)}
GROUPS = 4
HIDDEN = 64  # units of the last hidden layer


class Recipe(loop.Recipe):
    kind: Literal["batch", "layer", "instance", "group", "none"] = "batch"
    """what mean and variance are taken over"""
    together: int = Field(64, ge=1)
    """samples that share batch statistics: the batch, or one device's part of it"""
    train: int = Field(8000, ge=1)
    """pictures to learn from"""
    steps: int = Field(300, ge=1)
    """two and a half epochs"""
    width: int = Field(8, ge=4)
    """channels of the first layer, a multiple of 4"""
    lr: float = Field(5e-3, gt=0)
    """learning rate of Adam"""


class Norm(nn.Module):
    """(n, c, h, w) -> the same shape, normalised; gamma and beta by channel."""

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int, kind: str, together: int = 0, momentum: float = 0.1) -> None:
        super().__init__()
        self.kind, self.together, self.momentum = kind, together, momentum
        self.gamma = nn.Parameter(torch.ones(channels))
        self.beta = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        if self.kind == "batch":
            x = self.by_batch(x) if self.training else self.by_averages(x)
        elif self.kind == "group":
            grouped = x.unflatten(1, (GROUPS, -1))
            x = normalised(grouped, (2, 3, 4)).flatten(1, 2)
        else:
            x = normalised(x, AXES[self.kind])
        return self.gamma[:, None, None] * x + self.beta[:, None, None]

    def by_batch(self, x: Tensor) -> Tensor:
        """Each `together` samples by themselves; the averages follow the first ones.

        So it is where every device normalises its part of the batch and the first one is saved.
        """
        first = x[: self.together or None]
        with torch.no_grad():
            self.running_mean.lerp_(first.mean((0, 2, 3)), self.momentum)
            self.running_var.lerp_(first.var((0, 2, 3), unbiased=True), self.momentum)
        parts = x.unflatten(0, (-1, self.together or len(x)))
        return normalised(parts, (1, 3, 4)).flatten(0, 1)

    def by_averages(self, x: Tensor) -> Tensor:
        mean, var = self.running_mean[:, None, None], self.running_var[:, None, None]
        return (x - mean) / (var + EPS).sqrt()


def normalised(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    """Mean 0 and (biased) variance 1 over `axes`."""
    mean = x.mean(axes, keepdim=True)
    variance = (x - mean).square().mean(axes, keepdim=True)
    return (x - mean) / (variance + EPS).sqrt()


class Net(nn.Sequential):
    """(n, 1, 28, 28) -> scores (n, 10); normalisation before every ReLU.

    But no instance normalisation of the last hidden layer: one value has no spread.
    """

    def __init__(self, width: int, kind: str, together: int) -> None:
        layers: list[nn.Module] = []
        channels = 1
        for i in range(4):  # 28, 14, 7, 4, 2 px
            layers.append(nn.Conv2d(channels, width * 2**i, 3, stride=2, padding=1))
            channels = width * 2**i
            layers += [Norm(channels, kind, together)] if kind != "none" else []
            layers.append(nn.ReLU())
        layers += [nn.Flatten(), nn.Linear(channels * 4, HIDDEN), nn.Unflatten(1, (HIDDEN, 1, 1))]
        layers += [Norm(HIDDEN, kind, together)] if kind not in ("none", "instance") else []
        super().__init__(*layers, nn.ReLU(), nn.Flatten(), nn.Linear(HIDDEN, 10))


FAULTS = {
    "tiny-batch": Fault(
        {"together": 2},
        "statistics of two pictures are mostly noise, and the averages used in testing are not"
        " what training saw: the held-out loss is far above the training loss",
        ("NRM001",),
    ),
}


def train(
    recipe: Recipe | Mapping[str, item.Scalar], seed: int, out: Path | None = None
) -> dict[str, float]:
    r = item.made(Recipe, recipe)
    data = fashion.load(r.train, sample=r.sample)
    train_x = (data.train_x - fashion.MEAN) / fashion.STD
    test_x = (data.test_x - fashion.MEAN) / fashion.STD
    torch.manual_seed(seed)
    model = Net(r.width, r.kind, r.together)

    def loss(x: Tensor, y: Tensor) -> dict[str, Tensor]:
        return {"cross_entropy": F.cross_entropy(model(x), y)}

    def evaluate() -> dict[str, float]:
        scores = model(test_x)
        return {
            "val_loss": float(F.cross_entropy(scores, data.test_y)),
            "test_accuracy": float((scores.argmax(1) == data.test_y).float().mean()),
        }

    batches = loop.minibatches((train_x, data.train_y), r.batch, seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=r.lr, weight_decay=r.weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, r.steps)
    metrics = loop.fit(r, model, batches, loss, evaluate, optimizer=optimizer, schedule=schedule)
    if out is not None:
        model.eval()
        x, rows = test_x[:1], []
        for layer in list(model)[:6]:
            x = layer(x).detach()
            rows.append(list(x[0, :8]))
        names = ["conv", "norm", "ReLU"] * 2 if r.kind != "none" else ["conv", "ReLU"] * 3
        pictures.grid(out / "picture.png", rows, row_titles=names, limits=None)
    majority = float((data.test_y == data.train_y.mode().values).float().mean())
    return metrics | {"baseline": majority}
