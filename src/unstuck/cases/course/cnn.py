"""A small convolutional network on clothes: INPUT -> [CONV-RELU-POOL]*2 -> FC-RELU -> FC.

A convolution's output measures W_out = (W - K + 2P)/S + 1 a side; 3 x 3 filters with P = 1 keep the
size, 2 x 2 max pooling halves it. LeCun et al., "Gradient-based learning applied to document
recognition" (1998), with ReLU and max pooling.

Covers: 3.12 4.06 4.10 6.02 6.03 6.04 6.05 6.06 6.07 6.08 6.09 6.10 7.03 8.01 8.12
    B03 B12 B14
Run: unstuck case run course/cnn
Expected: test_accuracy 0.8592 +- 0.0078 over 5 seeds (trivial answer 0.105) in 8 s on one core
    each: python -m unstuck.cases.course cnn --seeds 5
"""

from collections.abc import Mapping
from pathlib import Path

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


class Recipe(loop.Recipe):
    train: int = Field(8000, ge=1)
    """pictures to learn from; more gain little in 400 steps"""
    steps: int = Field(400, ge=1)
    """three epochs: the accuracy rises by less than its spread afterwards"""
    width: int = Field(16, ge=1)
    """channels of the first convolution; the second has twice as many"""
    lr: float = Field(2e-3, gt=0)
    """learning rate of Adam; 1e-1 diverges, 1e-4 is not done after three epochs"""
    normalise: bool = True
    """subtract the mean and divide by the standard deviation of the training pixels"""
    bias: float = 0.0
    """what the convolutions' biases start at"""


class ConvNet(nn.Module):
    """(n, 1, 28, 28) -> scores (n, 10)."""

    def __init__(self, width: int, bias: float) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, 2 * width, 3, padding=1)
        self.fc1 = nn.Linear(2 * width * 7 * 7, 64)
        self.fc2 = nn.Linear(64, 10)
        for name, parameter in self.named_parameters():
            if name in ("conv1.bias", "conv2.bias"):
                nn.init.constant_(parameter, bias)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        return self.fc2(F.relu(self.fc1(x.flatten(1))))


FAULTS = {
    "dead-relu": Fault(
        {"bias": -8.0},
        "pre-activations are negative everywhere: no unit fires, no gradient passes, the loss stays"
        " at log 10",
        ("ACT001", "GRD005", "OPT004"),
    ),
}


def train(
    recipe: Recipe | Mapping[str, item.Scalar], seed: int, out: Path | None = None
) -> dict[str, float]:
    r = item.made(Recipe, recipe)
    data = fashion.load(r.train, sample=r.sample)
    mean, std = (fashion.MEAN, fashion.STD) if r.normalise else (0.0, 1.0)
    train_x, test_x = (data.train_x - mean) / std, (data.test_x - mean) / std
    torch.manual_seed(seed)
    model = ConvNet(r.width, r.bias)
    with torch.no_grad():
        first = float(F.cross_entropy(model(train_x[:256]), data.train_y[:256]))

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
        filters = model.conv1.weight.detach()[:, 0].numpy()
        with torch.no_grad():
            maps = F.relu(model.conv1(test_x[:3]))[:, :8].numpy()
        rows = [[test_x[i, 0].numpy(), *maps[i]] for i in range(3)]
        pictures.grid(out / "picture.png", [filters[:9], *rows], limits=None)
    majority = float((data.test_y == data.train_y.mode().values).float().mean())
    return metrics | {"baseline": majority, "first_loss": first}
