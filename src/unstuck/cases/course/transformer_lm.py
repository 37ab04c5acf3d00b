"""A causal Transformer that writes text: masked multi-head self-attention, block upon block.

Every position asks all positions before it: softmax(Q K^T / sqrt(d) + mask) V, the mask -inf for
what comes later, in heads of d = D / heads (Vaswani et al., "Attention is all you need", 2017).
Pre-norm x + f(norm(x)) keeps a clean path through the depth (Xiong et al., 2020); RMSNorm only
scales (Zhang, Sennrich, 2019); SwiGLU lets one half gate the other (Shazeer, 2020).

Covers: 10A.06 10A.07 10A.08 10A.09 10A.10 10A.11 10A.12 10A.13 10A.15 10A.16 10A.17 10A.18 10A.19
    10A.21 10A.22 10A.23 9B.04 9B.05 9B.06 D03 D05 D08
Run: unstuck case run course/transformer_lm
Expected: next_character_bits 2.467 +- 0.036 bits over 5 seeds (trivial answer 4.35) in 11 s on one
    core each: python -m unstuck.cases.course transformer_lm --seeds 5
"""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from unstuck.cases.course import item, loop
from unstuck.cases.course.data import text
from unstuck.cases.course.item import Fault

METRIC, HIGHER_IS_BETTER, UNIT = "next_character_bits", False, "bits"
MARGIN = 1.7  # over the frequencies of single characters
TINY = {"steps": 4, "width": 16, "context": 16, "batch": 4}
SYMBOLS = len(text.ALPHABET)
HELD = 12_800  # characters at the text's end


class Recipe(loop.Recipe):
    context: int = Field(32, ge=2)
    """characters that are read at once"""
    width: int = Field(64, ge=1)
    """numbers a token has on the residual path"""
    depth: int = Field(2, ge=1)
    """blocks"""
    heads: int = Field(4, ge=1)
    """attention heads; they share the width, so more cost no more"""
    norm: Literal["layer", "rms"] = "rms"
    """normalisation: LayerNorm or RMSNorm"""
    order: Literal["pre", "post"] = "pre"
    """normalise before a sub-layer, inside the residual branch, or after the sum"""
    feedforward: Literal["relu", "swiglu"] = "swiglu"
    """position-wise network, of about equal size either way"""
    causal: bool = True
    """mask what comes later"""
    tied: bool = False
    """the output scores with the embedding's own matrix"""
    steps: int = Field(400, ge=1)
    """updates: less than an epoch, so that nothing can be learned by heart"""
    batch: int = Field(32, ge=1)
    """windows an update"""
    lr: float = Field(1e-2, gt=0)
    """highest learning rate of AdamW; cosine to zero behind a warm-up"""
    warmup: int = Field(40, ge=0)
    """updates on which the rate grows"""


def attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """softmax(q k^T / sqrt(d)) v and its weights; `mask` is true where a query may look."""
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)  # before the softmax: the rest sums to 1
    weights = scores.softmax(-1)
    return weights @ v, weights


class SelfAttention(nn.Module):
    """Multi-head self-attention on (n, t, width)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)
        self.weights = torch.empty(0)  # of the last call, to look at

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        n, t, width = x.shape
        q, k, v = self.qkv(x).view(n, t, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        y, weights = attention(q, k, v, mask)
        self.weights = weights.detach()
        return self.output(y.transpose(1, 2).reshape(n, t, width))


class RMSNorm(nn.Module):
    """x / sqrt(mean x^2 + eps) * gain: no mean, no shift."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6) * self.gain


class SwiGLU(nn.Module):
    """(swish(x W1) * x W2) W3, swish(a) = a sigmoid(a); 8/3 as wide, as large as 4 with ReLU."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.W1, self.W2 = (nn.Linear(width, 8 * width // 3, bias=False) for _ in range(2))
        self.W3 = nn.Linear(8 * width // 3, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        a = self.W1(x)
        return self.W3(a * torch.sigmoid(a) * self.W2(x))


class Block(nn.Module):
    """Attention and position-wise network, each with a residual path and a normalisation."""

    def __init__(self, r: Recipe) -> None:
        super().__init__()
        norm = nn.LayerNorm if r.norm == "layer" else RMSNorm
        self.norm1, self.norm2 = norm(r.width), norm(r.width)
        self.attention = SelfAttention(r.width, r.heads)
        relu = (nn.Linear(r.width, 4 * r.width), nn.ReLU(), nn.Linear(4 * r.width, r.width))
        self.mlp = nn.Sequential(*relu) if r.feedforward == "relu" else SwiGLU(r.width)
        self.pre = r.order == "pre"

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        if self.pre:
            x = x + self.attention(self.norm1(x), mask)
            return x + self.mlp(self.norm2(x))
        x = self.norm1(x + self.attention(x, mask))
        return self.norm2(x + self.mlp(x))


class Transformer(nn.Module):
    """Characters (n, t) -> scores of the next one at every place (n, t, symbols)."""

    def __init__(self, r: Recipe) -> None:
        super().__init__()
        self.causal = r.causal
        self.embedding = nn.Embedding(SYMBOLS, r.width)
        self.position = nn.Parameter(torch.randn(r.context, r.width))
        self.blocks = nn.ModuleList(Block(r) for _ in range(r.depth))
        self.norm = nn.LayerNorm(r.width) if r.norm == "layer" else RMSNorm(r.width)
        self.output = nn.Linear(r.width, SYMBOLS, bias=False)
        if r.tied:
            self.output.weight = self.embedding.weight
        nn.init.normal_(self.output.weight, std=0.02)  # first scores about equal: loss log symbols

    def forward(self, characters: Tensor) -> Tensor:
        t = characters.shape[1]
        x = self.embedding(characters) + self.position[:t]
        mask = torch.ones(t, t, dtype=torch.bool).tril() if self.causal else None
        for block in self.blocks:
            x = block(x, mask)
        return self.output(self.norm(x))


FAULTS = {
    "missing-mask": Fault(
        {"causal": False},
        "every place sees the character it has to predict: the loss falls far below any honest"
        " model's, also on held-out text; the next character of a text that ends is a guess",
        ("SEQ003",),
    ),
}


def train(
    recipe: Recipe | Mapping[str, item.Scalar], seed: int, out: Path | None = None
) -> dict[str, float]:
    r = item.made(Recipe, recipe)
    whole = text.encoded(text.load())
    learned, held = whole[:-HELD], whole[-HELD:]
    torch.manual_seed(seed)
    model = Transformer(r)
    optimizer = torch.optim.AdamW(model.parameters(), r.lr, weight_decay=r.weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate(step + 1, r))
    rows = held[: len(held) // (r.context + 1) * (r.context + 1)].view(-1, r.context + 1)

    def cross_entropy(windows: Tensor) -> Tensor:
        scores = model(windows[:, :-1])
        return F.cross_entropy(scores.flatten(0, 1), windows[:, 1:].flatten())

    def loss(windows: Tensor) -> dict[str, Tensor]:
        return {"cross_entropy": cross_entropy(windows)}

    metrics = loop.fit(
        r, model, windows(learned, r, seed), loss, lambda: {"val_loss": float(cross_entropy(rows))},
        optimizer=optimizer, schedule=schedule, clip=1.0,
    )  # fmt: skip
    with torch.no_grad():  # as it is used: the text ends, the next character is not there to see
        ends = held.unfold(0, r.context + 1, 10)
        last = F.cross_entropy(model(ends[:, :-1])[:, -1], ends[:, -1])
    written = sample(model, text.decoded(learned[: r.context // 2]), 250, r.context, seed)
    print(written)
    if out is not None:
        _draw(out / "picture.png", model, rows[3], written)
    counts = torch.bincount(learned, minlength=SYMBOLS) + 1
    unigram = float(-(counts / counts.sum()).log2()[held].mean())
    return metrics | {"next_character_bits": float(last) / math.log(2), "baseline": unigram}


def rate(step: int, r: Recipe) -> float:
    """Share of the highest learning rate: linear warm-up, then half a cosine."""
    if step < r.warmup:
        return step / r.warmup
    return 0.5 * (1 + math.cos(math.pi * (step - r.warmup) / max(1, r.steps - r.warmup)))


def windows(characters: Tensor, r: Recipe, seed: int) -> Iterator[tuple[Tensor]]:
    """Batches of windows of context + 1 characters from anywhere."""
    generator = torch.Generator().manual_seed(seed)
    reach = torch.arange(r.context + 1)
    while True:
        starts = torch.randint(len(characters) - r.context, (r.batch, 1), generator=generator)
        yield (characters[starts + reach],)


def sample(model: Transformer, begin: str, length: int, context: int, seed: int) -> str:
    generator = torch.Generator().manual_seed(seed)
    written = text.encoded(begin)[None]
    with torch.no_grad():
        for _ in range(length):
            scores = model(written[:, -context:])[:, -1] / 0.7
            drawn = torch.multinomial(scores.softmax(-1), 1, generator=generator)
            written = torch.cat([written, drawn], 1)
    return text.decoded(written[0])


def _draw(file: Path, model: Transformer, characters: Tensor, written: str) -> None:
    """Two heads of the first block, two of the last, on held-out text; below, sampled text."""
    from matplotlib import pyplot as plt

    with torch.no_grad():
        model(characters[None, :-1])
    letters = list(text.decoded(characters[:-1]).replace("\n", " "))
    layers = [layer for layer in model.modules() if isinstance(layer, SelfAttention)]
    maps = [w for i in (0, -1) for w in layers[i].weights[0, :2].numpy()]
    figure, axes = plt.subplots(1, 4, figsize=(9, 3.2))
    for axis, weights in zip(axes, maps, strict=False):
        axis.imshow(weights, cmap="magma")
        axis.set_xticks(range(len(letters)), letters, fontsize=4.5)
        axis.set_yticks(range(len(letters)), letters, fontsize=4.5)
    lines = [written.replace("\n", " / ")[k : k + 110] for k in range(0, 220, 110)]
    figure.text(0.01, 0.02, "\n".join(lines), family="monospace", fontsize=6.5)
    figure.tight_layout(pad=0.4, rect=(0, 0.1, 1, 1))
    figure.savefig(file, dpi=110)
    plt.close(figure)
