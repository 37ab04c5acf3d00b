"""A vision Transformer: a picture is read as a sequence of patches.

A convolution with stride = kernel = patch cuts the picture and projects every patch to a token; a
learned vector per place is added, for attention itself does not know where a token stands; a [CLS]
token asks all others, or the tokens' mean is taken. 224 px in patches of 16 give 14^2 = 196 tokens
of 16 * 16 * 3 = 768 numbers. Dosovitskiy et al., "An image is worth 16x16 words" (2021).

Covers: 10A.10 10A.20 9B.02 9B.03 9B.39 D02
Run: unstuck case run course/vit
Expected: test_accuracy 0.9358 +- 0.0052 over 5 seeds (trivial answer 0.11) in 5 s on one core
    each: python -m unstuck.cases.course vit --seeds 5
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from unstuck.cases.course import item, loop, pictures
from unstuck.cases.course.data import digits
from unstuck.cases.course.item import Fault

METRIC, HIGHER_IS_BETTER, UNIT = "test_accuracy", True, ""
MARGIN = 0.8  # over naming one digit always
TINY = {"steps": 3, "train": 64, "width": 8}


class Recipe(loop.Recipe):
    train: int = Field(8000, ge=1)
    """digits to learn from"""
    patch: int = Field(7, ge=1)
    """pixels of a patch's side; 28 must be a multiple"""
    width: int = Field(48, ge=4)
    """numbers of a token"""
    depth: int = Field(2, ge=1)
    """blocks"""
    heads: int = Field(4, ge=1)
    """attention heads"""
    pool: Literal["cls", "mean"] = "cls"
    """what is classified: a token of its own or the mean of all"""
    positions: bool = True
    """add a learned vector per place"""
    steps: int = Field(320, ge=1)
    """two and a half epochs"""
    batch: int = Field(64, ge=1)
    """digits an update"""
    lr: float = Field(3e-3, gt=0)
    """highest learning rate of AdamW; cosine to zero behind a warm-up of a tenth"""
    weight_decay: float = Field(0.05, ge=0)
    """decoupled weight decay; there is little data for a model that assumes so little"""


class Block(nn.Module):
    """Pre-norm block: x + attention(norm(x)), x + mlp(norm(x))."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        a = self.norm1(x)
        y, weights = self.attention(a, a, a)
        x = x + y
        return x + self.mlp(self.norm2(x)), weights


class ViT(nn.Module):
    """Pictures (n, channels, size, size) -> scores (n, classes)."""

    def __init__(self, r: Recipe, channels: int = 1, size: int = 28, classes: int = 10) -> None:
        super().__init__()
        places = (size // r.patch) ** 2 + (r.pool == "cls")
        self.embed = nn.Conv2d(channels, r.width, r.patch, r.patch)
        self.cls = nn.Parameter(0.02 * torch.randn(1, 1, r.width)) if r.pool == "cls" else None
        self.position = nn.Parameter(0.5 * torch.randn(1, places, r.width)) if r.positions else None
        self.blocks = nn.ModuleList(Block(r.width, r.heads) for _ in range(r.depth))
        self.norm = nn.LayerNorm(r.width)
        self.head = nn.Linear(r.width, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.looked(x)[0]

    def looked(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Scores; and how much what is classified looks at each patch in the last block."""
        x = self.embed(x).flatten(2).transpose(1, 2)
        if self.cls is not None:
            x = torch.cat([self.cls.expand(len(x), -1, -1), x], 1)
        if self.position is not None:
            x = x + self.position
        for block in self.blocks:
            x, weights = block(x)
        x = self.norm(x)
        if self.cls is not None:
            return self.head(x[:, 0]), weights[:, 0, 1:]
        return self.head(x.mean(1)), weights.mean(1)


FAULTS = {
    "no-positions": Fault(
        {"positions": False},
        "the picture is a bag of patches: shuffling them changes no score, and digits that are made"
        " of the same strokes are mixed up",
        ("CTX003",),
    ),
}


def train(
    recipe: Recipe | Mapping[str, item.Scalar], seed: int, out: Path | None = None
) -> dict[str, float]:
    r = item.made(Recipe, recipe)
    data = digits.load(r.train, sample=r.sample)
    train_x, test_x = ((x - digits.MEAN) / digits.STD for x in (data.train_x, data.test_x))
    torch.manual_seed(seed)
    model = ViT(r)
    optimizer = torch.optim.AdamW(model.parameters(), lr=r.lr, weight_decay=r.weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate(step + 1, r.steps))

    def loss(x: Tensor, y: Tensor) -> dict[str, Tensor]:
        return {"cross_entropy": F.cross_entropy(model(x), y)}

    def evaluate() -> dict[str, float]:
        scores = model(test_x)
        return {
            "val_loss": float(F.cross_entropy(scores, data.test_y)),
            "test_accuracy": float((scores.argmax(1) == data.test_y).float().mean()),
        }

    batches = loop.minibatches((train_x, data.train_y), r.batch, seed)
    metrics = loop.fit(
        r, model, batches, loss, evaluate, optimizer=optimizer, schedule=schedule, clip=1.0
    )
    if out is not None:
        _draw(out / "picture.png", model.eval(), test_x[:8], data.test_x[:8])
    majority = float((data.test_y == data.train_y.mode().values).float().mean())
    return metrics | {"baseline": majority}


def rate(step: int, steps: int) -> float:
    """Share of the highest learning rate: linear warm-up over a tenth, then half a cosine."""
    share = step / steps
    return min(10 * share, 0.5 * (1 + math.cos(math.pi * max(0.0, share - 0.1) / 0.9)))


def _draw(file: Path, model: ViT, x: Tensor, shown: Tensor) -> None:
    """Digits, what was looked at, and the filters that make tokens of patches."""
    with torch.no_grad():
        scores, looks = model.looked(x)
    side = math.isqrt(looks.shape[1])
    maps = F.interpolate(looks.view(-1, 1, side, side), scale_factor=28 // side)
    maps = maps / maps.amax((1, 2, 3), keepdim=True)
    filters = model.embed.weight.detach()[:8, 0]
    low, high = filters.min(), filters.max()
    pictures.grid(
        file,
        [shown, maps, maps * shown, (filters - low) / (high - low)],
        titles=[f"said {k}" for k in scores.argmax(1).tolist()],
        row_titles=("digit", "attention", "product", "filters"),
    )
