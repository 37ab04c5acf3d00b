"""Dropout and data augmentation where pictures are few and some labels wrong.

Dropout keeps each unit with probability p while training; inverted dropout divides what is kept by
p, so that testing uses the whole network as it is (Srivastava et al., "Dropout", 2014): one of 2^N
thinned networks at every step. Augmentation draws a new picture with the same label: mirrored,
cropped and scaled back, of another brightness and contrast, a patch erased (DeVries and Taylor,
"Cutout", 2017). Some labels are wrong here, so a network that learns every picture by heart learns
errors.

Covers: 3.08 8.01 8.02 8.03 8.04 8.05 8.06 8.07 8.08 8.16 8.17 8.20 A08 B15 B16 B24 B27
Run: unstuck case run course/regularisation
Expected: test_accuracy 0.749 +- 0.018 over 5 seeds (trivial answer 0.102) in 5 s on one core each:
    python -m unstuck.cases.course regularisation --seeds 5
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from pydantic import Field
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from unstuck.cases.course import item, loop, pictures
from unstuck.cases.course.data import fashion
from unstuck.cases.course.item import Fault

METRIC, HIGHER_IS_BETTER, UNIT = "test_accuracy", True, ""
MARGIN = 0.5  # over naming one class always
TINY = {"steps": 3, "train": 100, "width": 4}


class Recipe(loop.Recipe):
    train: int = Field(400, ge=1)
    """pictures to learn from: few, so that they can be learned by heart"""
    noise: float = Field(0.2, ge=0, lt=1)
    """share of the training labels drawn at random: noise to be learned by heart"""
    steps: int = Field(700, ge=1)
    """updates: nearly sixty epochs"""
    batch: int = Field(32, ge=1)
    """samples an update"""
    width: int = Field(8, ge=1)
    """channels of the first convolution"""
    keep: float = Field(0.5, gt=0, le=1)
    """probability p that dropout keeps a unit"""
    augment: bool = True
    """a new variant of every picture each time"""
    flip: bool = False
    """mirror too: the shoes of this set all face left, so it is no help here"""
    drop_in_tests: bool = False
    """forget to switch dropout off for testing"""
    lr: float = Field(2e-3, gt=0)
    """learning rate of Adam"""


class Dropout(nn.Module):
    """Zeroes units and divides the rest by the probability of being kept; nothing in testing."""

    def __init__(self, keep: float, always: bool = False) -> None:
        super().__init__()
        self.keep, self.always = keep, always

    def forward(self, x: Tensor) -> Tensor:
        if not (self.training or self.always):
            return x
        return x * (torch.rand_like(x) < self.keep) / self.keep


class ConvNet(nn.Module):
    """(n, 1, 28, 28) -> scores (n, 10)."""

    def __init__(self, width: int, keep: float, drop_in_tests: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, 2 * width, 3, padding=1)
        self.fc1 = nn.Linear(2 * width * 7 * 7, 64)
        self.fc2 = nn.Linear(64, 10)
        self.drop = Dropout(keep, drop_in_tests)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = F.relu(self.fc1(self.drop(x.flatten(1))))
        return self.fc2(self.drop(x))


def flipped(x: Tensor, random: Generator) -> Tensor:
    """Half of the pictures mirrored."""
    mirrored = torch.rand(len(x), 1, 1, 1, generator=random) < 0.5
    return torch.where(mirrored, x.flip(3), x)


def cropped(x: Tensor, random: Generator, smallest: float = 0.9) -> Tensor:
    """A window of at least `smallest` of the side, anywhere, resized to the whole."""
    scale = smallest + (1 - smallest) * torch.rand(len(x), generator=random)
    shift = (2 * torch.rand(len(x), 2, generator=random) - 1) * (1 - scale)[:, None]
    window = torch.zeros(len(x), 2, 3)
    window[:, 0, 0] = window[:, 1, 1] = scale
    window[:, :, 2] = shift
    places = F.affine_grid(window, list(x.shape), align_corners=False)
    return F.grid_sample(x, places, padding_mode="border", align_corners=False)


def jittered(x: Tensor, random: Generator, most: float = 0.2) -> Tensor:
    """Brightness, contrast and saturation, each times 1 - most to 1 + most; pixels in [0, 1].

    Grey pictures have no saturation: for them that factor changes nothing.
    """
    bright, contrast, saturation = 1 + most * (
        2 * torch.rand(3, len(x), 1, 1, 1, generator=random) - 1
    )
    x = x * bright
    mean = x.mean((1, 2, 3), keepdim=True)
    x = mean + contrast * (x - mean)
    grey = x.mean(1, keepdim=True)
    return (grey + saturation * (x - grey)).clamp(0, 1)


def cut_out(x: Tensor, random: Generator, side: int = 6) -> Tensor:
    """A square of `side` px erased, its centre anywhere."""
    height, width = x.shape[2:]
    row = torch.randint(height, (len(x), 1, 1, 1), generator=random)
    column = torch.randint(width, (len(x), 1, 1, 1), generator=random)
    near_row = (torch.arange(height)[:, None] - row + side // 2) // side == 0
    near_column = (torch.arange(width) - column + side // 2) // side == 0
    return x.masked_fill(near_row & near_column, 0.0)


def augmented(x: Tensor, random: Generator, flip: bool) -> Tensor:
    if flip:
        x = flipped(x, random)
    return cut_out(jittered(cropped(x, random), random), random)


FAULTS = {
    "no-regularisation": Fault(
        {"keep": 1.0, "augment": False},
        "the training loss goes to zero, wrong labels included, while the held-out loss climbs",
        ("GEN001",),
    ),
    "dropout-in-tests": Fault(
        {"drop_in_tests": True},
        "the held-out loss is far above what the same weights reach without dropout",
        ("NRM002",),
    ),
}


def train(
    recipe: Recipe | Mapping[str, item.Scalar], seed: int, out: Path | None = None
) -> dict[str, float]:
    r = item.made(Recipe, recipe)
    data = fashion.load(r.train, sample=r.sample)
    test_x = (data.test_x - fashion.MEAN) / fashion.STD
    random = Generator().manual_seed(seed)
    drawn = torch.randint(10, data.train_y.shape, generator=random)
    wrong = torch.rand(len(drawn), generator=random) < r.noise
    train_y = torch.where(wrong, drawn, data.train_y)
    torch.manual_seed(seed)
    model = ConvNet(r.width, r.keep, r.drop_in_tests)

    def loss(x: Tensor, y: Tensor) -> dict[str, Tensor]:
        seen = augmented(x, random, r.flip) if r.augment else x
        return {"cross_entropy": F.cross_entropy(model((seen - fashion.MEAN) / fashion.STD), y)}

    def evaluate() -> dict[str, float]:
        scores = model(test_x)
        known = model((data.train_x - fashion.MEAN) / fashion.STD)
        return {
            "val_loss": float(F.cross_entropy(scores, data.test_y)),
            "test_accuracy": float((scores.argmax(1) == data.test_y).float().mean()),
            "train_accuracy": float((known.argmax(1) == train_y).float().mean()),
        }

    batches = loop.minibatches((data.train_x, train_y), r.batch, seed)
    metrics = loop.fit(r, model, batches, loss, evaluate)
    if out is not None:
        rows = [
            [x, *(augmented(x[None], random, True)[0] for _ in range(7))] for x in data.train_x[:5]
        ]
        pictures.grid(out / "picture.png", rows, titles=("picture", "variants"))
    majority = float((data.test_y == train_y.mode().values).float().mean())
    return metrics | {"baseline": majority}
