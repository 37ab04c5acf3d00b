"""MoCo: contrastive learning against a queue of old keys, encoded by a slow copy of the network.

The query q of one view has to pick the key k+ of the other view among K older keys k:

    L = -log exp(q k+ / tau) / (exp(q k+ / tau) + sum over the queue of exp(q k / tau))

Only the query encoder learns from the loss; the key encoder follows as a moving average,
theta_k <- m theta_k + (1 - m) theta_q, so that the queue's keys stay comparable. He, Fan, Wu, Xie,
Girshick, "Momentum Contrast for Unsupervised Visual Representation Learning" (2020), with the MLP
head of its second version.

Covers: 12.05 12.27 12.36 12.37 13.01 H12 H14 H15 H19
Run: unstuck case run course/moco
Expected: linear_probe 0.662 +- 0.022 over 5 seeds (trivial answer 0.473) in 6 s on one core each:
    python -m unstuck.cases.course moco --seeds 5
"""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

import unstuck
from unstuck.cases.course import item, loop, pictures
from unstuck.cases.course.data import digits
from unstuck.cases.course.data.augmentation import affine_views
from unstuck.cases.course.data.probe import linear_probe
from unstuck.cases.course.item import Fault

METRIC, HIGHER_IS_BETTER, UNIT = "linear_probe", True, ""
MARGIN = 0.1  # over the same probe on the same encoder before training
TINY = {"steps": 3, "train": 128, "width": 4, "batch": 16, "queue": 32}


class Recipe(loop.Recipe):
    train: int = Field(8000, ge=1)
    """pictures without labels"""
    labelled: int = Field(100, ge=1)
    """labels the probe gets, about ten a class"""
    steps: int = Field(400, ge=1)
    """updates"""
    lr: float = Field(1e-3, gt=0)
    """learning rate of Adam; the faster the query encoder, the less the queue's keys compare"""
    width: int = Field(16, ge=1)
    """channels of the first convolution; the third has four times as many"""
    tau: float = Field(0.2, gt=0)
    """temperature"""
    queue: int = Field(512, ge=1)
    """negatives: keys of the last queue / batch updates"""
    momentum: float = Field(0.99, ge=0, le=1)
    """m; 0.999 is for far longer runs, 0.9 already fails"""


class Network(nn.Module):
    """(n, 1, 28, 28) -> vectors of length one (n, 32), on the encoder's features (n, 4 width)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(1, width, 3, 2, 1), nn.BatchNorm2d(width), nn.ReLU(),
            nn.Conv2d(width, 2 * width, 3, 2, 1), nn.BatchNorm2d(2 * width), nn.ReLU(),
            nn.Conv2d(2 * width, 4 * width, 3, 2, 1), nn.BatchNorm2d(4 * width), nn.ReLU(),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        )  # fmt: skip
        self.projection = nn.Sequential(nn.Linear(4 * width, 64), nn.ReLU(), nn.Linear(64, 32))

    def forward(self, x: Tensor) -> Tensor:
        return F.normalize(self.projection(self.encoder(x)), dim=1)


def info_nce(query: Tensor, key: Tensor, queue: Tensor, tau: float) -> Tensor:
    """Queries and keys (n, d), queue (K, d), all of length one: a (1 + K)-way cross-entropy."""
    positive = (query * key).sum(1, keepdim=True)
    scores = torch.cat([positive, query @ queue.T], 1) / tau
    return F.cross_entropy(scores, torch.zeros(len(query), dtype=torch.long))


@torch.no_grad()
def follow(slow: nn.Module, fast: nn.Module, momentum: float) -> None:
    """theta_slow <- m theta_slow + (1 - m) theta_fast."""
    for theta_slow, theta_fast in zip(slow.parameters(), fast.parameters(), strict=True):
        theta_slow.mul_(momentum).add_(theta_fast, alpha=1 - momentum)


FAULTS = {
    "no-momentum": Fault(
        {"momentum": 0.0},
        "the key encoder changes as fast as the query's: keys in the queue come from encoders that"
        " are no longer comparable",
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
    query_network = Network(r.width)
    key_network = deepcopy(query_network).requires_grad_(False)
    both = nn.ModuleList([query_network, key_network])
    optimizer = torch.optim.Adam(query_network.parameters(), r.lr)
    queue = F.normalize(torch.randn(r.queue, 32, generator=source), dim=1)

    def probe() -> dict[str, float]:
        labelled = query_network.encoder(train_x[: r.labelled]), data.train_y[: r.labelled]
        features = query_network.encoder(test_x)
        return {"linear_probe": linear_probe(*labelled, features, data.test_y)}

    def evaluate() -> dict[str, float]:
        fixed = torch.Generator().manual_seed(0)
        one, other = affine_views(test_x[:500], fixed), affine_views(test_x[:500], fixed)
        return {"val_loss": float(info_nce(query_network(one), key_network(other), queue, r.tau))}

    before = loop.looked_at(query_network, probe)["linear_probe"]
    metrics: dict[str, float] = {}
    batches: Iterator[tuple[Tensor, ...]] = loop.minibatches((train_x,), r.batch, seed)
    for step, (x,) in zip(range(1, r.steps + 1), batches, strict=False):
        query = query_network(affine_views(x, source))
        with torch.no_grad():
            follow(key_network, query_network, r.momentum)
            key = key_network(affine_views(x, source))
        contrastive = info_nce(query, key, queue, r.tau)
        optimizer.zero_grad()
        contrastive.backward()
        optimizer.step()
        queue = torch.cat([queue, key])[-r.queue :]  # the oldest keys leave
        if step % max(1, r.steps // loop.REPORTS) == 0 or step == r.steps:
            metrics = loop.looked_at(both, evaluate)
            unstuck.log(**metrics)
            loss = float(contrastive.detach())
            print(
                f"step {step:5d}  loss {loss:.4f}  val_loss {metrics['val_loss']:.4f}", flush=True
            )

    metrics |= loop.looked_at(query_network, probe)
    pixels = linear_probe(train_x[: r.labelled], data.train_y[: r.labelled], test_x, data.test_y)
    if out is not None:
        with torch.no_grad():
            features = F.normalize(query_network.eval().encoder(test_x), dim=1)
        near = (features[:10] @ features.T).argsort(1, descending=True)[:, :6]
        names = ["picture", "nearest", "second", "third", "fourth", "fifth"]
        rows = [test_x[near[:, k], 0] for k in range(6)]
        pictures.grid(out / "picture.png", rows, row_titles=names, limits=None)
    return metrics | {"baseline": before, "raw_pixels": pixels}
