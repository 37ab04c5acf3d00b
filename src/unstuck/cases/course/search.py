"""Choosing hyper-parameters in five steps, on clothes.

1. The first loss must be about log C. 2. A few dozen pictures must be learned to 100 %. 3. Scan the
learning rate over decades, 1e-1 to 1e-5. 4. Random search over rate and weight decay, coarse, then
fine; better than a grid because only some knobs matter, and every trial tries a new value of each
(Bergstra and Bengio, "Random search for hyper-parameter optimization", 2012). 5. Train in full and
watch the curves. Trials are compared on held-out pictures, never on the test set.

Covers: 2.06 8.01 8.12 8.13 8.14 8.15 8.16 8.18 8.19 B20 B21 B22 B23 B25 B26
Run: unstuck case run course/search
Expected: test_accuracy 0.8504 +- 0.0059 over 5 seeds (trivial answer 0.105) in 2 s on one core
    each: python -m unstuck.cases.course search --seeds 5
"""

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from unstuck.cases.course import item, loop, pictures
from unstuck.cases.course.data import fashion
from unstuck.cases.course.item import Fault

METRIC, HIGHER_IS_BETTER, UNIT = "test_accuracy", True, ""
MARGIN = 0.65  # over naming one class always
TINY = {"steps": 10, "short": 3, "trials": 2, "train": 200, "hidden": 8}
DECADES = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
FEW = 40  # pictures of step 2


class Recipe(loop.Recipe):
    scale: float = Field(1.0, gt=0)
    """first weights times this; 1 is He's scale"""
    hidden: int = Field(64, ge=1)
    """units of the hidden layer"""
    train: int = Field(6000, ge=1)
    """pictures; one in six is held out to compare trials"""
    short: int = Field(60, ge=1)
    """updates of a trial: most of an epoch"""
    trials: int = Field(8, ge=1)
    """random trials, coarse, and as many fine"""
    steps: int = Field(600, ge=1)
    """updates of the full training"""


class Net(nn.Module):
    """(n, 1, 28, 28) -> scores (n, 10)."""

    def __init__(self, hidden: int, scale: float) -> None:
        super().__init__()
        self.fc1 = nn.Linear(28 * 28, hidden)
        self.fc2 = nn.Linear(hidden, 10)
        for layer, gain in ((self.fc1, 2.0), (self.fc2, 0.1)):
            std = scale * (gain / layer.in_features) ** 0.5
            nn.init.normal_(layer.weight, 0, std)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.relu(self.fc1(x.flatten(1))))


FAULTS = {
    "wrong-scale": Fault(
        {"scale": 30.0},
        "the first loss is a hundred times log 10, and no rate of the scan makes up for it",
        ("INI001",),
    ),
}


def train(
    recipe: Recipe | Mapping[str, item.Scalar], seed: int, out: Path | None = None
) -> dict[str, float]:
    r = item.made(Recipe, recipe)
    data = fashion.load(r.train, sample=r.sample)
    x, test_x = ((v - fashion.MEAN) / fashion.STD for v in (data.train_x, data.test_x))
    held = len(x) // 6
    known, val = (x[held:], data.train_y[held:]), (x[:held], data.train_y[:held])
    random = np.random.default_rng(seed)

    def fresh() -> Net:
        torch.manual_seed(seed)
        return Net(r.hidden, r.scale)

    def accuracy(model: Net, shown: Tensor, labels: Tensor) -> float:
        with torch.no_grad():
            return float((model(shown).argmax(1) == labels).float().mean())

    def tried(
        tensors: tuple[Tensor, ...], lr: float, decay: float, steps: int
    ) -> tuple[Net, float]:
        """A model after a short training, and its mean loss over the last quarter."""
        model = fresh()
        optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9, weight_decay=decay)
        batches, losses = loop.minibatches(tensors, r.batch, seed), []
        for _, (shown, labels) in zip(range(steps), batches, strict=False):
            loss = F.cross_entropy(model(shown), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
        return model, float(np.mean(losses[-max(1, steps // 4) :]))

    with torch.no_grad():
        first = float(F.cross_entropy(fresh()(known[0]), known[1]))
    print(f"1. first loss {first:.3f}, log C {math.log(10):.3f}", flush=True)

    few = (known[0][:FEW], known[1][:FEW])
    small_set = accuracy(tried(few, 0.02, 0.0, 2 * r.short)[0], *few)
    print(f"2. {FEW} pictures learned to {small_set:.0%}", flush=True)

    scan = {lr: tried(known, lr, 1e-5, r.short)[1] for lr in DECADES}
    best_lr = min(scan, key=lambda lr: scan[lr] if math.isfinite(scan[lr]) else math.inf)
    print("3. " + "  ".join(f"{lr:.0e}: {loss:.3f}" for lr, loss in scan.items()), flush=True)

    trials: dict[tuple[float, float], float] = {}
    centre, reach = (best_lr, 1e-4), (-1.0, 0.3)  # decades; much above the scanned rate it diverges
    for phase in ("coarse", "fine"):
        for _ in range(r.trials):
            lr, decay = (c * 10 ** random.uniform(*reach) for c in centre)
            trials[lr, decay] = accuracy(tried(known, lr, decay, r.short)[0], *val)
        centre = max(trials, key=lambda choice: trials[choice])
        print(f"4. {phase}: {trials[centre]:.3f} with {centre[0]:.1e} {centre[1]:.1e}", flush=True)
        reach = (-0.3, 0.3)

    model = fresh()
    optimizer = torch.optim.SGD(
        model.parameters(), lr=centre[0], momentum=0.9, weight_decay=centre[1]
    )

    def evaluate() -> dict[str, float]:
        return {
            "val_loss": float(F.cross_entropy(model(val[0]), val[1])),
            "val_accuracy": accuracy(model, *val),
        }

    def loss(shown: Tensor, labels: Tensor) -> dict[str, Tensor]:
        return {"cross_entropy": F.cross_entropy(model(shown), labels)}

    batches = loop.minibatches(known, r.batch, seed)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, r.steps)
    metrics = loop.fit(r, model, batches, loss, evaluate, optimizer=optimizer, schedule=schedule)
    if out is not None:
        rates = sorted(lr for lr, _ in trials)
        by_rate = {lr: value for (lr, _), value in trials.items()}
        lines = {"trials": (rates, [by_rate[lr] for lr in rates])}
        pictures.curves(
            out / "picture.png", lines, x="learning rate", y="held-out accuracy",
            log_x=True, markers=True,
        )  # fmt: skip
    return metrics | {
        "test_accuracy": accuracy(model, test_x, data.test_y),
        "baseline": float((data.test_y == data.train_y.mode().values).float().mean()),
        "first_loss": first,
        "small_set_accuracy": small_set,
        "scanned_lr": best_lr,
        "chosen_lr": centre[0],
        "chosen_decay": centre[1],
    }
