"""A linear classifier on clothes, with the softmax or the hinge loss: ten templates.

Scores f(x) = W x + b of the flattened picture; every row of W, seen as a picture, is the template
of a class. Softmax loss L_i = -log(e^{s_y} / sum_j e^{s_j}), hinge loss of Weston and Watkins,
"Multi-class support vector machines" (1998), L_i = sum_{j != y} max(0, s_j - s_y + 1), plus
lambda R(W) with R the sum of squares (L2) or of magnitudes (L1). It solves what hyperplanes can
separate: neither XOR nor a ring around a disc.

Covers: 1.01 1.02 2.01 2.08 2.09 2.10 2.11 3.01 3.02 3.03 3.04 3.05 3.06 3.07 3.09 3.12 8.01 8.12
    A07 A09 A16 B14
Run: unstuck case run course/linear
Expected: test_accuracy 0.8282 +- 0.0040 over 5 seeds (trivial answer 0.105) in 1 s on one core
    each: python -m unstuck.cases.course linear --seeds 5
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
TINY = {"steps": 5, "train": 200}


class Recipe(loop.Recipe):
    loss: Literal["softmax", "svm"] = "softmax"
    """softmax always pushes on; svm is content once every margin is 1"""
    train: int = Field(8000, ge=1)
    """pictures to learn from; ten templates need no more"""
    steps: int = Field(1000, ge=1)
    """eight epochs"""
    lr: float = Field(0.01, gt=0)
    """learning rate of plain SGD; above 0.03 it bounces along the brightest direction"""
    l2: float = Field(1e-3, ge=0)
    """weight of the sum of squares: smoother templates"""
    l1: float = Field(0.0, ge=0)
    """weight of the sum of magnitudes: at 1e-3 seven times as many weights are nearly zero"""
    normalise: bool = True
    """subtract the mean and divide by the standard deviation; otherwise pixels are 0 to 255"""


class Linear(nn.Module):
    """Pictures (n, ...) of `pixels` numbers -> scores (n, classes); W is (classes, pixels)."""

    def __init__(self, pixels: int, classes: int) -> None:
        super().__init__()
        self.W = nn.Parameter(0.01 * torch.randn(classes, pixels))
        self.b = nn.Parameter(torch.zeros(classes))

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1) @ self.W.T + self.b


def softmax(scores: Tensor) -> Tensor:
    powers = (scores - scores.amax(1, keepdim=True)).exp()  # the same, without overflow
    return powers / powers.sum(1, keepdim=True)


def softmax_loss(scores: Tensor, y: Tensor) -> Tensor:
    """Mean of -log P(y), the logarithm taken before anything can underflow."""
    right = scores.gather(1, y[:, None])[:, 0]
    return (scores.logsumexp(1) - right).mean()


def hinge_loss(scores: Tensor, y: Tensor) -> Tensor:
    right = scores.gather(1, y[:, None])
    others = F.relu(scores - right + 1).scatter(1, y[:, None], 0.0)
    return others.sum(1).mean()


LOSSES = {"softmax": softmax_loss, "svm": hinge_loss}

FAULTS = {
    "raw-pixels": Fault(
        {"normalise": False},
        "pixels of 0 to 255 make every step thousands of times too long: the loss is in the"
        " thousands and jumps",
        ("DAT001", "OPT001"),
        symptom="val_loss",
    ),
}


def train(
    recipe: Recipe | Mapping[str, item.Scalar], seed: int, out: Path | None = None
) -> dict[str, float]:
    r = item.made(Recipe, recipe)
    data = fashion.load(r.train, sample=r.sample)
    mean, std = (fashion.MEAN, fashion.STD) if r.normalise else (0.0, 1 / 255)
    train_x, test_x = (data.train_x - mean) / std, (data.test_x - mean) / std
    torch.manual_seed(seed)
    model = Linear(28 * 28, len(fashion.NAMES))
    data_loss = LOSSES[r.loss]
    with torch.no_grad():
        first = float(data_loss(model(train_x), data.train_y))

    def loss(x: Tensor, y: Tensor) -> dict[str, Tensor]:
        terms: dict[str, Tensor] = {r.loss: data_loss(model(x), y)}
        if r.l2:
            terms["l2"] = r.l2 * model.W.square().sum()
        if r.l1:
            terms["l1"] = r.l1 * model.W.abs().sum()
        return terms

    def evaluate() -> dict[str, float]:
        scores = model(test_x)
        return {
            "val_loss": float(data_loss(scores, data.test_y)),
            "test_accuracy": float((scores.argmax(1) == data.test_y).float().mean()),
        }

    batches = loop.minibatches((train_x, data.train_y), r.batch, seed)
    optimizer = torch.optim.SGD(model.parameters(), lr=r.lr)
    metrics = loop.fit(r, model, batches, loss, evaluate, optimizer=optimizer)
    templates = model.W.detach().reshape(-1, 28, 28)
    if out is not None:
        rows = [list(templates[:5]), list(templates[5:])]
        pictures.grid(out / "picture.png", rows, limits=None, titles=fashion.NAMES[:5])
    majority = float((data.test_y == data.train_y.mode().values).float().mean())
    return metrics | {
        "baseline": majority,
        "first_loss": first,
        "small_weights": float((templates.abs() < 1e-3).float().mean()),
    }
