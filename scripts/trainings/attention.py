"""Small transformers: maps that find something, maps that see nothing or all, tokens that blur."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainings import healthy, sick
from trainings.digits import batches, step

WORDS = 16


class SelfAttention(nn.Module):
    """`sharpness` times the usual scale of the scores."""

    def __init__(self, width: int, heads: int = 2, sharpness: float = 1.0, causal: bool = False):
        super().__init__()
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.heads, self.causal = heads, causal
        self.scale = sharpness / math.sqrt(width // heads)

    def forward(self, x: Tensor) -> Tensor:
        n, t, width = x.shape
        q, k, v = self.qkv(x).view(n, t, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        scores = q @ k.transpose(2, 3) * self.scale
        if self.causal:
            scores = scores.masked_fill(torch.ones(t, t, dtype=torch.bool).triu(1), -math.inf)
        return self.out((scores.softmax(-1) @ v).transpose(1, 2).reshape(n, t, width))


class Block(nn.Module):
    """Pre-norm attention and perceptron, with or without paths around them."""

    def __init__(self, attention: nn.Module, width: int, around: float = 1.0, inside: float = 1.0):
        super().__init__()
        self.attention, self.norm1, self.norm2 = attention, nn.LayerNorm(width), nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )
        self.around, self.inside = around, inside

    def forward(self, x: Tensor) -> Tensor:
        x = self.around * x + self.inside * self.attention(self.norm1(x))
        return self.around * x + self.inside * self.mlp(self.norm2(x))


class Transformer(nn.Module):
    """Tokens (n, t) of WORDS words -> scores (n, t, WORDS)."""

    def __init__(self, t: int, depth: int = 2, width: int = 32, around: float = 1.0, **attention):
        super().__init__()
        self.embedding = nn.Embedding(WORDS, width)
        self.place = nn.Parameter(0.5 * torch.randn(t, width))
        self.blocks = nn.ModuleList(
            Block(SelfAttention(width, **attention), width, around) for _ in range(depth)
        )
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, WORDS)

    def forward(self, x: Tensor) -> Tensor:
        h = self.embedding(x) + self.place
        for block in self.blocks:
            h = block(h)
        return self.head(self.norm(h))


def mirrored(model: nn.Module, steps: int = 260, t: int = 12, rate: float = 3e-3):
    """The sequence backwards: every place looks at one other, and nowhere else."""
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    for _ in range(steps):
        x = torch.randint(0, WORDS, (32, t))
        step(optimizer, F.cross_entropy(model(x).flatten(0, 1), x.flip(1).flatten()))


class Reader(nn.Module):
    """Digits (n, 64) row by row -> scores of ten classes, the mean over the rows."""

    def __init__(self, depth: int = 2, width: int = 32, around: float = 1.0, **attention):
        super().__init__()
        self.embedding = nn.Linear(8, width)
        self.place = nn.Parameter(0.1 * torch.randn(8, width))
        self.blocks = nn.ModuleList(
            Block(SelfAttention(width, **attention), width, around) for _ in range(depth)
        )
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        h = self.embedding(x.view(-1, 8, 8)) + self.place
        for block in self.blocks:
            h = block(h)
        return self.head(self.norm(h).mean(1))


def read(model: nn.Module, steps: int = 260, rate: float = 2e-3):
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    for x, y in batches(32, steps):
        step(optimizer, F.cross_entropy(model(x), y))


def loud(model: nn.Module, spread: float) -> nn.Module:
    """Queries and keys drawn with a spread of their own, as from a plain normal distribution."""
    for module in model.modules():
        if isinstance(module, SelfAttention):
            nn.init.normal_(module.qkv.weight[: 2 * module.out.in_features], std=spread)
    return model


@healthy
def mirrored_words():
    mirrored(Transformer(12))


@healthy
def mirrored_words_by_sharp_maps():
    """Maps that are one key only from the start, and right in the end."""
    mirrored(Transformer(12, sharpness=40.0))


@healthy
def mirrored_words_from_uniform_maps():
    """Maps that look at everything alike for a long time."""
    mirrored(Transformer(12, sharpness=0.001))


@healthy
def mirrored_words_in_depth():
    mirrored(Transformer(12, depth=6))


@healthy
def digits_read_in_depth():
    """Tokens that become alike because their mean is all that is asked for."""
    read(Reader(depth=5))


@healthy
def digits_read_by_sharp_maps():
    read(Reader(sharpness=300.0))


@sick("ATT001")
def mirrored_words_by_frozen_maps():
    mirrored(loud(Transformer(12, sharpness=4.0), spread=3.0))


@sick("ATT001")
def mirrored_words_by_unscaled_maps():
    """Scores multiplied by a width of 1,024 rather than divided by its root."""
    mirrored(Transformer(12, sharpness=2000.0, heads=4))


@sick("ATT002")
def mirrored_words_without_residuals():
    mirrored(Transformer(12, depth=6, around=0.0))


@sick("ATT002")
def digits_read_without_residuals():
    read(Reader(depth=8, around=0.0))
