"""Semantic segmentation with a U-Net: what every pixel belongs to.

Down by max pooling, to see far; up by transposed convolution, to be as fine as the picture again;
and at each size the maps from the way down are put beside those on the way up, for what pooling
threw away no upsampling brings back. Ronneberger, Fischer, Brox, "U-Net" (2015). Scored by
intersection over union: IoU = |said & true| / |said or true|, mean over kinds.

Covers: 9B.08 9B.11 9B.12 9B.13 9B.14 9B.15 9B.16 9B.28 E01 E02 E03 E04
Run: unstuck case run course/segmentation
Expected: mean_iou 0.788 +- 0.055 over 5 seeds (trivial answer 0.16) in 9 s on one core each:
    python -m unstuck.cases.course segmentation --seeds 5
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

METRIC, HIGHER_IS_BETTER, UNIT = "mean_iou", True, ""
MARGIN = 0.55  # over calling everything ground
TINY = {"steps": 3, "train": 32, "width": 4, "batch": 8}
SIZE = 32
CLASSES = 1 + len(scenes.KINDS)
COLOURS = torch.tensor([[0.0, 0, 0], [1, 0.6, 0], [0.2, 0.6, 1], [0.2, 0.8, 0.3], [0.9, 0.3, 0.8]])


class Recipe(loop.Recipe):
    train: int = Field(1500, ge=1)
    """drawn scenes to learn from"""
    width: int = Field(12, ge=1)
    """channels at full size; twice as many after each of the first two poolings"""
    skips: bool = True
    """put the maps of the way down beside those of the way up"""
    steps: int = Field(250, ge=1)
    """updates; under three epochs"""
    batch: int = Field(16, ge=1)
    """scenes an update"""
    lr: float = Field(5e-3, gt=0)
    """first learning rate of Adam; half a cosine to zero"""


def conv(channels: int, width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()
    )


class UNet(nn.Module):
    """(n, 3, s, s) -> scores (n, classes, s, s); three poolings down, three steps up."""

    def __init__(self, width: int, skips: bool) -> None:
        super().__init__()
        widths = [width, 2 * width, 4 * width]
        self.skips = skips
        self.down = nn.ModuleList(conv(a, b) for a, b in zip([3, *widths], widths, strict=False))
        self.bottom = conv(4 * width, 4 * width)
        below = [4 * width, 4 * width, 2 * width]
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(a, b, 2, stride=2) for a, b in zip(below, widths[::-1], strict=True)
        )
        self.merge = nn.ModuleList(conv(2 * b if skips else b, b) for b in widths[::-1])
        self.head = nn.Conv2d(width, CLASSES, 1)

    def forward(self, x: Tensor) -> Tensor:
        across = []
        for down in self.down:
            across.append(down(x))
            x = F.max_pool2d(across[-1], 2)
        x = self.bottom(x)
        for up, merge, side in zip(self.up, self.merge, across[::-1], strict=True):
            x = up(x)
            x = merge(torch.cat([x, side], 1) if self.skips else x)
        return self.head(x)


def bed_of_nails(x: Tensor) -> Tensor:
    """Twice the size: each value at the top left of its 2 x 2 field, zeros beside it."""
    n, c, h, w = x.shape
    y = x.new_zeros(n, c, 2 * h, 2 * w)
    y[..., ::2, ::2] = x
    return y


def max_unpool(x: Tensor, indices: Tensor) -> Tensor:
    """Twice the size: each value where the maximum was that `max_pool2d` found, zeros beside it."""
    n, c, h, w = x.shape
    y = x.new_zeros(n, c, 4 * h * w)
    return y.scatter(2, indices.flatten(2), x.flatten(2)).view(n, c, 2 * h, 2 * w)


def iou(said: Tensor, true: Tensor, counted: Tensor) -> Tensor:
    """(classes,) intersection over union of the pixels that count."""
    said, true = said[counted], true[counted]
    both = torch.bincount(true[said == true], minlength=CLASSES)
    either = (
        torch.bincount(said, minlength=CLASSES) + torch.bincount(true, minlength=CLASSES) - both
    )
    return both / either.clamp(min=1)


def borders(masks: Tensor) -> Tensor:
    """True within a pixel of where the class changes."""
    m = F.pad(masks[:, None].float(), (1, 1, 1, 1), mode="replicate")
    return (F.max_pool2d(m, 3, 1) != -F.max_pool2d(-m, 3, 1))[:, 0]


FAULTS = {
    "no-skips": Fault(
        {"skips": False},
        "the detail lost at the bottom of the U does not come back: outlines are blurred, small"
        " shapes are mixed up",
        symptom="border_iou",
        falls=True,
    ),
}


def train(
    recipe: Recipe | Mapping[str, item.Scalar], seed: int, out: Path | None = None
) -> dict[str, float]:
    r = item.made(Recipe, recipe)
    drawn, test = scenes.draw(r.train, SIZE, 2 * seed), scenes.draw(200, SIZE, 2 * seed + 1)
    train_x, test_x = ((s.pictures - 0.42) / 0.2 for s in (drawn, test))
    edge, anywhere = borders(test.masks), torch.ones_like(test.masks, dtype=torch.bool)
    torch.manual_seed(seed)
    model = UNet(r.width, r.skips)

    def loss(x: Tensor, masks: Tensor) -> dict[str, Tensor]:
        return {"cross_entropy": F.cross_entropy(model(x), masks)}

    def evaluate() -> dict[str, float]:
        scores = model(test_x)
        said = scores.argmax(1)
        return {
            "val_loss": float(F.cross_entropy(scores, test.masks)),
            "mean_iou": float(iou(said, test.masks, anywhere).mean()),
            "border_iou": float(iou(said, test.masks, edge).mean()),
        }

    batches = loop.minibatches((train_x, drawn.masks), r.batch, seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=r.lr, weight_decay=r.weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, r.steps)
    metrics = loop.fit(r, model, batches, loss, evaluate, optimizer=optimizer, schedule=schedule)
    if out is not None:
        with torch.no_grad():
            said = model.eval()(test_x[:10]).argmax(1)
        rows = [test.pictures[:10], COLOURS[test.masks[:10]], COLOURS[said]]
        pictures.grid(out / "picture.png", rows, row_titles=("scene", "truth", "said"))
    ground = float(iou(torch.zeros_like(test.masks), test.masks, anywhere).mean())
    return metrics | {"baseline": ground}
