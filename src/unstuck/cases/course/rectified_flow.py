"""Rectified flow on digits: straight ways from pictures to noise, with classifier-free guidance.

    x_t = (1 - t) x + t z,   v = z - x,   L = |f(x_t, t, y) - v|^2,   t ~ U[0, 1]      training
    x <- x - v / T from t = 1 to 0,   v = v_null + (1 + w) (v_y - v_null)              sampling

w = 0 follows v_y as it is, larger w pushes towards what only y says. (Many programs write
v_null + s (v_y - v_null); s = 1 + w.) The class is dropped at random so that one network knows both
v_y and v_null. Liu, Gong, Liu, "Flow straight and fast" (2022); Ho & Salimans, "Classifier-free
diffusion guidance" (2022).

Covers: 14.11 14.12 14.13 14.14 14.15 14.22 I12 V13 V14
Run: unstuck case run course/rectified_flow
Expected: class_accuracy 1 +- 0 over 5 seeds (trivial answer 0.0976) in 10 s on one core each:
    python -m unstuck.cases.course rectified_flow --seeds 5
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

METRIC, HIGHER_IS_BETTER, UNIT = "class_accuracy", True, ""
MARGIN = 0.6  # over samples that ignore the class they were asked for
TINY = {"steps": 3, "train": 300, "width": 32, "sampling_steps": 2, "judged": 100}
NULL = 10  # the class that says nothing
SIZE = 16


class Recipe(loop.Recipe):
    train: int = Field(4000, ge=1)
    """digits to learn from"""
    steps: int = Field(800, ge=1)
    """updates; the pictures get better for ten times as long"""
    batch: int = Field(64, ge=1)
    """digits an update, each at a time t of its own"""
    lr: float = Field(2e-3, gt=0)
    """learning rate of Adam, falling to 0 along a cosine"""
    width: int = Field(192, ge=1)
    """units of each block"""
    sampling_steps: int = Field(15, ge=1)
    """Euler steps T"""
    guidance: float = 2.0
    """w; 0 follows v_y"""
    drop: float = Field(0.1, ge=0, le=1)
    """share of classes dropped in training; the course's 0.5 leaves half of the updates for v_y"""
    sign: float = 1.0
    """-1: the target is x - z, while sampling still goes against it"""
    judged: int = Field(500, ge=2)
    """pictures the judge sees"""


class Velocity(nn.Module):
    """(x_t, t, y) -> v: residual blocks on pixels, each scaled and shifted by time and class."""

    def __init__(self, width: int, depth: int = 3) -> None:
        super().__init__()
        self.inside = nn.Linear(SIZE * SIZE, width)
        self.classes = nn.Embedding(NULL + 1, width)
        self.time = nn.Sequential(nn.Linear(32, width), nn.SiLU(), nn.Linear(width, width))
        self.norms = nn.ModuleList(
            nn.LayerNorm(width, elementwise_affine=False) for _ in range(depth)
        )
        self.modulations = nn.ModuleList(nn.Linear(width, 2 * width) for _ in range(depth))
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Linear(width, 2 * width), nn.SiLU(), nn.Linear(2 * width, width))
            for _ in range(depth)
        )
        self.gain = nn.Linear(width, 1)
        self.outside = nn.Linear(width, SIZE * SIZE)

    def forward(self, x: Tensor, t: Tensor, y: Tensor) -> Tensor:
        condition = F.silu(self.time(waves(t)) + self.classes(y))
        h = self.inside(x.flatten(1))
        for norm, modulation, block in zip(self.norms, self.modulations, self.blocks, strict=True):
            scale, shift = modulation(condition).chunk(2, 1)
            h = h + block(norm(h) * (1 + scale) + shift)
        # the noise itself passes by: it has more dimensions than the blocks are wide
        return self.outside(h).reshape(x.shape) + self.gain(condition)[:, :, None, None] * x


def waves(t: Tensor, count: int = 32) -> Tensor:
    """Times in [0, 1] as sines and cosines of 1 to 100 radians."""
    angles = t[:, None] * torch.logspace(0, 2, count // 2)
    return torch.cat([angles.sin(), angles.cos()], 1)


def interpolated(x: Tensor, z: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """x_t on the straight way from x (t = 0) to z (t = 1), and the velocity along it."""
    t = t.reshape(-1, *[1] * (x.dim() - 1))
    return (1 - t) * x + t * z, z - x


def guided(v_y: Tensor, v_null: Tensor, w: float) -> Tensor:
    """v_y where w = 0; what v_y has beyond v_null, (1 + w) times."""
    return v_null + (1 + w) * (v_y - v_null)


def sampled(model: nn.Module, z: Tensor, y: Tensor, steps: int, w: float) -> Tensor:
    """Euler steps from noise z at t = 1 to pictures of the classes y at t = 0."""
    x, null = z, torch.full_like(y, NULL)
    for i in range(steps):
        t = torch.full((len(x),), 1 - i / steps)
        v = guided(model(x, t, y), model(x, t, null), w)
        x = x - v / steps
    return x.clamp(-1, 1)


FAULTS = {
    "wrong-sign": Fault(
        {"sign": -1.0},
        "the loss falls just as before, but every step walks towards more noise: samples are noise",
    ),
    "no-dropped-classes": Fault(
        {"drop": 0.0},
        "the null class was never trained, so guidance pushes away from nonsense",
        symptom="frechet_distance",
    ),
}


def train(
    recipe: Recipe | Mapping[str, item.Scalar], seed: int, out: Path | None = None
) -> dict[str, float]:
    r = item.made(Recipe, recipe)
    data = judge.small_digits(r.train, sample=r.sample)
    critic = judge.Judge(data.train_x, data.train_y)
    own = torch.Generator().manual_seed(seed)
    asked = torch.arange(r.judged) % 10
    judged_z = torch.randn(r.judged, 1, SIZE, SIZE, generator=own)
    held_z, held_t = (
        torch.randn(data.test_x.shape, generator=own),
        torch.rand(len(data.test_x), generator=own),
    )
    torch.manual_seed(seed)
    model = Velocity(r.width)
    optimizer = torch.optim.AdamW(model.parameters(), r.lr, weight_decay=r.weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, r.steps)

    def loss(x: Tensor, y: Tensor) -> dict[str, Tensor]:
        t, z = torch.rand(len(x), generator=own), torch.randn(x.shape, generator=own)
        kept = torch.where(torch.rand(len(y), generator=own) < r.drop, NULL, y)
        x_t, v = interpolated(x, z, t)
        return {"velocity": F.mse_loss(model(x_t, t, kept), r.sign * v)}

    def evaluate() -> dict[str, float]:
        x_t, v = interpolated(data.test_x, held_z, held_t)
        return {"val_loss": float(F.mse_loss(model(x_t, held_t, data.test_y), r.sign * v))}

    batches = loop.minibatches((data.train_x, data.train_y), r.batch, seed)
    metrics = loop.fit(
        r, model, batches, loss, evaluate, optimizer=optimizer, schedule=schedule, clip=1.0
    )

    def judged(w: float) -> tuple[float, float]:
        with torch.no_grad():
            made = sampled(model.eval(), judged_z, asked, r.sampling_steps, w)
        right = critic.classes(made) == asked.numpy()
        return float(right.mean()), critic.distance(data.test_x, made)

    metrics["unguided_accuracy"], metrics["unguided_distance"] = judged(0.0)
    metrics["class_accuracy"], metrics["frechet_distance"] = judged(r.guidance)
    ignorant = critic.classes(judge.gaussian_like(data.train_x, r.judged, seed))
    if out is not None:
        rows = [
            (sampled(model, judged_z[:10], asked[:10], r.sampling_steps, w).detach()[:, 0] + 1) / 2
            for w in (-1.0, 0.0, 1.0, 3.0)
        ]
        names = ["w = -1:\nno class", "w = 0", "w = 1", "w = 3"]
        pictures.grid(out / "picture.png", [x.numpy() for x in rows], row_titles=names)
    return metrics | {"baseline": float((ignorant == asked.numpy()).mean())}
