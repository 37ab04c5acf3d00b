"""The 1,797 handwritten digits of 8x8 pixels of scikit-learn: batches, models, a held-out look."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import Tensor, nn

import unstuck

_IMAGES, _LABELS = load_digits(return_X_y=True)
IMAGES = torch.tensor(_IMAGES / 16, dtype=torch.float32)  # (1797, 64), 0..1
LABELS = torch.tensor(_LABELS)
TRAIN = 1500  # the rest validates


def batches(size: int, steps: int, first: int = TRAIN) -> Iterator[tuple[Tensor, Tensor]]:
    """`steps` random batches (n, 64), (n,) of the first training digits."""
    for _ in range(steps):
        chosen = torch.randint(0, first, (size,))
        yield IMAGES[chosen], LABELS[chosen]


def perceptron(width: int = 64, activation: type[nn.Module] = nn.ReLU) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(64, width), activation(), nn.Linear(width, width), activation(),
        nn.Linear(width, 10),
    )  # fmt: skip


def convolutions() -> nn.Sequential:
    return nn.Sequential(
        nn.Unflatten(1, (1, 8, 8)),
        nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(),
        nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.BatchNorm2d(32), nn.ReLU(),
        nn.Flatten(), nn.Linear(512, 10),
    )  # fmt: skip


class Rows(nn.Module):
    """A one-layer transformer that reads a digit row by row."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(8, 32)
        self.position = nn.Parameter(torch.randn(8, 32) * 0.02)
        self.block = nn.TransformerEncoderLayer(32, 4, 64, 0.0, batch_first=True)
        self.head = nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        rows = self.embed(x.view(-1, 8, 8)) + self.position
        return self.head(self.block(rows).mean(1))


def step(optimizer, loss):
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def held_out(model: nn.Module, count: int = 297) -> None:
    """Log loss and accuracy of some held-out digits."""
    chosen = torch.randint(TRAIN, len(LABELS), (count,)) if count < 297 else slice(TRAIN, None)
    model.eval()
    with torch.no_grad():
        out = model(IMAGES[chosen])
    model.train()
    unstuck.log(
        val_loss=float(F.cross_entropy(out, LABELS[chosen])),
        val_accuracy=float((out.argmax(1) == LABELS[chosen]).float().mean()),
    )
