"""VQ-VAE on digits: a picture as a grid of 4 x 4 entries of a learned codebook.

    code_i = argmin_k |E(x)_i - e_k|,   decoder input = E(x) + stop(e_code - E(x))
    L = |x - D(.)|^2 + |stop(E(x)) - e|^2 + beta |E(x) - stop(e)|^2

The choice of the nearest entry has no slope, so the decoder's gradient is handed to the encoder as
it is (straight through); the second term draws entries to what is coded, the third keeps the
encoder near its entries. Entries that nothing is near to are never drawn: a codebook far from the
encoder dies. Van den Oord, Vinyals, Kavukcuoglu, "Neural discrete representation learning" (2017).

Covers: 14.24
Run: unstuck case run course/vq_vae
Expected: psnr 18.11 +- 0.24 dB over 5 seeds (trivial answer 14.1) in 5 s on one core each: python
    -m unstuck.cases.course vq_vae --seeds 5
"""

import math
from collections.abc import Mapping
from pathlib import Path

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from unstuck.cases.course import item, loop, pictures
from unstuck.cases.course.data import judge
from unstuck.cases.course.item import Fault

METRIC, HIGHER_IS_BETTER, UNIT = "psnr", True, "dB"
MARGIN = 3.0  # dB over the mean picture
TINY = {"steps": 3, "train": 200, "width": 4}


class Recipe(loop.Recipe):
    train: int = Field(4000, ge=1)
    """digits to learn from"""
    steps: int = Field(400, ge=1)
    """updates"""
    lr: float = Field(2e-3, gt=0)
    """learning rate of Adam, falling to 0 along a cosine"""
    width: int = Field(24, ge=1)
    """channels at 8 px"""
    entries: int = Field(64, ge=2)
    """of the codebook: 16 of 64 are 96 bits a picture"""
    code: int = Field(8, ge=1)
    """dimensions of an entry"""
    beta: float = Field(0.25, ge=0)
    """weight of the commitment of the encoder to its entries (the paper's)"""
    seeded: bool = True
    """the codebook starts as what the encoder says of the first pictures"""
    spread: float = Field(1.0, gt=0)
    """spread of the entries where they start at random"""


class Quantiser(nn.Module):
    """Vectors (n, h, w, code) -> their nearest entries, and which those are (n, h, w)."""

    def __init__(self, entries: int, code: int, spread: float) -> None:
        super().__init__()
        self.entries = nn.Parameter(spread * torch.randn(entries, code))

    def forward(self, vectors: Tensor) -> tuple[Tensor, Tensor]:
        chosen = torch.cdist(vectors.flatten(0, 2), self.entries).argmin(1)
        return self.entries[chosen].reshape(vectors.shape), chosen.reshape(vectors.shape[:3])


class VQVAE(nn.Module):
    """Pictures (n, 1, 16, 16) -> reconstruction, encoder's vectors, entries, which entries."""

    def __init__(self, width: int, entries: int, code: int, spread: float) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(1, width, 4, 2, 1), nn.SiLU(),
            nn.Conv2d(width, 2 * width, 4, 2, 1), nn.SiLU(), nn.Conv2d(2 * width, code, 1),
            nn.BatchNorm2d(code, affine=False),  # vectors of unit size, as entries are
        )  # fmt: skip
        self.quantiser = Quantiser(entries, code, spread)
        self.decoder = nn.Sequential(
            nn.Conv2d(code, 2 * width, 3, padding=1), nn.SiLU(),
            nn.ConvTranspose2d(2 * width, width, 4, 2, 1), nn.SiLU(),
            nn.ConvTranspose2d(width, 1, 4, 2, 1),
        )  # fmt: skip

    def vectors(self, x: Tensor) -> Tensor:
        return self.encoder(x).permute(0, 2, 3, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        vectors = self.vectors(x)
        nearest, chosen = self.quantiser(vectors)
        handed = straight_through(vectors, nearest)
        return self.decoder(handed.permute(0, 3, 1, 2)), vectors, nearest, chosen


def straight_through(vectors: Tensor, nearest: Tensor) -> Tensor:
    """The value of `nearest` with the gradient of `vectors`."""
    return vectors + (nearest - vectors).detach()


FAULTS = {
    "far-codebook": Fault(
        {"seeded": False, "spread": 20.0},
        "a handful of entries, those that lie nearest by chance, code everything; the others never"
        " move",
    ),
}


def train(
    recipe: Recipe | Mapping[str, item.Scalar], seed: int, out: Path | None = None
) -> dict[str, float]:
    r = item.made(Recipe, recipe)
    data = judge.small_digits(r.train, sample=r.sample)
    torch.manual_seed(seed)
    model = VQVAE(r.width, r.entries, r.code, r.spread)
    if r.seeded:
        with torch.no_grad():
            seen = model.vectors(data.train_x[:256]).flatten(0, 2)
            model.quantiser.entries.copy_(seen[torch.randperm(len(seen))[: r.entries]])
    optimizer = torch.optim.AdamW(model.parameters(), r.lr, weight_decay=r.weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, r.steps)

    def loss(x: Tensor) -> dict[str, Tensor]:
        drawn, vectors, nearest, _ = model(x)
        return {
            "reconstruction": F.mse_loss(drawn, x),
            "codebook": F.mse_loss(nearest, vectors.detach()),
            "commitment": r.beta * F.mse_loss(vectors, nearest.detach()),
        }

    def evaluate() -> dict[str, float]:
        drawn, _, _, chosen = model(data.test_x)
        share = chosen.flatten().bincount(minlength=r.entries) / chosen.numel()
        error = float(F.mse_loss(drawn, data.test_x))
        return {
            "val_loss": error,
            "psnr": _psnr(error),
            "entries_used": float((share > 0).sum()),
            "perplexity": float(torch.exp(-torch.xlogy(share, share).sum())),
        }

    batches = loop.minibatches((data.train_x,), r.batch, seed)
    metrics = loop.fit(r, model, batches, loss, evaluate, optimizer=optimizer, schedule=schedule)
    if out is not None:
        with torch.no_grad():
            drawn, _, _, chosen = model.eval()(data.test_x[:10])
        rows = [(data.test_x[:10, 0] + 1) / 2, (drawn[:, 0] + 1) / 2, chosen / (r.entries - 1)]
        pictures.grid(out / "picture.png", rows, row_titles=["real", "decoded", "entries"])
    mean = data.train_x.mean(0).expand_as(data.test_x)
    return metrics | {"baseline": _psnr(float(F.mse_loss(mean, data.test_x)))}


def _psnr(error: float) -> float:
    """Pixels span 2, from -1 to 1."""
    return 10 * math.log10(4 / error)
