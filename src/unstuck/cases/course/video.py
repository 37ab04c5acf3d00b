"""What moves how: clips seen frame by frame, with late or early fusion, or by a 3D network.

Single frame: a 2D network scores every frame, the scores are averaged. Late fusion: features of all
frames side by side into one linear layer. Early fusion: the frames are the channels of the first
convolution, which alone sees time. 3D: filters slide over time as over space, so that one motion
detector serves all moments. Karpathy et al., "Large-scale video classification" (2014); Tran et
al., "C3D" (2015); Carreira, Zisserman, "I3D" (2017), from which `inflated` is.

Covers: 10B.01 10B.02 10B.03 10B.05 10B.06 10B.07 10B.08 10B.09 10B.10 10B.11 10B.12 10B.14 10B.21
    F02 F03 F04 F05 F09 F11
Run: unstuck case run course/video
Expected: test_accuracy 0.825 +- 0.025 over 5 seeds (trivial answer 0.151) in 8 s on one core each:
    python -m unstuck.cases.course video --seeds 5
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from unstuck.cases.course import item, loop, pictures
from unstuck.cases.course.data import clips
from unstuck.cases.course.item import Fault

METRIC, HIGHER_IS_BETTER, UNIT = "test_accuracy", True, ""
MARGIN = 0.55  # over naming one motion always
TINY = {"steps": 3, "train": 64, "width": 4}
FRAMES = 8
CLASSES = len(clips.MOTIONS)


class Recipe(loop.Recipe):
    model: Literal["single", "late", "late-pool", "early", "3d"] = "3d"
    """where time comes in: never, after the features (side by side or averaged), first, always"""
    train: int = Field(2500, ge=1)
    """drawn clips to learn from"""
    width: int = Field(8, ge=1)
    """channels of the first convolution; the second has four times as many"""
    steps: int = Field(300, ge=1)
    """updates, four epochs"""
    batch: int = Field(32, ge=1)
    """clips an update"""
    lr: float = Field(5e-3, gt=0)
    """first learning rate of Adam; half a cosine to zero"""


class Frames(nn.Module):
    """2D features of every frame: (n, t, s, s) -> (n, t, 4 width, s / 4, s / 4)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, 4 * width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        n, t = x.shape[:2]
        y = F.max_pool2d(F.relu(self.conv1(x.flatten(0, 1)[:, None])), 2)
        return F.max_pool2d(F.relu(self.conv2(y)), 2).unflatten(0, (n, t))


class SingleFrame(nn.Module):
    """Every frame is scored for itself."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.frames = Frames(width)
        self.head = nn.Linear(4 * width * 16, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.frames(x).flatten(2)).mean(1)


class LateFusion(nn.Module):
    """Features of all frames side by side, or their mean over space and time."""

    def __init__(self, width: int, pool: bool) -> None:
        super().__init__()
        self.frames, self.pool = Frames(width), pool
        self.head = nn.Linear(4 * width * (1 if pool else 16 * FRAMES), CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        y = self.frames(x)
        return self.head(y.mean((1, 3, 4)) if self.pool else y.flatten(1))


class EarlyFusion(nn.Module):
    """The frames are the first convolution's channels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(FRAMES, 4 * width, 3, padding=1)
        self.conv2 = nn.Conv2d(4 * width, 4 * width, 3, padding=1)
        self.head = nn.Linear(4 * width, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        y = F.max_pool2d(F.relu(self.conv1(x)), 2)
        return self.head(F.relu(self.conv2(y)).mean((2, 3)))


class Slow3D(nn.Module):
    """3 x 3 x 3 convolutions, mean over space and time."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(1, width, 3, padding=1)
        self.conv2 = nn.Conv3d(width, 4 * width, 3, padding=1)
        self.head = nn.Linear(4 * width, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        y = F.max_pool3d(F.relu(self.conv1(x[:, None])), (1, 2, 2))
        return self.head(F.relu(self.conv2(y)).mean((2, 3, 4)))


def inflated(conv: nn.Conv2d, frames: int) -> nn.Conv3d:
    """A 3D convolution that answers a still clip as `conv` answers its frame (no padding in time).

    The 2D weights, repeated along time and divided by how often.
    """
    (height, width), padding = conv.kernel_size, conv.padding
    if isinstance(padding, str):
        raise ValueError("give the padding as numbers")
    wide = nn.Conv3d(
        conv.in_channels, conv.out_channels, (frames, height, width),
        (1, *conv.stride), (0, *padding), bias=conv.bias is not None,  # type: ignore[arg-type]
    )  # fmt: skip
    with torch.no_grad():
        wide.weight.copy_(conv.weight[:, :, None].expand_as(wide.weight) / frames)
        if wide.bias is not None and conv.bias is not None:
            wide.bias.copy_(conv.bias)
    return wide


def made(r: Recipe) -> nn.Module:
    if r.model == "single":
        return SingleFrame(r.width)
    if r.model == "early":
        return EarlyFusion(r.width)
    return Slow3D(r.width) if r.model == "3d" else LateFusion(r.width, r.model == "late-pool")


FAULTS = {
    "single-frame": Fault(
        {"model": "single"},
        "no frame tells where the shape is going: the loss stays at log 6 on what was not learned"
        " by heart",
        ("OPT004",),
    ),
}


def train(
    recipe: Recipe | Mapping[str, item.Scalar], seed: int, out: Path | None = None
) -> dict[str, float]:
    r = item.made(Recipe, recipe)
    drawn, test = clips.draw(r.train, 2 * seed), clips.draw(300, 2 * seed + 1)
    train_x, test_x = ((c.frames - 0.35) / 0.25 for c in (drawn, test))
    torch.manual_seed(seed)
    model = made(r)

    def loss(x: Tensor, y: Tensor) -> dict[str, Tensor]:
        return {"cross_entropy": F.cross_entropy(model(x), y)}

    def evaluate() -> dict[str, float]:
        scores = model(test_x)
        return {
            "val_loss": float(F.cross_entropy(scores, test.motions)),
            "test_accuracy": float((scores.argmax(1) == test.motions).float().mean()),
        }

    optimizer = torch.optim.AdamW(model.parameters(), lr=r.lr, weight_decay=r.weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, r.steps)
    batches = loop.minibatches((train_x, drawn.motions), r.batch, seed)
    metrics = loop.fit(r, model, batches, loss, evaluate, optimizer=optimizer, schedule=schedule)
    if out is not None:
        _draw(out, model, test, test_x)
    majority = float((test.motions == drawn.motions.mode().values).float().mean())
    return metrics | {"baseline": majority}


def _draw(out: Path, model: nn.Module, test: clips.Clips, test_x: Tensor) -> None:
    """A clip of each motion, what was said, and the first filters as tiny clips."""
    chosen = [int((test.motions == m).nonzero()[0]) for m in range(CLASSES)]
    with torch.no_grad():
        said = model(test_x[chosen]).argmax(1).tolist()
    names = [f"{t}\nsaid {clips.MOTIONS[k]}" for t, k in zip(clips.MOTIONS, said, strict=True)]
    rows = [test.frames[i] for i in chosen]
    if isinstance(model, Slow3D):
        filters = model.conv1.weight.detach()[:4, 0]
        low, high = filters.min(), filters.max()
        rows += [(f - low) / (high - low) for f in filters]
        names += [f"filter {k + 1}" for k in range(len(filters))]
    pictures.grid(out / "picture.png", rows, row_titles=names)
    film = torch.cat([F.pad(test.frames[i], (1, 1, 1, 1), value=1.0) for i in chosen], 2)
    pictures.clip(out / "clip.gif", film, seconds=0.2, scale=4)
