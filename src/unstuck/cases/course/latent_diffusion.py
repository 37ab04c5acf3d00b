"""Latent diffusion on clothes: an autoencoder first, then a flow among its codes.

    1.  L = |x - D(E(x))|^2                                            E, D trained, then frozen
    2.  h = (E(x) - m) / s,   h_t = (1 - t) h + t z,   L = |f(h_t, t) - (z - h)|^2
    3.  noise -> h by Euler steps -> one pass of D

The flow works on 16 numbers instead of 784 pixels. It starts from noise of unit size, so the codes
are given unit size as well, by one mean and one spread for all. Rombach et al., "High-resolution
image synthesis with latent diffusion models" (2022), where the factor 1 / s is 0.18.

Covers: 14.10 14.16 14.20 I13
Run: unstuck case run course/latent_diffusion
Expected: frechet_distance 1.56 +- 0.14 over 5 seeds (trivial answer 37) in 7 s on one core each:
    python -m unstuck.cases.course latent_diffusion --seeds 5
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from unstuck.cases.course import item, loop, pictures
from unstuck.cases.course.data import fashion, judge
from unstuck.cases.course.item import Fault

METRIC, HIGHER_IS_BETTER, UNIT = "frechet_distance", False, ""
MARGIN = 5.0  # under decoded codes that are drawn from N(0, s) with no flow
TINY = {"steps": 3, "flow_steps": 3, "train": 300, "width": 16, "sampling_steps": 2, "judged": 100}
SIZE = 28


class Recipe(loop.Recipe):
    train: int = Field(4000, ge=1)
    """clothes to learn from"""
    steps: int = Field(400, ge=1)
    """updates of the autoencoder"""
    flow_steps: int = Field(1200, ge=1)
    """updates of the flow among its codes; each costs a quarter of one of the autoencoder"""
    lr: float = Field(2e-3, gt=0)
    """learning rate of Adam in both stages, falling to 0 along a cosine"""
    code: int = Field(16, ge=1)
    """numbers of a code"""
    width: int = Field(128, ge=1)
    """hidden units of both networks"""
    spread: float = Field(1.0, gt=0)
    """spread the codes are given before the flow sees them; its noise has 1"""
    sampling_steps: int = Field(30, ge=1)
    """Euler steps"""
    judged: int = Field(1000, ge=2)
    """pictures the judge sees"""


class Autoencoder(nn.Module):
    """Pictures (n, 1, 28, 28) in [0, 1] -> codes (n, code) -> pictures."""

    def __init__(self, code: int, width: int) -> None:
        super().__init__()
        pixels = SIZE * SIZE
        self.encoder = nn.Sequential(
            nn.Flatten(), nn.Linear(pixels, 2 * width), nn.SiLU(), nn.Linear(2 * width, code)
        )
        self.decoder = nn.Sequential(
            nn.Linear(code, 2 * width), nn.SiLU(), nn.Linear(2 * width, pixels), nn.Sigmoid(),
            nn.Unflatten(1, (1, SIZE, SIZE)),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.encoder((x - fashion.MEAN) / fashion.STD))


class Flow(nn.Module):
    """(h_t, t) -> the velocity from code to noise; residual blocks."""

    def __init__(self, code: int, width: int, depth: int = 3) -> None:
        super().__init__()
        self.inside = nn.Linear(code + 16, width)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.LayerNorm(width), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width)
            )
            for _ in range(depth)
        )
        self.outside = nn.Linear(width, code)

    def forward(self, h: Tensor, t: Tensor) -> Tensor:
        angles = t[:, None] * torch.logspace(0, 1.3, 8)
        hidden = self.inside(torch.cat([h, angles.sin(), angles.cos()], 1))
        for block in self.blocks:
            hidden = hidden + block(hidden)
        return self.outside(hidden)


def drawn(flow: nn.Module, z: Tensor, steps: int) -> Tensor:
    """Codes from noise: Euler steps against the velocity from t = 1 to 0."""
    h = z
    for i in range(steps):
        h = h - flow(h, torch.full((len(h),), 1 - i / steps)) / steps
    return h


FAULTS = {
    "oversized-codes": Fault(
        {"spread": 30.0},
        "the codes are thirty times larger than the noise the flow starts from, and than what its"
        " layers are made for: it hardly gets them from one to the other",
        ("DAT001",),
    ),
}


def train(
    recipe: Recipe | Mapping[str, item.Scalar], seed: int, out: Path | None = None
) -> dict[str, float]:
    r = item.made(Recipe, recipe)
    data = fashion.load(r.train, sample=r.sample)
    own = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    coder, flow = Autoencoder(r.code, r.width), Flow(r.code, r.width)

    def coded(x: Tensor) -> Tensor:
        with torch.no_grad():
            return coder.encoder((x - fashion.MEAN) / fashion.STD)

    _fit(
        r,
        coder,
        r.steps,
        loop.minibatches((data.train_x,), r.batch, seed),
        lambda x: {"reconstruction": F.mse_loss(coder(x), x)},
        lambda: {"val_reconstruction": float(F.mse_loss(coder(data.test_x), data.test_x))},
    )
    codes, held_out = coded(data.train_x), coded(data.test_x)
    mean, spread = codes.mean(), codes.std()
    codes, held_out = ((h - mean) * r.spread / spread for h in (codes, held_out))
    held_z, held_t = (
        torch.randn(held_out.shape, generator=own),
        torch.rand(len(held_out), generator=own),
    )

    def velocity_error(h: Tensor, z: Tensor, t: Tensor) -> Tensor:
        h_t = (1 - t[:, None]) * h + t[:, None] * z
        return F.mse_loss(flow(h_t, t), z - h)

    def loss(h: Tensor) -> dict[str, Tensor]:
        z, t = torch.randn(h.shape, generator=own), torch.rand(len(h), generator=own)
        return {"velocity": velocity_error(h, z, t)}

    metrics = _fit(
        r,
        flow,
        r.flow_steps,
        loop.minibatches((codes,), r.batch, seed),
        loss,
        lambda: {"val_loss": float(velocity_error(held_out, held_z, held_t))},
    )

    critic = judge.Judge(_small(data.train_x), data.train_y)
    truth = _small(data.test_x[: r.judged])
    z = torch.randn(r.judged, r.code, generator=own)
    with torch.no_grad():
        made = coder.decoder(drawn(flow.eval(), z, r.sampling_steps) * spread / r.spread + mean)
        no_flow = coder.decoder(z * spread + mean)
        best = coder(data.test_x[: r.judged])
    if out is not None:
        rows = [made[:10], made[10:20], no_flow[:10], data.test_x[:10], best[:10]]
        names = ["drawn", "", "no flow", "real", "real,\ncoded"]
        pictures.grid(out / "picture.png", [x[:, 0] for x in rows], row_titles=names)
    return metrics | {
        "frechet_distance": critic.distance(truth, _small(made)),
        "coded_distance": critic.distance(truth, _small(best)),
        "code_spread": float(spread),
        "baseline": critic.distance(truth, _small(no_flow)),
    }


def _small(x: Tensor) -> Tensor:
    """What the judge sees: 14 px in [-1, 1]."""
    return 2 * F.avg_pool2d(x, 2) - 1


def _fit(recipe: Recipe, model: nn.Module, steps: int, *rest: Any) -> dict[str, float]:
    """One stage: the ordinary loop with a cosine schedule."""
    optimizer = torch.optim.AdamW(model.parameters(), recipe.lr, weight_decay=recipe.weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    stage = recipe.model_copy(update={"steps": steps})
    return loop.fit(stage, model, *rest, optimizer=optimizer, schedule=schedule, clip=1.0)
