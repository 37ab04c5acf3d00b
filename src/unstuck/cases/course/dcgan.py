"""DCGAN on digits: a generator of transposed convolutions against a discriminator.

    min_G max_D  E log D(x) + E log(1 - D(G(z)))             minimax
    G maximises  E log D(G(z)) instead                       non-saturating

Where D wins, log(1 - D(G(z))) is flat and G learns nothing; -log D(G(z)) is steep there. Neither
loss tells how good the pictures are, so a judge does: a Frechet distance on the features of a small
classifier (not FID), and how many of the ten digits are drawn. Goodfellow et al., "Generative
adversarial nets" (2014); Radford, Metz, Chintala, "Unsupervised representation learning with
deep convolutional generative adversarial networks" (2015).

Covers: 14.01 14.02 14.03 14.04 14.07 14.08 I08 I09 I10 I11
Run: unstuck case run course/dcgan
Expected: frechet_distance 2.37 +- 0.42 over 5 seeds (trivial answer 4.46) in 11 s on one core
    each: python -m unstuck.cases.course dcgan --seeds 5
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

import unstuck
from unstuck.cases.course import item, loop, pictures
from unstuck.cases.course.data import judge
from unstuck.cases.course.item import Fault

METRIC, HIGHER_IS_BETTER, UNIT = "frechet_distance", False, ""
MARGIN = 0.6  # under a Gaussian with the mean and covariance of the pixels
TINY = {"steps": 3, "train": 300, "width": 4, "judged": 100}
REPORTS = 10


class Recipe(loop.Recipe):
    train: int = Field(4000, ge=1)
    """digits to learn from"""
    steps: int = Field(700, ge=1)
    """updates of each; both learning rates fall to 0 over the second half"""
    batch: int = Field(32, ge=1)
    """pictures an update"""
    width: int = Field(16, ge=1)
    """channels at 8 px; twice as many at 4 px"""
    latent: int = Field(32, ge=1)
    """dimensions of z"""
    lr: float = Field(2e-3, gt=0)
    """of both; the paper uses 2e-4, for a hundred times the steps"""
    discriminator_lr_factor: float = Field(1.0, gt=0)
    """the discriminator's learning rate over the generator's"""
    loss: Literal["non-saturating", "minimax"] = "non-saturating"
    """what the generator minimises"""
    judged: int = Field(1000, ge=2)
    """pictures the judge sees"""


class Generator(nn.Module):
    """z (n, latent) -> pictures (n, 1, 16, 16) in [-1, 1]."""

    def __init__(self, latent: int, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.ConvTranspose2d(latent, 2 * width, 4, bias=False),  # 1 -> 4 px
            nn.BatchNorm2d(2 * width),
            nn.ReLU(),
            nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1, bias=False),  # 8 px
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.ConvTranspose2d(width, 1, 4, stride=2, padding=1),  # 16 px
        )
        self.apply(_start)

    def forward(self, z: Tensor) -> Tensor:
        return torch.tanh(self.layers(z[:, :, None, None]))


class Discriminator(nn.Module):
    """Pictures (n, 1, 16, 16) -> scores (n,), log D / (1 - D)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, width, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(width, 2 * width, 4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(2 * width),
            nn.LeakyReLU(0.2),
            nn.Conv2d(2 * width, 1, 4),
        )
        self.apply(_start)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x).flatten()


def _start(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, std=0.02)  # the paper's


def discriminator_terms(real_score: Tensor, fake_score: Tensor) -> tuple[Tensor, Tensor]:
    """-E log D(x) and -E log(1 - D(G(z))): binary cross-entropy with targets 1 and 0."""
    return F.softplus(-real_score).mean(), F.softplus(fake_score).mean()


def generator_term(fake_score: Tensor, loss: str) -> Tensor:
    """E log(1 - D(G(z))) where the loss is minimax, -E log D(G(z)) where it does not saturate."""
    return (-F.softplus(fake_score) if loss == "minimax" else F.softplus(-fake_score)).mean()


FAULTS = {
    "saturated-discriminator": Fault(
        {"loss": "minimax", "discriminator_lr_factor": 20.0},
        "the discriminator tells real from fake without error, its loss falls to zero; the"
        " generator's rises and its pictures stay poor",
        ("ADV001",),
    ),
}


def train(
    recipe: Recipe | Mapping[str, item.Scalar], seed: int, out: Path | None = None
) -> dict[str, float]:
    r = item.made(Recipe, recipe)
    data = judge.small_digits(r.train, sample=r.sample)
    critic = judge.Judge(data.train_x, data.train_y)
    held_out = data.test_x[: r.judged]
    noise = torch.Generator().manual_seed(seed)
    judged_z = torch.randn(r.judged, r.latent, generator=noise)
    torch.manual_seed(seed)
    generator, discriminator = Generator(r.latent, r.width), Discriminator(r.width)
    generator_optimizer = torch.optim.Adam(generator.parameters(), r.lr, betas=(0.5, 0.999))
    discriminator_optimizer = torch.optim.Adam(
        discriminator.parameters(), r.lr * r.discriminator_lr_factor, betas=(0.5, 0.999)
    )
    schedules = [
        torch.optim.lr_scheduler.LambdaLR(o, lambda step: min(1.0, 2 - 2 * step / r.steps))
        for o in (generator_optimizer, discriminator_optimizer)
    ]
    batches = loop.minibatches((data.train_x,), r.batch, seed)

    def judged() -> dict[str, float]:
        made = generator(judged_z)
        share = np.bincount(critic.classes(made), minlength=10) / r.judged
        return {
            "frechet_distance": critic.distance(held_out, made),
            "digits_drawn": float((share > 0.02).sum()),  # a fifth of a digit's fair share
        }

    metrics: dict[str, float] = {}
    for step in range(1, r.steps + 1):
        (x,) = next(batches)
        made = generator(torch.randn(len(x), r.latent, generator=noise))

        real, fake = discriminator_terms(discriminator(x), discriminator(made.detach()))
        discriminator_loss = real + fake
        discriminator_optimizer.zero_grad()
        discriminator_loss.backward()
        discriminator_optimizer.step()

        adversarial = generator_term(discriminator(made), r.loss)
        generator_loss = adversarial
        generator_optimizer.zero_grad()
        generator_loss.backward()
        generator_optimizer.step()
        for schedule in schedules:
            schedule.step()

        if step % max(1, r.steps // REPORTS) == 0 or step == r.steps:
            metrics = loop.looked_at(generator, judged)
            unstuck.log(**metrics)
            print(
                f"step {step:4d}  discriminator {float(discriminator_loss.detach()):.3f}  "
                f"generator {float(generator_loss.detach()):.3f}  "
                f"distance {metrics['frechet_distance']:.2f}",
                flush=True,
            )

    if out is not None:
        generator.eval()
        with torch.no_grad():
            walk = torch.stack([torch.lerp(judged_z[0], judged_z[1], t / 9) for t in range(10)])
            made = (torch.cat([generator(judged_z[:40]), generator(walk)]) + 1) / 2
        rows = [made[start : start + 10, 0].numpy() for start in range(0, 50, 10)]
        names = ["drawn", "", "", "", "a line\nin z"]
        pictures.grid(out / "picture.png", rows, row_titles=names)
    baseline = critic.distance(held_out, judge.gaussian_like(data.train_x, r.judged, seed))
    return metrics | {"baseline": baseline}
