"""How a deep ReLU network starts: too small, too large, Xavier, He.

Every layer multiplies the signal's variance by n_in Var(w) / 2, the half being what ReLU cuts off.
Var = 2 / n_in keeps it (He et al., "Delving deep into rectifiers", 2015); Xavier's 2 / (n_in +
n_out) is made for symmetric activations and halves it at every layer (Glorot and Bengio, 2010);
anything much smaller dies out with depth, anything much larger explodes.

Covers: 4.06 7.11 7.12 8.01 8.12 9A.02 9A.03 9A.04 B06 B07 B08 B20
Run: unstuck case run course/initialisation
Expected: test_accuracy 0.8242 +- 0.0097 over 5 seeds (trivial answer 0.105) in 2 s on one core
    each: python -m unstuck.cases.course initialisation --seeds 5
"""

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from unstuck.cases.course import item, loop, pictures
from unstuck.cases.course.data import fashion
from unstuck.cases.course.item import Fault

METRIC, HIGHER_IS_BETTER, UNIT = "test_accuracy", True, ""
MARGIN = 0.6  # over naming one class always
TINY = {"steps": 3, "train": 128, "width": 16}
Start = Literal["too-small", "too-large", "xavier", "he"]


class Recipe(loop.Recipe):
    start: Start = "he"
    """standard deviation of the first weights"""
    depth: int = Field(10, ge=2)
    """hidden layers; deep enough for a factor a layer to matter"""
    width: int = Field(128, ge=1)
    """units of each"""
    train: int = Field(8000, ge=1)
    """pictures to learn from"""
    steps: int = Field(600, ge=1)
    """five epochs"""
    lr: float = Field(0.02, gt=0)
    """learning rate of SGD with momentum 0.9; at 0.1 it diverges"""


def std_of(start: str, inputs: int, outputs: int) -> float:
    """Standard deviation of a layer's first weights."""
    return {
        "too-small": 0.01,
        "too-large": 2 * (2 / inputs) ** 0.5,
        "xavier": (2 / (inputs + outputs)) ** 0.5,
        "he": (2 / inputs) ** 0.5,
    }[start]


class Deep(nn.Module):
    """(n, 1, 28, 28) -> scores (n, 10)."""

    def __init__(self, depth: int, width: int, start: str) -> None:
        super().__init__()
        sizes = [28 * 28, *[width] * depth, 10]
        layers = [nn.Linear(inputs, outputs) for inputs, outputs in pairwise(sizes)]
        for layer in layers:
            std = std_of(start, layer.in_features, layer.out_features)
            nn.init.normal_(layer.weight, 0, std)
            nn.init.zeros_(layer.bias)
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers[-1](self.hidden(x)[-1])

    def hidden(self, x: Tensor) -> list[Tensor]:
        """Activations of every hidden layer."""
        found = [x.flatten(1)]
        for layer in self.layers[:-1]:
            found.append(F.relu(layer(found[-1])))
        return found[1:]


FAULTS = {
    "too-small": Fault(
        {"start": "too-small"},
        "activations shrink more than tenfold a layer: no gradient, the loss stays at log 10",
        ("INI002", "GRD001", "ACT001"),
    ),
    "too-large": Fault(
        {"start": "too-large"},
        "activations double a layer: the first loss is in the thousands, and soon not finite",
        ("INI002", "INI001", "GRD002", "NUM001"),
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
    model = Deep(r.depth, r.width, r.start)
    with torch.no_grad():
        first = float(F.cross_entropy(model(train_x[:512]), data.train_y[:512]))
        spread = [float(h.std()) for h in model.hidden(train_x[:512])]

    def loss(x: Tensor, y: Tensor) -> dict[str, Tensor]:
        return {"cross_entropy": F.cross_entropy(model(x), y)}

    def evaluate() -> dict[str, float]:
        scores = model(test_x)
        return {
            "val_loss": float(F.cross_entropy(scores, data.test_y)),
            "test_accuracy": float((scores.argmax(1) == data.test_y).float().mean()),
        }

    batches = loop.minibatches((train_x, data.train_y), r.batch, seed)
    optimizer = torch.optim.SGD(model.parameters(), lr=r.lr, momentum=0.9)
    metrics = loop.fit(r, model, batches, loss, evaluate, optimizer=optimizer)
    if out is not None:
        lines = {}
        with torch.no_grad():
            for start in ("too-large", "he", "xavier", "too-small"):
                torch.manual_seed(seed)
                hidden = Deep(r.depth, r.width, start).hidden(train_x[:512])
                lines[start] = (range(1, r.depth + 1), [float(h.std()) for h in hidden])
        pictures.curves(
            out / "picture.png", lines, x="layer", y="standard deviation of activations",
            log_y=True, markers=True,
        )  # fmt: skip
    majority = float((data.test_y == data.train_y.mode().values).float().mean())
    return metrics | {
        "baseline": majority,
        "first_loss": first,
        "gain_by_layer": (spread[-1] / spread[0]) ** (1 / (r.depth - 1)),
    }
