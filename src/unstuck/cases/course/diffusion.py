"""Denoising diffusion on digits: predict the noise in a noised picture, then take it away in steps.

    q(x_t | x_{t-1}) = N(sqrt(1 - beta_t) x_{t-1}, beta_t I), so with alpha_bar_t = prod (1 - beta)
    x_t = sqrt(alpha_bar_t) x + sqrt(1 - alpha_bar_t) e,   L = |e - f(x_t, t)|^2       training

Sampling starts from N(0, I), which is right only where alpha_bar_T is about 0. It may jump over
levels (DDIM): take x from the noise that is foreseen, noise it to the next lower level with the
same noise. Ho, Jain, Abbeel, "Denoising diffusion probabilistic models" (2020); Song, Meng, Ermon,
"Denoising diffusion implicit models" (2021).

Covers: 14.09 14.10 14.22 14.23 I15
Run: unstuck case run course/diffusion
Expected: frechet_distance 5.23 +- 0.25 over 5 seeds (trivial answer 22.1) in 16 s on one core
    each: python -m unstuck.cases.course diffusion --seeds 5
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from unstuck.cases.course import item, loop, pictures
from unstuck.cases.course.data import judge
from unstuck.cases.course.item import Fault

METRIC, HIGHER_IS_BETTER, UNIT = "frechet_distance", False, ""
MARGIN = 10.0  # under pixels drawn one by one, each from a Gaussian of its own
TINY = {"steps": 3, "train": 300, "width": 32, "sampling_steps": 2, "judged": 100}
SIZE = 16


class Recipe(loop.Recipe):
    train: int = Field(4000, ge=1)
    """digits to learn from"""
    steps: int = Field(900, ge=1)
    """updates; the pictures get better for ten times as long"""
    lr: float = Field(2e-3, gt=0)
    """learning rate of Adam, falling to 0 along a cosine"""
    width: int = Field(192, ge=1)
    """units of each block"""
    levels: int = Field(1000, ge=2)
    """T, the levels of noise"""
    reach: float = Field(1.0, gt=0, le=1)
    """how far the cosine schedule is followed; 1 ends in pure noise"""
    sampling_steps: int = Field(25, ge=1)
    """levels that sampling stops at"""
    judged: int = Field(1000, ge=2)
    """pictures the judge sees"""


class NoiseNet(nn.Module):
    """(x_t, t) -> the noise in x_t: residual blocks on pixels, each scaled and shifted by t."""

    def __init__(self, width: int, depth: int = 3) -> None:
        super().__init__()
        self.inside = nn.Linear(SIZE * SIZE, width)
        self.time = nn.Sequential(nn.Linear(32, width), nn.SiLU(), nn.Linear(width, width))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(depth))
        self.modulations = nn.ModuleList(nn.Linear(width, 2 * width) for _ in range(depth))
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Linear(width, 2 * width), nn.SiLU(), nn.Linear(2 * width, width))
            for _ in range(depth)
        )
        self.gain = nn.Linear(width, 1)
        self.outside = nn.Linear(width, SIZE * SIZE)

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        time = F.silu(self.time(waves(level)))
        h = self.inside(x.flatten(1))
        for norm, modulation, block in zip(self.norms, self.modulations, self.blocks, strict=True):
            scale, shift = modulation(time).chunk(2, 1)
            h = h + block(norm(h) * (1 + scale) + shift)
        # the noise itself passes by: it has more dimensions than the blocks are wide
        return self.outside(h).reshape(x.shape) + self.gain(time)[:, :, None, None] * x


def waves(level: Tensor, count: int = 32) -> Tensor:
    """Levels in [0, 1] as sines and cosines of 1 to 100 radians."""
    angles = level[:, None] * torch.logspace(0, 2, count // 2)
    return torch.cat([angles.sin(), angles.cos()], 1)


def alpha_bars(levels: int, reach: float) -> Tensor:
    """alpha_bar_t, t = 1 .. T, falling along a squared cosine (Nichol & Dhariwal, 2021)."""
    t = reach * torch.arange(1, levels + 1) / levels
    return (torch.cos((t + 0.008) / 1.008 * torch.pi / 2) ** 2).clamp(min=1e-4)


def noised(x: Tensor, noise: Tensor, alpha_bar: Tensor) -> Tensor:
    """x_t at once, without the levels before it."""
    alpha_bar = alpha_bar.reshape(-1, *[1] * (x.dim() - 1))
    return alpha_bar.sqrt() * x + (1 - alpha_bar).sqrt() * noise


def sampled(model: nn.Module, noise: Tensor, alpha_bar: Tensor, steps: int) -> list[Tensor]:
    """What x is foreseen to be at each of `steps` levels, from noise down to the picture."""
    levels = torch.linspace(len(alpha_bar) - 1, 0, steps).round().long()
    x_t, foreseen = noise, []
    for level, below in zip(levels, [*levels[1:], None], strict=True):
        time = torch.full((len(x_t),), float((level + 1) / len(alpha_bar)))
        a = alpha_bar[level]
        x = (x_t - (1 - a).sqrt() * model(x_t, time)) / a.sqrt()
        x = x.clamp(-1, 1)  # pictures lie there
        foreseen.append(x)
        if below is not None:
            x_t = noised(x, (x_t - a.sqrt() * x) / (1 - a).sqrt(), alpha_bar[below])
    return foreseen


FAULTS = {
    "unfinished-noising": Fault(
        {"reach": 0.5},
        "the highest level still shows the picture; sampling starts from a noise never trained on",
    ),
}


def train(
    recipe: Recipe | Mapping[str, item.Scalar], seed: int, out: Path | None = None
) -> dict[str, float]:
    r = item.made(Recipe, recipe)
    data = judge.small_digits(r.train, sample=r.sample)
    critic = judge.Judge(data.train_x, data.train_y)
    held_out = data.test_x[: r.judged]
    alpha_bar = alpha_bars(r.levels, r.reach)
    own = torch.Generator().manual_seed(seed)
    judged_noise = torch.randn(r.judged, 1, SIZE, SIZE, generator=own)
    held_noise = torch.randn(held_out.shape, generator=own)
    held_level = torch.randint(r.levels, (len(held_out),), generator=own)
    torch.manual_seed(seed)
    model = NoiseNet(r.width)
    optimizer = torch.optim.AdamW(model.parameters(), r.lr, weight_decay=r.weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, r.steps)

    def noise_error(x: Tensor, noise: Tensor, level: Tensor) -> Tensor:
        x_t = noised(x, noise, alpha_bar[level])
        return F.mse_loss(model(x_t, (level + 1) / r.levels), noise)

    def loss(x: Tensor) -> dict[str, Tensor]:
        noise = torch.randn(x.shape, generator=own)
        return {"noise": noise_error(x, noise, torch.randint(r.levels, (len(x),), generator=own))}

    def evaluate() -> dict[str, float]:
        return {"val_loss": float(noise_error(held_out, held_noise, held_level))}

    batches = loop.minibatches((data.train_x,), r.batch, seed)
    metrics = loop.fit(
        r, model, batches, loss, evaluate, optimizer=optimizer, schedule=schedule, clip=1.0
    )
    with torch.no_grad():
        foreseen = sampled(model.eval(), judged_noise, alpha_bar, r.sampling_steps)
    if out is not None:
        shown = torch.stack(foreseen)[:: max(1, len(foreseen) // 5), :10, 0]
        rows = [*shown[:5], foreseen[-1][:10, 0], foreseen[-1][10:20, 0]]
        names = ["foreseen\nat first", "", "", "", "", "drawn", ""]
        pictures.grid(out / "picture.png", [(x + 1) / 2 for x in rows], row_titles=names)
    one_by_one = data.train_x.mean(0) + data.train_x.std(0) * judged_noise
    return metrics | {
        "frechet_distance": critic.distance(held_out, foreseen[-1]),
        "last_signal": float(alpha_bar[-1].sqrt()),
        "gaussian_distance": critic.distance(
            held_out, judge.gaussian_like(data.train_x, r.judged, seed)
        ),
        "baseline": critic.distance(held_out, one_by_one.clamp(-1, 1)),
    }
