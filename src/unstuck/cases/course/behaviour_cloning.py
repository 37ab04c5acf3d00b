"""Cloning a driver from what the camera sees, and DAgger, which asks the driver on the way.

    cloning   min |pi(s) - a*|^2 over what the expert sees
    DAgger    drive with pi, let the expert say a* for what pi sees, add it, train again

A clone errs a little, comes to where no expert ever was, and errs more there. Here the expert shows
its art on a still day and the policy is judged in gusts; both forms get the same number of expert
labels. The clone's training loss is the lower one: success is what counts.
Pomerleau, "ALVINN" (1989); Ross, Gordon, Bagnell, "A reduction of imitation learning and
structured prediction to no-regret online learning" (2011).

Covers: 17.20 17.21 17.26 L04 L07 L10
Run: unstuck case run course/behaviour_cloning
Expected: success_rate 1 +- 0 over 5 seeds (trivial answer 0) in 3 s on one core each: python -m
    unstuck.cases.course behaviour_cloning --seeds 5
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from matplotlib import pyplot as plt
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

import unstuck
from unstuck.cases.course import item, loop, pictures
from unstuck.cases.course.data import road
from unstuck.cases.course.item import Fault

METRIC, HIGHER_IS_BETTER, UNIT = "success_rate", True, ""
MARGIN = 0.5  # over going straight ahead
TINY = {"rounds": 2, "steps": 4, "labels": 40, "judged": 5, "way": 20}


class Recipe(loop.Recipe):
    rounds: int = Field(8, ge=1)
    """times the expert labels what was seen and the policy learns from all of it"""
    labels: int = Field(200, ge=1)
    """pictures the expert labels in a round"""
    steps: int = Field(150, ge=1)
    """updates in a round"""
    lr: float = Field(2e-3, gt=0)
    """learning rate of Adam"""
    own_way: bool = True
    """from the second round on, the policy drives (DAgger), not the expert"""
    wind: float = Field(0.3, ge=0)
    """spread of the gusts, as a steering"""
    shown_wind: float = Field(0.0, ge=0)
    """the gusts in which the expert shows its art: a still day"""
    judged: int = Field(200, ge=1)
    """roads that are driven to judge"""
    way: int = Field(300, ge=1)
    """steps of a road"""


class Policy(nn.Module):
    """What the camera sees (n, PIXELS) -> steering (n,)."""

    def __init__(self, width: int = 48) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(road.PIXELS, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(),
            nn.Linear(width, 1),
        )  # fmt: skip

    def forward(self, seen: Tensor) -> Tensor:
        return self.layers(seen)[:, 0]


def labelled(
    driver: road.Driver, wind: float, r: Recipe, random: np.random.Generator
) -> tuple[road.Array, road.Array]:
    """What a driver sees on a few roads, until it is off them, and what the expert would steer."""
    seen, cars, on = road.driven(driver, 10, r.way, wind, random)
    seen, cars = seen[on], cars[on]
    chosen = random.choice(len(seen), r.labels)
    return seen[chosen], road.expert(seen[chosen], cars[chosen])


FAULTS = {
    "cloning-only": Fault(
        {"own_way": False},
        "the training loss is a tenth of DAgger's, yet the clone leaves the road: it never saw the"
        " line from the side",
    ),
}


def train(
    recipe: Recipe | Mapping[str, item.Scalar], seed: int, out: Path | None = None
) -> dict[str, float]:
    r = item.made(Recipe, recipe)
    random = np.random.default_rng(seed)
    torch.manual_seed(seed)
    policy = Policy()
    optimizer = torch.optim.Adam(policy.parameters(), r.lr)

    def clone(seen: road.Array, _: road.Array) -> road.Array:
        with torch.no_grad():
            return policy(torch.from_numpy(seen).float()).double().numpy()

    def judged(driver: road.Driver) -> tuple[float, road.Array]:
        own = np.random.default_rng([seed, 1])
        _, cars, on = road.driven(driver, r.judged, r.way, r.wind, own)
        return float(on[-1].mean()), np.where(on, cars[:, :, 0], np.nan)

    seen, steering = labelled(road.expert, r.shown_wind, r, random)
    metrics: dict[str, float] = {}
    for turn in range(r.rounds):
        if turn:
            driver, wind = (clone, r.wind) if r.own_way else (road.expert, r.shown_wind)
            more = labelled(driver, wind, r, random)
            seen, steering = np.concatenate([seen, more[0]]), np.concatenate([steering, more[1]])
        data = torch.from_numpy(seen).float(), torch.from_numpy(steering).float()
        batches = loop.minibatches(data, r.batch, seed + turn)
        for _, (picture, aim) in zip(range(r.steps), batches, strict=False):
            imitation_loss = F.mse_loss(policy(picture), aim)
            optimizer.zero_grad()
            imitation_loss.backward()
            optimizer.step()

        metrics = {"success_rate": judged(clone)[0]}
        unstuck.log(**metrics)
        print(
            f"round {turn + 1}  {len(seen)} labels  loss {float(imitation_loss.detach()):.4f}  "
            f"success {metrics['success_rate']:.2f}",
            flush=True,
        )
    if out is not None:
        _draw(out / "picture.png", {"policy": judged(clone)[1], "expert": judged(road.expert)[1]})
    with torch.no_grad():
        train_loss = float(F.mse_loss(policy(data[0]), data[1]))
    return metrics | {
        "train_loss": train_loss,
        "expert_success": judged(road.expert)[0],
        "baseline": judged(lambda seen, _: np.zeros(len(seen)))[0],
    }


def _draw(file: Path, offsets: dict[str, road.Array]) -> None:
    """How far from the middle of the road the cars are, on the way, until they are off."""
    figure, axes = plt.subplots(1, len(offsets), figsize=(6.4, 2.3), sharey=True)
    for axis, (name, lines) in zip(axes, offsets.items(), strict=True):
        axis.plot(lines[:, :40], linewidth=0.6)
        axis.axhspan(1, 1.3, color="0.8")
        axis.axhspan(-1.3, -1, color="0.8")
        axis.set_title(name, fontsize=8)
        axis.set_xlabel("step", fontsize=8)
        axis.tick_params(labelsize=7)
    axes[0].set_ylabel("offset from the middle", fontsize=8)
    figure.tight_layout(pad=0.4)
    figure.savefig(file, dpi=pictures.DPI)
    plt.close(figure)
