"""SGD, momentum, AdaGrad, RMSProp and Adam written out, with learning-rate schedules.

Momentum: v = rho v + g, w -= lr v (Polyak 1964). AdaGrad: s += g^2, w -= lr g / (sqrt(s) + eps)
(Duchi et al. 2011). RMSProp: s = beta s + (1 - beta) g^2 (Tieleman and Hinton 2012). Adam (Kingma
and Ba 2014): both moments, each divided by 1 - beta^t because they start at zero. On a narrow
valley f(x, y) = (x^2 + 100 y^2) / 2 plain SGD zigzags: its rate is bounded by the steep direction.
Then a small network on clothes, with the one chosen.

Covers: 3.09 3.12 3.13 3.14 3.15 3.16 3.17 3.18 A10 A12 A13
Run: unstuck case run course/optimisers
Expected: test_accuracy 0.8590 +- 0.0033 over 5 seeds (trivial answer 0.105) in 1 s on one core
    each: python -m unstuck.cases.course optimisers --seeds 5
"""

import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from unstuck.cases.course import item, loop, pictures
from unstuck.cases.course.data import fashion
from unstuck.cases.course.item import Fault

METRIC, HIGHER_IS_BETTER, UNIT = "test_accuracy", True, ""
MARGIN = 0.65  # over naming one class always
TINY = {"steps": 5, "train": 200, "hidden": 8}
VALLEY_RATES = {"sgd": 0.018, "momentum": 0.018, "adagrad": 0.3, "rmsprop": 0.02, "adam": 0.1}
Name = Literal["sgd", "momentum", "adagrad", "rmsprop", "adam"]


class Recipe(loop.Recipe):
    optimiser: Name = "adam"
    """rule of the update; Adam is the usual first choice"""
    schedule: Literal["constant", "step", "cosine"] = "cosine"
    """large steps at first, small ones at the end; step divides by 10 after half and 3/4"""
    train: int = Field(8000, ge=1)
    """pictures to learn from"""
    steps: int = Field(600, ge=1)
    """five epochs"""
    lr: float = Field(2e-3, gt=0)
    """learning rate at the start; 2e-3 suits Adam and RMSProp, the others want 0.05"""
    hidden: int = Field(64, ge=1)
    """units of the hidden layers"""


def sgd(g: Tensor, state: dict[str, Any], lr: float) -> Tensor:
    return -lr * g


def momentum(g: Tensor, state: dict[str, Any], lr: float, rho: float = 0.9) -> Tensor:
    state["v"] = rho * state.get("v", 0) + g
    return -lr * state["v"]


def adagrad(g: Tensor, state: dict[str, Any], lr: float, eps: float = 1e-10) -> Tensor:
    state["s"] = state.get("s", 0) + g.square()
    return -lr * g / (state["s"].sqrt() + eps)


def rmsprop(
    g: Tensor, state: dict[str, Any], lr: float, beta: float = 0.99, eps: float = 1e-8
) -> Tensor:
    state["s"] = beta * state.get("s", 0) + (1 - beta) * g.square()
    return -lr * g / (state["s"].sqrt() + eps)


def adam(
    g: Tensor,
    state: dict[str, Any],
    lr: float,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
) -> Tensor:
    t = state["t"] = state.get("t", 0) + 1
    state["m"] = betas[0] * state.get("m", 0) + (1 - betas[0]) * g
    state["s"] = betas[1] * state.get("s", 0) + (1 - betas[1]) * g.square()
    m, s = state["m"] / (1 - betas[0] ** t), state["s"] / (1 - betas[1] ** t)
    return -lr * m / (s.sqrt() + eps)


RULES: dict[str, Callable[[Tensor, dict[str, Any], float], Tensor]] = {
    "sgd": sgd, "momentum": momentum, "adagrad": adagrad, "rmsprop": rmsprop, "adam": adam,
}  # fmt: skip


class Written(torch.optim.Optimizer):
    """One of RULES as an optimizer of torch, so that schedules and the loop can use it."""

    def __init__(self, parameters: Iterable[Tensor], rule: str, lr: float) -> None:
        super().__init__(parameters, {"lr": lr})
        self.rule = RULES[rule]

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for w in group["params"]:
                if w.grad is not None:
                    w += self.rule(w.grad, self.state[w], group["lr"])


def share(schedule: str, step: int, steps: int) -> float:
    """The learning rate of update `step` (from 0) as a share of the first one."""
    if schedule == "step":
        return 0.1 ** ((step >= steps / 2) + (step >= 3 * steps / 4))
    if schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * step / steps))
    return 1.0


def valley(rule: str, lr: float, steps: int = 100) -> Tensor:
    """Values of f(x, y) = (x^2 + 100 y^2) / 2 from (1, 1) on, `steps` + 1 of them."""
    state: dict[str, Any] = {}
    at, values = torch.ones(2), []
    steep = torch.tensor([1.0, 100.0])
    for _ in range(steps + 1):
        values.append((steep * at.square()).sum() / 2)
        at = at + RULES[rule](steep * at, state, lr)
    return torch.stack(values)


class Net(nn.Sequential):
    """(n, 1, 28, 28) -> scores (n, 10)."""

    def __init__(self, hidden: int) -> None:
        super().__init__(
            nn.Flatten(), nn.Linear(28 * 28, hidden), nn.ReLU(), nn.Linear(hidden, hidden),
            nn.ReLU(), nn.Linear(hidden, 10),
        )  # fmt: skip


FAULTS = {
    "high-rate": Fault(
        {"lr": 0.3},
        "every step of Adam moves each weight by about the rate, more than the weights themselves:"
        " the loss leaps up and ends near log 10",
        ("OPT001",),
    ),
}


def train(
    recipe: Recipe | Mapping[str, item.Scalar], seed: int, out: Path | None = None
) -> dict[str, float]:
    r = item.made(Recipe, recipe)
    data = fashion.load(r.train, sample=r.sample)
    train_x = (data.train_x - fashion.MEAN) / fashion.STD
    test_x = (data.test_x - fashion.MEAN) / fashion.STD
    torch.manual_seed(seed)
    model = Net(r.hidden)

    def loss(x: Tensor, y: Tensor) -> dict[str, Tensor]:
        return {"cross_entropy": F.cross_entropy(model(x), y)}

    def evaluate() -> dict[str, float]:
        scores = model(test_x)
        return {
            "val_loss": float(F.cross_entropy(scores, data.test_y)),
            "test_accuracy": float((scores.argmax(1) == data.test_y).float().mean()),
        }

    optimizer = Written(model.parameters(), r.optimiser, r.lr)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: share(r.schedule, step, r.steps)
    )
    batches = loop.minibatches((train_x, data.train_y), r.batch, seed)
    metrics = loop.fit(r, model, batches, loss, evaluate, optimizer=optimizer, schedule=schedule)
    descents = {rule: valley(rule, lr) for rule, lr in VALLEY_RATES.items()}
    if out is not None:
        pictures.curves(
            out / "picture.png", descents, x="step in the narrow valley", y="f", log_y=True
        )
    majority = float((data.test_y == data.train_y.mode().values).float().mean())
    ends = {f"valley_{rule}": float(values[-1]) for rule, values in descents.items()}
    return metrics | {"baseline": majority} | ends
