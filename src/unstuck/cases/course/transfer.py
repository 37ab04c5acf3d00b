"""Transfer from ImageNet to emoji groups with thirty pictures each: a new head, then fine-tuning.

With few labels a network is not trained from scratch: all its layers but the last are kept as they
are and a new head is learned on their features; then the last blocks are trained on, at a very
small rate. Yosinski et al., "How transferable are features in deep neural networks?" (2014). The
network is MobileNetV2 (Sandler et al. 2018); its batch normalisation keeps ImageNet's averages.
With `--sample` there are no ImageNet weights: a narrow network with random ones takes their place,
which exercises the code and transfers nothing.

Covers: 8.01 8.09 8.10 8.11 B17 B18 B19
Run: unstuck case run course/transfer
Expected: test_accuracy 0.586 +- 0.027 over 5 seeds (trivial answer 0.125) in 4 s on one core each:
    python -m unstuck.cases.course transfer --seeds 5
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from unstuck.cases.course import item, loop, pictures
from unstuck.cases.course.item import Fault
from unstuck.data import emoji, mobilenet

METRIC, HIGHER_IS_BETTER, UNIT = "test_accuracy", True, ""
MARGIN = 0.3  # over naming one group always
TINY = {"steps": 3, "head_steps": 5, "per_group": 4, "test": 10}


class Recipe(loop.Recipe):
    per_group: int = Field(30, ge=1)
    """labelled pictures of each group; the seed draws them"""
    test: int = Field(30, ge=1)
    """pictures of each group to test on"""
    pretrained: bool = True
    """start from ImageNet's weights, not from random ones"""
    head_steps: int = Field(60, ge=1)
    """updates of the new head on features that are computed once"""
    head_lr: float = Field(1e-3, gt=0)
    """learning rate of the head"""
    trained_from: int = Field(15, ge=1, le=18)
    """first of the 19 layers to be fine-tuned: more with more data or another kind of picture"""
    steps: int = Field(60, ge=0)
    """updates of the fine-tuning"""
    batch: int = Field(32, ge=1)
    """samples an update"""
    lr: float = Field(2e-5, gt=0)
    """learning rate of the fine-tuning, a fiftieth of the head's; 3e-3 ruins what was learned"""
    weight_decay: float = Field(0.01, ge=0)
    """decoupled weight decay: labels are few"""


class Tail(nn.Module):
    """The last layers and the new head; batch normalisation stays in eval mode."""

    def __init__(self, layers: nn.Module, head: nn.Linear) -> None:
        super().__init__()
        self.layers, self.head = layers, head

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layers(x).mean((2, 3)))

    def train(self, mode: bool = True) -> "Tail":
        super().train(mode)
        self.layers.eval()
        return self


FAULTS = {
    "high-rate": Fault(
        {"lr": 0.03},
        "the first updates throw the pretrained weights away: the loss leaps up",
        ("OPT001", "OPT003"),
    ),
}


def train(
    recipe: Recipe | Mapping[str, item.Scalar], seed: int, out: Path | None = None
) -> dict[str, float]:
    r = item.made(Recipe, recipe)
    data = emoji.load(32 if r.sample else 64, sample=r.sample)
    torch.manual_seed(seed)
    if r.sample:
        network = mobilenet.MobileNetV2(width=0.25).eval()
    else:
        network = mobilenet.load() if r.pretrained else mobilenet.MobileNetV2().eval()
    order = torch.randperm(len(data.groups))
    places = [order[data.groups[order] == g] for g in range(len(data.group_names))]
    train_at = torch.cat([p[: r.per_group] for p in places])
    test_at = torch.cat([p[r.per_group :][: r.test] for p in places])
    mean, std = (torch.tensor(v)[:, None, None] for v in (mobilenet.MEAN, mobilenet.STD))

    with torch.no_grad():  # what stays as it is is computed once

        def before_tail(at: Tensor) -> Tensor:
            x = (data.pictures[at] - mean) / std
            return torch.cat([network.features[: r.trained_from](part) for part in x.split(50)])

        train_x, test_x = before_tail(train_at), before_tail(test_at)
        last = network.features[r.trained_from :]
        train_features, test_features = (last(x).mean((2, 3)) for x in (train_x, test_x))
    train_y, test_y = data.groups[train_at], data.groups[test_at]

    head = nn.Linear(train_features.shape[1], len(data.group_names))

    def looked_at(model: nn.Module, x: Tensor) -> dict[str, float]:
        scores = model(x)
        return {
            "val_loss": float(F.cross_entropy(scores, test_y)),
            "test_accuracy": float((scores.argmax(1) == test_y).float().mean()),
        }

    def fit(model: nn.Module, inputs: tuple[Tensor, Tensor], lr: float, steps: int) -> float:
        def loss(x: Tensor, y: Tensor) -> dict[str, Tensor]:
            return {"cross_entropy": F.cross_entropy(model(x), y)}

        stage = r.model_copy(update={"lr": lr, "steps": steps})
        batches = loop.minibatches((inputs[0], train_y), r.batch, seed)
        found = loop.fit(stage, model, batches, loss, lambda: looked_at(model, inputs[1]))
        return found["test_accuracy"]

    frozen = fit(head, (train_features, test_features), r.head_lr, r.head_steps)
    tail = Tail(last, head)
    if r.steps:
        fit(tail, (train_x, test_x), r.lr, r.steps)
    metrics = loop.looked_at(tail, lambda: looked_at(tail, test_x))
    if out is not None:
        mixed = torch.randperm(len(test_at))
        with torch.no_grad():
            named = tail(test_x[mixed]).argmax(1)
        rows = {name: test_at[mixed][named == g] for g, name in enumerate(data.group_names)}
        shown = {name.split()[0]: at[:6] for name, at in rows.items() if len(at)}
        small = F.avg_pool2d(data.pictures, data.pictures.shape[-1] // 32)
        pictures.grid(
            out / "picture.png", [small[at] for at in shown.values()], row_titles=[*shown]
        )
    majority = float((test_y == train_y.mode().values).float().mean())
    return metrics | {"baseline": majority, "frozen_accuracy": frozen}
