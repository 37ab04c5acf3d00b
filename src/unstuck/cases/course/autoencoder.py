"""An autoencoder: pictures through a bottleneck of a few numbers and back.

Trained with the squared error alone, it beats the best linear one of the same size (the principal
components) and leaves a useful encoder; but nobody knows how its codes are distributed, so decoding
random ones draws nothing. Hinton, Salakhutdinov, "Reducing the Dimensionality of Data with Neural
Networks" (2006).

Covers: 13.03 13.15 13.25 H06 I04
Run: unstuck case run course/autoencoder
Expected: reconstruction_error 0.01826 +- 0.00018 mean squared error over 5 seeds (trivial answer
    0.0867) in 12 s on one core each: python -m unstuck.cases.course autoencoder --seeds 5
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from pydantic import Field
from sklearn.decomposition import PCA
from torch import Tensor, nn
from torch.nn import functional as F

from unstuck.cases.course import item, loop, pictures
from unstuck.cases.course.data import fashion
from unstuck.cases.course.item import Fault

METRIC, HIGHER_IS_BETTER, UNIT = "reconstruction_error", False, "mean squared error"
MARGIN = 0.06  # over answering every picture with the training pictures' mean
TINY = {"steps": 3, "train": 128, "hidden": 16}


class Recipe(loop.Recipe):
    train: int = Field(8000, ge=1)
    """pictures to learn from"""
    steps: int = Field(800, ge=1)
    """updates; the first 300 catch up with the principal components"""
    batch: int = Field(128, ge=1)
    """pictures an update"""
    lr: float = Field(2e-3, gt=0)
    """learning rate of Adam"""
    hidden: int = Field(256, ge=1)
    """units of the layers around the bottleneck"""
    code: int = Field(8, ge=1)
    """numbers of the bottleneck"""
    rectified: bool = False
    """a ReLU on the code too: half of what it could say is lost"""
    code_bias: float = 0.0
    """what the bottleneck's bias starts at"""


class Autoencoder(nn.Module):
    """Pictures (n, 1, 28, 28) -> the same through codes (n, code)."""

    def __init__(self, hidden: int, code: int, rectified: bool, code_bias: float) -> None:
        super().__init__()
        bottleneck = nn.Linear(hidden, code)
        nn.init.constant_(bottleneck.bias, code_bias)
        self.encode = nn.Sequential(
            nn.Flatten(), nn.Linear(784, hidden), nn.ReLU(), bottleneck,
            nn.ReLU() if rectified else nn.Identity(),
        )  # fmt: skip
        self.decode = nn.Sequential(
            nn.Linear(code, hidden), nn.ReLU(), nn.Linear(hidden, 784), nn.Unflatten(1, (1, 28, 28))
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))


FAULTS = {
    "dead-bottleneck": Fault(
        {"rectified": True, "code_bias": -8.0},
        "a ReLU on the code and a bias far below zero: no unit of the bottleneck ever fires, every"
        " picture becomes the mean picture",
        ("ACT001", "GRD005"),
    ),
}


def train(
    recipe: Recipe | Mapping[str, item.Scalar], seed: int, out: Path | None = None
) -> dict[str, float]:
    r = item.made(Recipe, recipe)
    data = fashion.load(r.train, sample=r.sample)
    train_x, test_x = ((x - fashion.MEAN) / fashion.STD for x in (data.train_x, data.test_x))
    torch.manual_seed(seed)
    model = Autoencoder(r.hidden, r.code, r.rectified, r.code_bias)

    def loss(x: Tensor) -> dict[str, Tensor]:
        return {"reconstruction": F.mse_loss(model(x), x)}

    def evaluate() -> dict[str, float]:
        error = float(F.mse_loss(model(test_x), test_x))
        return {"val_loss": error, "reconstruction_error": error * fashion.STD**2}

    metrics = loop.fit(r, model, loop.minibatches((train_x,), r.batch, seed), loss, evaluate)
    mean = train_x.mean(0, keepdim=True).expand_as(test_x)
    linear = components(train_x, test_x, r.code)
    with torch.no_grad():
        drawn = model.eval().decode(torch.randn(10, r.code))
        rows = [test_x[:10], model(test_x[:10]), linear[:10], drawn]
    if out is not None:
        names = ["picture", f"{r.code} numbers", "components", "random code"]
        shown = [row[:, 0] * fashion.STD + fashion.MEAN for row in rows]
        pictures.grid(out / "picture.png", shown, row_titles=names)
    return metrics | {
        "baseline": float(F.mse_loss(mean, test_x)) * fashion.STD**2,
        "components_error": float(F.mse_loss(linear, test_x)) * fashion.STD**2,
    }


def components(train_x: Tensor, test_x: Tensor, count: int) -> Tensor:
    """Test pictures through the first `count` principal components of the training pictures."""
    kept = PCA(count, svd_solver="covariance_eigh").fit(train_x.flatten(1).numpy())
    back = kept.inverse_transform(kept.transform(test_x.flatten(1).numpy()))
    return torch.from_numpy(back).view_as(test_x).float()
