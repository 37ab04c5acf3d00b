"""Where a classifier looks: saliency, class activation map (CAM) and Grad-CAM.

Saliency is |dS_c / dI|, sharp and noisy. In a network that ends in global average pooling and one
linear layer, CAM M_c = sum_k w_kc f_k is the score before pooling: its mean is S_c (but for the
bias). Grad-CAM = ReLU(sum_k a_k f_k), a_k = mean of dS_c / df_k, needs no such end; where it is
there, a_k = w_kc / (H W). The score: does Grad-CAM's peak lie on the shape (pointing game, Zhang et
al., 2016)? Simonyan et al., "Deep inside convolutional networks" (2014); Zhou et al., "Learning
deep features for discriminative localization" (2016); Selvaraju et al., "Grad-CAM" (2017).

Covers: 9B.34 9B.35 9B.36 9B.37 9B.38 E12 E13
Run: unstuck case run course/saliency
Expected: pointing_hits 0.944 +- 0.019 over 5 seeds (trivial answer 0.355) in 5 s on one core each:
    python -m unstuck.cases.course saliency --seeds 5
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from unstuck.cases.course import item, loop, pictures
from unstuck.cases.course.data import scenes
from unstuck.cases.course.item import Fault

METRIC, HIGHER_IS_BETTER, UNIT = "pointing_hits", True, ""
MARGIN = 0.5  # over pointing at the middle of the picture
TINY = {"steps": 3, "train": 32, "width": 4, "batch": 8}
SIZE = 32


class Recipe(loop.Recipe):
    train: int = Field(2000, ge=1)
    """drawn scenes of one shape to learn from"""
    width: int = Field(12, ge=1)
    """channels of the first convolution; four times as many at the end"""
    told: bool = False
    """in training, and only there, the ground's colour gives the kind away"""
    steps: int = Field(250, ge=1)
    """updates, four epochs"""
    batch: int = Field(32, ge=1)
    """scenes an update"""
    lr: float = Field(3e-3, gt=0)
    """first learning rate of Adam; half a cosine to zero"""


class GapNet(nn.Module):
    """(n, 3, s, s) -> scores (n, kinds): convolutions, global average pooling, one linear layer."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            nn.Conv2d(3, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(width, 2 * width, 3, padding=1, bias=False), nn.BatchNorm2d(2 * width),
            nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(2 * width, 4 * width, 3, padding=1, bias=False), nn.BatchNorm2d(4 * width),
            nn.ReLU(),
        )  # fmt: skip
        self.head = nn.Linear(4 * width, len(scenes.KINDS))

    def forward(self, x: Tensor) -> Tensor:
        return self.scores(self.convolutions(x))

    def scores(self, features: Tensor) -> Tensor:
        return self.head(features.mean((2, 3)))


def saliency(model: GapNet, x: Tensor, kinds: Tensor) -> Tensor:
    """(n, s, s): the largest |dS_c / dI| of the three colours."""
    x = x.clone().requires_grad_()
    score = model(x).gather(1, kinds[:, None]).sum()
    return torch.autograd.grad(score, x)[0].abs().amax(1)


def cam(model: GapNet, x: Tensor, kinds: Tensor) -> Tensor:
    """(n, h, w): sum_k w_kc f_k."""
    with torch.no_grad():
        return torch.einsum("nk,nkhw->nhw", model.head.weight[kinds], model.convolutions(x))


def grad_cam(model: GapNet, x: Tensor, kinds: Tensor) -> Tensor:
    """(n, h, w): ReLU(sum_k a_k f_k), a_k the mean gradient of the score by map k."""
    with torch.no_grad():
        features = model.convolutions(x)
    features.requires_grad_()
    score = model.scores(features).gather(1, kinds[:, None]).sum()
    a = torch.autograd.grad(score, features)[0].mean((2, 3))
    return F.relu(torch.einsum("nk,nkhw->nhw", a, features.detach()))


def hits(maps: Tensor, masks: Tensor) -> float:
    """Share of maps whose peak, at the picture's size, lies on the shape."""
    wide = F.interpolate(maps[:, None], masks.shape[1:], mode="bilinear", align_corners=False)
    peaks = wide.flatten(1).argmax(1, keepdim=True)
    return float((masks > 0).flatten(1).gather(1, peaks).float().mean())


FAULTS = {
    "telling-ground": Fault(
        {"told": True},
        "the ground's colour gives the kind away in training: the classifier need not look at the"
        " shape, its map peaks on the ground, and on honest pictures it fails",
    ),
}


def train(
    recipe: Recipe | Mapping[str, item.Scalar], seed: int, out: Path | None = None
) -> dict[str, float]:
    r = item.made(Recipe, recipe)
    drawn = scenes.draw(r.train, SIZE, 2 * seed, shapes=(1, 1), told=r.told)
    test = scenes.draw(400, SIZE, 2 * seed + 1, shapes=(1, 1))
    train_x, test_x = ((s.pictures - 0.42) / 0.2 for s in (drawn, test))
    train_y, test_y = drawn.kinds[:, 0], test.kinds[:, 0]
    torch.manual_seed(seed)
    model = GapNet(r.width)

    def loss(x: Tensor, y: Tensor) -> dict[str, Tensor]:
        return {"cross_entropy": F.cross_entropy(model(x), y)}

    def evaluate() -> dict[str, float]:
        scores = model(test_x)
        return {
            "val_loss": float(F.cross_entropy(scores, test_y)),
            "test_accuracy": float((scores.argmax(1) == test_y).float().mean()),
        }

    optimizer = torch.optim.AdamW(model.parameters(), lr=r.lr, weight_decay=r.weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, r.steps)
    batches = loop.minibatches((train_x, train_y), r.batch, seed)
    metrics = loop.fit(r, model, batches, loss, evaluate, optimizer=optimizer, schedule=schedule)

    model.eval()
    maps = {way.__name__: way(model, test_x, test_y) for way in (saliency, cam, grad_cam)}
    middle = torch.zeros_like(maps["cam"])
    middle[:, middle.shape[1] // 2, middle.shape[2] // 2] = 1
    if out is not None:
        rows = [test.pictures[:9], *(_scaled(each[:9]) for each in maps.values())]
        filters = next(model.parameters()).detach()[:9]
        rows.append((filters - filters.min()) / (filters.max() - filters.min()))
        pictures.grid(
            out / "picture.png", rows, row_titles=("scene", *maps, "filters"), colours="magma"
        )
    return metrics | {
        "pointing_hits": hits(maps["grad_cam"], test.masks),
        "saliency_hits": hits(maps["saliency"], test.masks),
        "baseline": hits(middle, test.masks),
    }


def _scaled(maps: Tensor) -> Tensor:
    low, high = maps.amin((1, 2), keepdim=True), maps.amax((1, 2), keepdim=True)
    return (maps - low) / (high - low).clamp(min=1e-9)
