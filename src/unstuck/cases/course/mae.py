"""Masked autoencoder (MAE): a transformer draws the three quarters of a picture it cannot see.

The encoder gets the visible patches alone; a light decoder gets their codes, puts one shared mask
token (with its position) in every empty place and predicts pixels. The mean squared error counts
on masked patches only. He, Chen, Xie, Li, Dollar, Girshick, "Masked Autoencoders Are Scalable
Vision Learners" (2022).

Covers: 12.05 12.21 12.22 12.23 12.24 H07 H08 H09 H10
Run: unstuck case run course/mae
Expected: linear_probe 0.540 +- 0.029 over 5 seeds (trivial answer 0.429) in 7 s on one core each:
    python -m unstuck.cases.course mae --seeds 5
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from pydantic import Field
from torch import Tensor, nn

from unstuck.cases.course import item, loop, pictures
from unstuck.cases.course.data import digits
from unstuck.cases.course.data.probe import linear_probe
from unstuck.cases.course.item import Fault

METRIC, HIGHER_IS_BETTER, UNIT = "linear_probe", True, ""
MARGIN = 0.05  # over the same probe on the same encoder before training
TINY = {"steps": 3, "train": 128, "width": 16, "depth": 1}
PATCH, PER_SIDE = 7, 4  # 16 patches of 7 x 7 pixels


class Recipe(loop.Recipe):
    train: int = Field(8000, ge=1)
    """pictures without labels"""
    labelled: int = Field(100, ge=1)
    """labels the probe gets, about ten a class"""
    steps: int = Field(500, ge=1)
    """updates"""
    batch: int = Field(64, ge=1)
    """pictures an update"""
    lr: float = Field(2e-3, gt=0)
    """learning rate of Adam"""
    width: int = Field(64, ge=4)
    """numbers a token, in the encoder; the decoder has half of them"""
    depth: int = Field(2, ge=1)
    """blocks of the encoder; the decoder has one"""
    mask_ratio: float = Field(0.75, gt=0, lt=1)
    """share of patches the encoder does not see"""


def patches(x: Tensor) -> Tensor:
    """(n, 1, 28, 28) -> (n, 16, 49), row by row."""
    cut = x.view(-1, PER_SIDE, PATCH, PER_SIDE, PATCH).transpose(2, 3)
    return cut.reshape(-1, PER_SIDE**2, PATCH**2)


def picture(cut: Tensor) -> Tensor:
    """The reverse of `patches`."""
    parts = cut.view(-1, PER_SIDE, PER_SIDE, PATCH, PATCH).transpose(2, 3)
    return parts.reshape(-1, 1, PER_SIDE * PATCH, PER_SIDE * PATCH)


def random_order(n: int, source: torch.Generator) -> Tensor:
    """For each of n pictures a random order of its patches (n, 16); the first ones stay visible."""
    return torch.rand(n, PER_SIDE**2, generator=source).argsort(1)


def take(tokens: Tensor, places: Tensor) -> Tensor:
    """Tokens (n, t, d) at places (n, k) -> (n, k, d)."""
    return tokens.gather(1, places[..., None].expand(-1, -1, tokens.shape[2]))


def block(width: int) -> nn.Module:
    return nn.TransformerEncoderLayer(
        width, 4, 2 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
    )


class MaskedAutoencoder(nn.Module):
    """Patches (n, 16, 49) and the places kept (n, k) -> all patches predicted (n, 16, 49)."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        count, light = PER_SIDE**2, width // 2
        self.embed = nn.Linear(PATCH**2, width)
        self.place = nn.Parameter(0.1 * torch.randn(count, width))
        self.encoder = nn.Sequential(*(block(width) for _ in range(depth)), nn.LayerNorm(width))
        self.narrow = nn.Linear(width, light)
        self.mask_token = nn.Parameter(0.1 * torch.randn(light))
        self.place_again = nn.Parameter(0.1 * torch.randn(count, light))
        self.decoder = nn.Sequential(block(light), nn.LayerNorm(light), nn.Linear(light, PATCH**2))

    def encode(self, cut: Tensor, kept: Tensor) -> Tensor:
        """Codes (n, k, width) of the patches kept; the others are never looked at."""
        return self.encoder(take(self.embed(cut) + self.place, kept))

    def features(self, x: Tensor) -> Tensor:
        """(n, width): the mean code of all patches, none masked."""
        cut = patches(x)
        return self.encode(cut, torch.arange(PER_SIDE**2).expand(len(cut), -1)).mean(1)

    def forward(self, cut: Tensor, kept: Tensor) -> Tensor:
        codes = self.narrow(self.encode(cut, kept))
        full = self.mask_token.expand(len(cut), PER_SIDE**2, -1)
        full = full.scatter(1, kept[..., None].expand_as(codes), codes)
        return self.decoder(full + self.place_again)


def masked_error(cut: Tensor, guessed: Tensor, hidden: Tensor) -> Tensor:
    """Mean squared error over the hidden patches (n, h) alone."""
    return (take(cut, hidden) - take(guessed, hidden)).square().mean()


FAULTS = {
    "low-mask-ratio": Fault(
        {"mask_ratio": 0.1},
        "a hidden patch is continued from its neighbours: the loss looks better, but from a quarter"
        " of its patches the whole picture cannot be drawn",
        symptom="error_from_a_quarter",
    ),
}


def train(
    recipe: Recipe | Mapping[str, item.Scalar], seed: int, out: Path | None = None
) -> dict[str, float]:
    r = item.made(Recipe, recipe)
    data = digits.load(r.train, sample=r.sample)
    train_x, test_x = ((x - digits.MEAN) / digits.STD for x in (data.train_x, data.test_x))
    source = torch.Generator().manual_seed(seed)
    visible = round((1 - r.mask_ratio) * PER_SIDE**2)
    torch.manual_seed(seed)
    model = MaskedAutoencoder(r.width, r.depth)

    def error(x: Tensor, visible: int, source: torch.Generator) -> Tensor:
        order = random_order(len(x), source)
        kept, hidden = order[:, :visible], order[:, visible:]
        return masked_error(patches(x), model(patches(x), kept), hidden)

    def probe() -> dict[str, float]:
        labelled = model.features(train_x[: r.labelled]), data.train_y[: r.labelled]
        return {"linear_probe": linear_probe(*labelled, model.features(test_x), data.test_y)}

    def loss(x: Tensor) -> dict[str, Tensor]:
        return {"reconstruction": error(x, visible, source)}

    def evaluate() -> dict[str, float]:
        fixed = torch.Generator().manual_seed(0)
        return {
            "val_loss": float(error(test_x[:500], visible, fixed)),
            "error_from_a_quarter": float(error(test_x[:500], PER_SIDE**2 // 4, fixed)),
        }

    before = loop.looked_at(model, probe)["linear_probe"]
    batches = loop.minibatches((train_x,), r.batch, seed)
    metrics = loop.fit(r, model, batches, loss, evaluate, clip=1.0)
    metrics |= loop.looked_at(model, probe)
    pixels = linear_probe(train_x[: r.labelled], data.train_y[: r.labelled], test_x, data.test_y)
    if out is not None:
        _draw(out / "picture.png", model, test_x[:10], visible)
    return metrics | {"baseline": before, "raw_pixels": pixels}


def _draw(file: Path, model: MaskedAutoencoder, x: Tensor, visible: int) -> None:
    """Pictures, what the encoder sees of them, and the masked patches drawn in."""
    kept = random_order(len(x), torch.Generator().manual_seed(0))[:, :visible]
    seen = torch.zeros(len(x), PER_SIDE**2, 1).scatter(1, kept[..., None], 1.0)
    with torch.no_grad():
        guessed = model.eval()(patches(x), kept)
    drawn = picture(torch.where(seen > 0, patches(x), guessed))
    rows = [x, picture(torch.where(seen > 0, patches(x), torch.ones(1))), drawn]
    rows = [row[:, 0] * digits.STD + digits.MEAN for row in rows]
    pictures.grid(file, rows, row_titles=["picture", "seen", "drawn in"])
