"""Residual blocks against the plain stack of the same depth, on small clothes.

A block computes H(x) = F(x) + x with F = conv-norm-ReLU-conv-norm: the identity is F = 0, easy for
the optimiser, and the gradient also flows through the sum. He et al., "Deep residual learning for
image recognition" (2015): deeper plain nets get worse on training data too (degradation). Three
stages of n blocks, 6 n + 2 layers with weights; between stages the picture halves, the channels
double, and the shortcut is subsampled and padded with zeros.

Degradation, one run each (`--depth 56 --residual false` and so on, seed 0), training error and test
accuracy: plain 20 layers 0.226, 0.738; plain 56 layers 0.842, 0.134; residual 20 layers 0.178,
0.786; residual 56 layers 0.158, 0.795.

Covers: 7.10 7.16 7.17 7.18 8.01 8.18 B10
Run: unstuck case run course/resnet
Expected: test_accuracy 0.796 +- 0.013 over 5 seeds (trivial answer 0.105) in 9 s on one core each:
    python -m unstuck.cases.course resnet --seeds 5
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
MARGIN = 0.55  # over naming one class always
TINY = {"steps": 2, "train": 100, "batch": 32, "depth": 8, "width": 2}


class Recipe(loop.Recipe):
    train: int = Field(8000, ge=1)
    """pictures to learn from"""
    steps: int = Field(250, ge=1)
    """two epochs"""
    depth: int = Field(32, ge=8)
    """layers with weights, 6 n + 2"""
    width: int = Field(4, ge=1)
    """channels of the first stage"""
    residual: bool = True
    """add the block's input to its output"""
    lr: float = Field(5e-3, gt=0)
    """learning rate of Adam"""


class Block(nn.Module):
    """x + F(x), or F(x) alone where not `residual`; then ReLU."""

    def __init__(self, inputs: int, outputs: int, stride: int, residual: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.stride, self.added, self.residual = stride, outputs - inputs, residual

    def forward(self, x: Tensor) -> Tensor:
        f = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        if not self.residual:
            return F.relu(f)
        shortcut = x[:, :, :: self.stride, :: self.stride]
        return F.relu(f + F.pad(shortcut, (0, 0, 0, 0, 0, self.added)))


class ResNet(nn.Module):
    """(n, 1, 14, 14) -> scores (n, 10)."""

    def __init__(self, depth: int, width: int, residual: bool) -> None:
        super().__init__()
        blocks, rest = divmod(depth - 2, 6)
        if rest:
            raise ValueError(f"depth {depth} is not 6 n + 2")
        self.conv = nn.Conv2d(1, width, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.blocks = nn.Sequential()
        for stage in range(3):
            for i in range(blocks):
                stride = 2 if stage and not i else 1
                before, now = (width * 2 ** (stage - (stride == 2)), width * 2**stage)
                self.blocks.append(Block(before, now, stride, residual))
        self.fc = nn.Linear(4 * width, 10)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(F.relu(self.norm(self.conv(x))))
        return self.fc(x.mean((2, 3)))


FAULTS = {
    "no-residual": Fault(
        {"residual": False},
        "the plain net of the same depth is worse on training and test data alike, though its"
        " gradients are of the usual size",
    ),
}


def train(
    recipe: Recipe | Mapping[str, item.Scalar], seed: int, out: Path | None = None
) -> dict[str, float]:
    r = item.made(Recipe, recipe)
    data = fashion.load(r.train, sample=r.sample)
    train_x, test_x = (
        F.avg_pool2d((x - fashion.MEAN) / fashion.STD, 2) for x in (data.train_x, data.test_x)
    )
    torch.manual_seed(seed)
    model = ResNet(r.depth, r.width, r.residual)
    curves: dict[str, list[float]] = {"train": [], "test": []}

    def loss(x: Tensor, y: Tensor) -> dict[str, Tensor]:
        return {"cross_entropy": F.cross_entropy(model(x), y)}

    def evaluate() -> dict[str, float]:
        scores, seen = model(test_x), model(train_x[:500])
        train_error = float((seen.argmax(1) != data.train_y[: len(seen)]).float().mean())
        accuracy = float((scores.argmax(1) == data.test_y).float().mean())
        curves["train"].append(train_error)
        curves["test"].append(1 - accuracy)
        return {
            "val_loss": float(F.cross_entropy(scores, data.test_y)),
            "test_accuracy": accuracy,
            "train_error": train_error,
        }

    batches = loop.minibatches((train_x, data.train_y), r.batch, seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=r.lr, weight_decay=r.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, r.lr, total_steps=r.steps + 1)
    metrics = loop.fit(r, model, batches, loss, evaluate, optimizer=optimizer, schedule=schedule)
    if out is not None:
        tenths = range(1, loop.REPORTS + 1)
        lines = {name: (tenths[: len(line)], line) for name, line in curves.items()}
        pictures.curves(out / "picture.png", lines, x="tenths of the training", y="error")
    majority = float((data.test_y == data.train_y.mode().values).float().mean())
    return metrics | {"baseline": majority}
