"""DINO: a student learns to say what its own slow average says of another view; no negatives.

    L = - sum over K of P_T log P_S,    P_T = softmax((t - c) / tau_T),    P_S = softmax(s / tau_S)

The teacher gets no gradient, its weights follow the student's, theta_T <- m theta_T + (1 - m)
theta_S. Two things keep all pictures from getting the same answer: centring (c is the running mean
of the teacher's outputs) forbids that one of the K outputs always wins, sharpening (tau_T < tau_S)
forbids that all are equal. Caron et al., "Emerging Properties in Self-Supervised Vision
Transformers" (2021).

Covers: 12.05 12.43 12.44 13.01 H16
Run: unstuck case run course/dino
Expected: linear_probe 0.576 +- 0.033 over 5 seeds (trivial answer 0.473) in 13 s on one core each:
    python -m unstuck.cases.course dino --seeds 5
"""

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

import unstuck
from unstuck.cases.course import item, loop, pictures
from unstuck.cases.course.data import digits
from unstuck.cases.course.data.augmentation import affine_views, stroke_views
from unstuck.cases.course.data.probe import linear_probe
from unstuck.cases.course.item import Fault

METRIC, HIGHER_IS_BETTER, UNIT = "linear_probe", True, ""
MARGIN = 0.05  # over the same probe on the same encoder before training
TINY = {"steps": 3, "train": 128, "width": 4, "outputs": 8}


class Recipe(loop.Recipe):
    train: int = Field(8000, ge=1)
    """pictures without labels"""
    labelled: int = Field(100, ge=1)
    """labels the probe gets, about ten a class"""
    steps: int = Field(400, ge=1)
    """updates"""
    batch: int = Field(64, ge=1)
    """pictures an update, each in two views"""
    lr: float = Field(1e-3, gt=0)
    """learning rate of Adam; at 2e-3 one seed in seven lost its spread for half of the run"""
    width: int = Field(16, ge=1)
    """channels of the first convolution; the third has four times as many"""
    outputs: int = Field(256, ge=2)
    """K, the size of both answers"""
    momentum: float = Field(0.98, ge=0, le=1)
    """m of the teacher; 0.996 is for far longer runs"""
    student_temperature: float = Field(0.1, gt=0)
    """tau_S"""
    teacher_temperature: float = Field(0.04, gt=0)
    """tau_T, smaller: the teacher is surer of itself"""
    centre: bool = True
    """subtract the running mean of the teacher's outputs"""


class Network(nn.Module):
    """(n, 1, 28, 28) -> cosines with K prototypes (n, K), on encoded features (n, 4 width)."""

    def __init__(self, width: int, outputs: int) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(1, width, 3, 2, 1), nn.BatchNorm2d(width), nn.ReLU(),
            nn.Conv2d(width, 2 * width, 3, 2, 1), nn.BatchNorm2d(2 * width), nn.ReLU(),
            nn.Conv2d(2 * width, 4 * width, 3, 2, 1), nn.BatchNorm2d(4 * width), nn.ReLU(),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        )  # fmt: skip
        self.projection = nn.Sequential(nn.Linear(4 * width, 128), nn.GELU(), nn.Linear(128, 32))
        self.prototypes = nn.Parameter(torch.randn(outputs, 32))

    def forward(self, x: Tensor) -> Tensor:
        direction = F.normalize(self.projection(self.encoder(x)), dim=1)
        return direction @ F.normalize(self.prototypes, dim=1).T


def self_distillation(student: Tensor, teacher: Tensor, centre: Tensor, r: Recipe) -> Tensor:
    """Cross-entropy of the student's answers (n, K) under the teacher's for the other view."""
    target = F.softmax((teacher.detach() - centre) / r.teacher_temperature, dim=1)
    return -(target * F.log_softmax(student / r.student_temperature, dim=1)).sum(1).mean()


@torch.no_grad()
def follow(slow: nn.Module, fast: nn.Module, momentum: float) -> None:
    """theta_slow <- m theta_slow + (1 - m) theta_fast."""
    for theta_slow, theta_fast in zip(slow.parameters(), fast.parameters(), strict=True):
        theta_slow.mul_(momentum).add_(theta_fast, alpha=1 - momentum)


def variety(outputs: Tensor, r: Recipe) -> float:
    """exp of the entropy of the mean answer: how many of the K outputs are in use."""
    mean = F.softmax(outputs / r.student_temperature, dim=1).mean(0)
    return float(torch.exp(torch.special.entr(mean).sum()))


FAULTS = {
    "no-centring": Fault(
        {"centre": False},
        "one output wins for every picture: the loss falls to zero, all pictures look the same",
        ("COL004",),
    ),
}


def train(
    recipe: Recipe | Mapping[str, item.Scalar], seed: int, out: Path | None = None
) -> dict[str, float]:
    r = item.made(Recipe, recipe)
    data = digits.load(r.train, sample=r.sample)
    train_x, test_x = ((x - digits.MEAN) / digits.STD for x in (data.train_x, data.test_x))
    source = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    student = Network(r.width, r.outputs)
    teacher = deepcopy(student).requires_grad_(False)
    both = nn.ModuleList([student, teacher])
    optimizer = torch.optim.Adam(student.parameters(), r.lr)
    centre = torch.zeros(r.outputs)

    def view(x: Tensor, source: torch.Generator) -> Tensor:
        return affine_views(stroke_views(x, source), source)

    def probe() -> dict[str, float]:
        labelled = teacher.encoder(train_x[: r.labelled]), data.train_y[: r.labelled]
        return {"linear_probe": linear_probe(*labelled, teacher.encoder(test_x), data.test_y)}

    def evaluate() -> dict[str, float]:
        fixed = torch.Generator().manual_seed(0)
        said = student(view(test_x[:500], fixed))
        target = teacher(view(test_x[:500], fixed))
        held = self_distillation(said, target, centre, r)
        return {"val_loss": float(held), "outputs_in_use": variety(said, r)}

    before = loop.looked_at(both, probe)["linear_probe"]
    metrics: dict[str, float] = {}
    batches = loop.minibatches((train_x,), r.batch, seed)
    for step, (x,) in zip(range(1, r.steps + 1), batches, strict=False):
        views = torch.cat([view(x, source), view(x, source)])
        with torch.no_grad():
            told = teacher(views)
        distillation = self_distillation(student(views), told.roll(len(x), 0), centre, r)
        optimizer.zero_grad()
        distillation.backward()
        optimizer.step()
        follow(teacher, student, r.momentum)
        if r.centre:
            centre = 0.9 * centre + 0.1 * told.mean(0)
        if step % max(1, r.steps // loop.REPORTS) == 0 or step == r.steps:
            metrics = loop.looked_at(both, evaluate)
            unstuck.log(**metrics)
            said = "  ".join(f"{name} {value:.4f}" for name, value in metrics.items())
            print(f"step {step:5d}  loss {float(distillation.detach()):.4f}  {said}", flush=True)

    metrics |= loop.looked_at(both, probe)
    pixels = linear_probe(train_x[: r.labelled], data.train_y[: r.labelled], test_x, data.test_y)
    if out is not None:
        with torch.no_grad():
            likely = F.softmax(teacher.eval()(test_x) / r.teacher_temperature, dim=1)
        used = likely.mean(0).argsort(descending=True)[:6]
        rows = [test_x[likely[:, k].argsort(descending=True)[:10], 0] for k in used]
        names = [f"output {int(k)}" for k in used]
        pictures.grid(out / "picture.png", rows, row_titles=names, limits=None)
    return metrics | {"baseline": before, "raw_pixels": pixels}
