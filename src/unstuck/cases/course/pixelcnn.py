"""PixelCNN: a picture drawn pixel by pixel, each from those above it and to its left.

p(x) = product over t of p(x_t | x_<t), every factor a softmax over the grey levels. Masked
convolutions keep the order: a kernel sees the rows above and the left part of its own row; the
first layer's (type A) not the pixel itself, the later ones' (type B) do. Van den Oord,
Kalchbrenner, Kavukcuoglu, "Pixel Recurrent Neural Networks" (2016).

Covers: 13.06 13.11 13.12 13.14 D03 I02 I03
Run: unstuck case run course/pixelcnn
Expected: bits_per_pixel 0.4625 +- 0.0050 bits over 5 seeds (trivial answer 0.737) in 7 s on one
    core each: python -m unstuck.cases.course pixelcnn --seeds 5
"""

import math
from collections.abc import Mapping
from pathlib import Path

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from unstuck.cases.course import item, loop, pictures
from unstuck.cases.course.data import digits
from unstuck.cases.course.item import Fault

METRIC, HIGHER_IS_BETTER, UNIT = "bits_per_pixel", False, "bits"
MARGIN = 0.2  # over the frequencies of the levels at each pixel
TINY = {"steps": 3, "train": 128, "width": 8, "judged": 4}
LEVELS, SIDE = 4, 14


class Recipe(loop.Recipe):
    train: int = Field(8000, ge=1)
    """pictures to learn from"""
    steps: int = Field(400, ge=1)
    """updates"""
    batch: int = Field(32, ge=1)
    """pictures an update; each is 196 predictions"""
    lr: float = Field(3e-3, gt=0)
    """learning rate of Adam"""
    width: int = Field(24, ge=1)
    """channels"""
    judged: int = Field(50, ge=1)
    """held-out pictures judged pixel by pixel at the end"""
    first_mask: str = Field("A", pattern="^[AB]$")
    """type of the first layer's mask"""


class MaskedConv2d(nn.Conv2d):
    """A convolution blind to later pixels in scan-line order; type A to the pixel itself too."""

    mask: Tensor

    def __init__(self, kind: str, inputs: int, outputs: int, size: int) -> None:
        super().__init__(inputs, outputs, size, padding=size // 2)
        mask = torch.zeros(size, size)
        mask[: size // 2] = 1
        mask[size // 2, : size // 2 + (kind == "B")] = 1
        self.register_buffer("mask", mask)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight * self.mask, self.bias, padding=self.padding)


class PixelCNN(nn.Module):
    """Levels (n, h, w) of whole numbers -> scores of each pixel's level (n, levels, h, w)."""

    def __init__(self, width: int, levels: int = LEVELS, first_mask: str = "A") -> None:
        super().__init__()
        self.levels = levels
        self.first = MaskedConv2d(first_mask, levels, width, 7)
        self.later = nn.ModuleList(MaskedConv2d("B", width, width, 3) for _ in range(4))
        self.scores = nn.Sequential(nn.ReLU(), nn.Conv2d(width, levels, 1))

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.first(F.one_hot(x, self.levels).permute(0, 3, 1, 2).float())
        for conv in self.later:
            hidden = hidden + conv(F.relu(hidden))
        return self.scores(hidden)


@torch.no_grad()
def true_bits(model: PixelCNN, x: Tensor) -> float:
    """Bits a pixel where each is predicted with itself and all later pixels blanked.

    The same as the ordinary evaluation if the model keeps the order; true if it does not.
    """
    n, height, width = x.shape
    seen, total = torch.zeros_like(x), 0.0
    for row in range(height):
        for column in range(width):
            scores = model(seen[:, : row + 1])[:, :, row, column]  # later rows: blank anyway
            total += float(F.cross_entropy(scores, x[:, row, column], reduction="sum"))
            seen[:, row, column] = x[:, row, column]
    return total / (n * height * width) / math.log(2)


@torch.no_grad()
def sampled(model: PixelCNN, count: int, source: torch.Generator) -> Tensor:
    """Pictures (count, 14, 14) drawn pixel by pixel."""
    x = torch.zeros(count, SIDE, SIDE, dtype=torch.long)
    for row in range(SIDE):
        for column in range(SIDE):
            likely = F.softmax(model(x[:, : row + 1])[:, :, row, column], dim=1)
            x[:, row, column] = torch.multinomial(likely, 1, generator=source)[:, 0]
    return x


FAULTS = {
    "unmasked-pixel": Fault(
        {"first_mask": "B"},
        "the first layer sees the pixel it has to predict: the loss falls to zero, and what is"
        " drawn pixel by pixel is blank or noise",
        ("SEQ003",),
    ),
}


def train(
    recipe: Recipe | Mapping[str, item.Scalar], seed: int, out: Path | None = None
) -> dict[str, float]:
    r = item.made(Recipe, recipe)
    data = digits.load(r.train, sample=r.sample)
    train_x, test_x = (levels_of(x) for x in (data.train_x, data.test_x))
    torch.manual_seed(seed)
    model = PixelCNN(r.width, first_mask=r.first_mask)

    def loss(x: Tensor) -> dict[str, Tensor]:
        return {"cross_entropy": F.cross_entropy(model(x), x)}

    def evaluate() -> dict[str, float]:
        return {"val_loss": float(F.cross_entropy(model(test_x[:500]), test_x[:500]))}

    metrics = loop.fit(r, model, loop.minibatches((train_x,), r.batch, seed), loss, evaluate)
    judged = test_x[: r.judged]
    bits = true_bits(model.eval(), judged)
    if out is not None:
        drawn = sampled(model, 30, torch.Generator().manual_seed(seed))
        rows = [judged[:10], *drawn.view(3, 10, SIDE, SIDE)]
        shown = [row / (LEVELS - 1) for row in rows]
        pictures.grid(out / "picture.png", shown, row_titles=["digits", *["drawn"] * 3])
    return metrics | {"bits_per_pixel": bits, "baseline": marginal_bits(train_x, judged)}


def levels_of(x: Tensor) -> Tensor:
    """Pictures (n, 1, 28, 28) in [0, 1] as grey levels 0 to 3 at half the size (n, 14, 14)."""
    return (F.avg_pool2d(x, 2)[:, 0] * (LEVELS - 1)).round().long()


def marginal_bits(train_x: Tensor, x: Tensor) -> float:
    """Bits a pixel if each pixel's level is drawn on its own, as often as in training."""
    counts = F.one_hot(train_x, LEVELS).float().sum(0) + 1
    likely = (counts / counts.sum(-1, keepdim=True)).expand(len(x), -1, -1, -1)
    return float(-likely.gather(3, x[..., None]).log2().mean())
