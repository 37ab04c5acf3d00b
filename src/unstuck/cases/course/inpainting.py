"""Inpainting (context encoder): a network that fills the hole in the middle of a picture.

The loss is || M * (x - F((1 - M) * x)) ||^2 with M = 1 in the hole: the network never sees what it
has to draw, and what it can see does not count. With the squared error alone the filling is
blurred, the mean of what could be there; a small adversarial term (`adversarial`) sharpens it.
Pathak et al., "Context Encoders: Feature Learning by Inpainting" (2016).

Covers: 12.13 12.14 12.15 H04
Run: unstuck case run course/inpainting
Expected: hole_error 0.02986 +- 0.00064 mean squared error over 5 seeds (trivial answer 0.0963) in
    5 s on one core each: python -m unstuck.cases.course inpainting --seeds 5
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

import unstuck
from unstuck.cases.course import item, loop, pictures
from unstuck.cases.course.data import fashion
from unstuck.cases.course.item import Fault

METRIC, HIGHER_IS_BETTER, UNIT = "hole_error", False, "mean squared error"
MARGIN = 0.05  # over filling every hole with the training pictures' mean
TINY = {"steps": 3, "train": 128, "width": 4}
HOLE = slice(8, 20)  # rows and columns of the hole


class Recipe(loop.Recipe):
    train: int = Field(8000, ge=1)
    """pictures to learn from"""
    steps: int = Field(300, ge=1)
    """updates"""
    lr: float = Field(2e-3, gt=0)
    """learning rate of Adam, for both networks"""
    width: int = Field(16, ge=1)
    """channels of the first convolution"""
    adversarial: float = Field(0.0, ge=0)
    """weight of the adversarial term; 0.02 gives sharper fillings with a larger squared error"""
    hidden: bool = True
    """the hole is blanked before the network sees the picture"""


class ContextEncoder(nn.Module):
    """(n, 1, 28, 28) with a hole -> pictures (n, 1, 28, 28) through a code of 64 numbers."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.encode = nn.Sequential(
            nn.Conv2d(1, width, 4, 2, 1), nn.BatchNorm2d(width), nn.ReLU(),
            nn.Conv2d(width, 2 * width, 4, 2, 1), nn.BatchNorm2d(2 * width), nn.ReLU(),
            nn.Flatten(), nn.Linear(2 * width * 49, 64),
        )  # fmt: skip
        self.decode = nn.Sequential(
            nn.Linear(64, 2 * width * 49), nn.ReLU(), nn.Unflatten(1, (2 * width, 7, 7)),
            nn.ConvTranspose2d(2 * width, width, 4, 2, 1), nn.BatchNorm2d(width), nn.ReLU(),
            nn.ConvTranspose2d(width, 1, 4, 2, 1),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))


def hole_mask() -> Tensor:
    """M (28, 28): 1 in the hole."""
    mask = torch.zeros(28, 28)
    mask[HOLE, HOLE] = 1
    return mask


def masked_error(x: Tensor, guessed: Tensor, mask: Tensor) -> Tensor:
    """Squared error over the hole alone, a mean over its pixels."""
    return (mask * (x - guessed) ** 2).sum() / (mask.sum() * len(x))


def critic(width: int) -> nn.Module:
    """Holes (n, 1, 12, 12) -> score (n, 1): true or filled in."""
    return nn.Sequential(
        nn.Conv2d(1, width, 4, 2, 1), nn.LeakyReLU(0.2),
        nn.Conv2d(width, 2 * width, 4, 2, 1), nn.LeakyReLU(0.2),
        nn.Flatten(), nn.Linear(2 * width * 9, 1),
    )  # fmt: skip


FAULTS = {
    "missing-mask": Fault(
        {"hidden": False},
        "in training the network sees what it has to draw and copies it; it cannot fill real holes",
        ("SEQ003",),
    ),
}


def train(
    recipe: Recipe | Mapping[str, item.Scalar], seed: int, out: Path | None = None
) -> dict[str, float]:
    r = item.made(Recipe, recipe)
    data = fashion.load(r.train, sample=r.sample)
    train_x, test_x = ((x - fashion.MEAN) / fashion.STD for x in (data.train_x, data.test_x))
    mask = hole_mask()
    torch.manual_seed(seed)
    model = ContextEncoder(r.width)
    optimizer = torch.optim.Adam(model.parameters(), r.lr)
    if r.adversarial:
        judge = critic(r.width)
        judge_optimizer = torch.optim.Adam(judge.parameters(), r.lr, betas=(0.5, 0.999))

    def evaluate() -> dict[str, float]:
        filled = model((1 - mask) * test_x)
        error = float(masked_error(test_x, filled, mask))
        return {
            "val_loss": error,
            "hole_error": error * fashion.STD**2,
            "sharpness": steepness(filled) / steepness(test_x),
        }

    metrics: dict[str, float] = {}
    batches = loop.minibatches((train_x,), r.batch, seed)
    for step, (x,) in zip(range(1, r.steps + 1), batches, strict=False):
        filled = model((1 - mask) * x if r.hidden else x)
        reconstruction = masked_error(x, filled, mask)
        loss = reconstruction
        if r.adversarial:
            true, drawn = x[:, :, HOLE, HOLE], filled[:, :, HOLE, HOLE]
            right = F.softplus(-judge(true)).mean() + F.softplus(judge(drawn.detach())).mean()
            judge_optimizer.zero_grad()
            right.backward()
            judge_optimizer.step()
            adversarial = r.adversarial * F.softplus(-judge(drawn)).mean()
            loss = reconstruction + adversarial
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % max(1, r.steps // loop.REPORTS) == 0 or step == r.steps:
            metrics = loop.looked_at(model, evaluate)
            unstuck.log(**metrics)
            said = "  ".join(f"{name} {value:.4f}" for name, value in metrics.items())
            print(f"step {step:5d}  loss {float(loss.detach()):.4f}  {said}", flush=True)

    mean = train_x.mean(0, keepdim=True).expand_as(test_x)
    baseline = float(masked_error(test_x, mean, mask)) * fashion.STD**2
    if out is not None:
        x = test_x[:10]
        with torch.no_grad():
            filled = mask * model.eval()((1 - mask) * x) + (1 - mask) * x
        rows = [p[:, 0] * fashion.STD + fashion.MEAN for p in (x, (1 - mask) * x, filled)]
        pictures.grid(out / "picture.png", rows, row_titles=["picture", "seen", "filled in"])
    return metrics | {"baseline": baseline}


def steepness(x: Tensor) -> float:
    """Mean absolute difference of neighbouring pixels in the hole."""
    hole = x[:, :, HOLE, HOLE]
    return float(hole.diff(dim=2).abs().mean() + hole.diff(dim=3).abs().mean())
