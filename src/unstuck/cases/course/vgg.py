"""A VGG-style stack: nothing but 3 x 3 convolutions and 2 x 2 max pooling.

Two 3 x 3 layers see 5 x 5 pixels, three see 7 x 7, with 27 C^2 weights instead of a 7 x 7 layer's
49 C^2 and three non-linearities instead of one. Simonyan and Zisserman, "Very deep convolutional
networks for large-scale image recognition" (2014). So deep a stack needs ReLU: a sigmoid's slope
is at most 1/4 and nothing beyond |x| = 5, and the gradient is the product of all slopes.

Covers: 4.03 4.04 4.05 4.06 6.03 6.07 7.01 7.02 7.04 7.05 7.06 7.07 7.14 7.15 8.01 B02 B13
Run: unstuck case run course/vgg
Expected: test_accuracy 0.789 +- 0.011 over 5 seeds (trivial answer 0.105) in 6 s on one core each:
    python -m unstuck.cases.course vgg --seeds 5
"""

from collections.abc import Mapping, Sequence
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
TINY = {"steps": 2, "train": 100, "batch": 32, "width": 4}
ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky": nn.LeakyReLU,  # max(0.01 x, x)
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
}


class Recipe(loop.Recipe):
    train: int = Field(8000, ge=1)
    """pictures to learn from"""
    steps: int = Field(300, ge=1)
    """updates: two epochs"""
    batch: int = Field(48, ge=1)
    """samples an update"""
    width: int = Field(4, ge=1)
    """channels of the first block; they double after every pooling"""
    depths: str = "2 4 4"
    """3 x 3 convolutions in each block, a pooling after each"""
    activation: Literal["relu", "leaky", "elu", "gelu", "tanh", "sigmoid"] = "relu"
    """non-linearity after every convolution; ReLU first, leaky where units die"""
    lr: float = Field(1.5e-3, gt=0)
    """learning rate of Adam"""


class Vgg(nn.Module):
    """(n, 1, 28, 28) -> scores (n, 10); weights start with He's variance 2 / fan_in."""

    def __init__(self, width: int, depths: Sequence[int], activation: str) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 1
        for block, depth in enumerate(depths):
            for _ in range(depth):
                conv = nn.Conv2d(channels, width * 2**block, 3, padding=1)
                channels = conv.out_channels
                layers += [conv, ACTIVATIONS[activation]()]
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.head = nn.Linear(channels * (28 // 2 ** len(depths)) ** 2, 10)
        for layer in self.features:
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]  # it has one

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x).flatten(1))


def receptive_field(layers: Sequence[tuple[int, int]]) -> int:
    """Pixels a side that one output sees through layers (kernel, stride), the first one first."""
    field, step = 1, 1
    for kernel, stride in layers:
        field += (kernel - 1) * step
        step *= stride
    return field


FAULTS = {
    "sigmoid": Fault(
        {"activation": "sigmoid"},
        "ten sigmoids in a row pass next to no gradient: the first layers stand still, the loss"
        " stays at log 10",
        ("GRD001",),
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
    depths = [int(depth) for depth in r.depths.split()]
    model = Vgg(r.width, depths, r.activation)

    def loss(x: Tensor, y: Tensor) -> dict[str, Tensor]:
        return {"cross_entropy": F.cross_entropy(model(x), y)}

    def evaluate() -> dict[str, float]:
        scores = model(test_x)
        return {
            "val_loss": float(F.cross_entropy(scores, data.test_y)),
            "test_accuracy": float((scores.argmax(1) == data.test_y).float().mean()),
        }

    batches = loop.minibatches((train_x, data.train_y), r.batch, seed)
    metrics = loop.fit(r, model, batches, loss, evaluate)
    if out is not None:
        x, rows = test_x[:1], [[test_x[0, 0]] * 8]
        for layer in model.features:
            x = layer(x).detach()
            if isinstance(layer, nn.MaxPool2d):
                rows.append(list(x[0, :8]))
        names = ["input", *(f"block {i + 1}" for i in range(len(depths)))]
        pictures.grid(out / "picture.png", [rows[0][:1], *rows[1:]], row_titles=names, limits=None)
    majority = float((data.test_y == data.train_y.mode().values).float().mean())
    seen = [layer for depth in depths for layer in [(3, 1)] * depth + [(2, 2)]]
    return metrics | {"baseline": majority, "receptive_field": float(receptive_field(seen))}
