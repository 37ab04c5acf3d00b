"""Jigsaw puzzles: features learned from putting shuffled tiles back in order.

A picture is cut into 3 x 3 tiles with gaps between them, the tiles are shuffled by one of a fixed
set of permutations, the same network sees every tile, and a classifier names the permutation.
9! = 362880 classes could not be learned; 64 to 1000 that lie far apart can. Noroozi, Favaro,
"Unsupervised Learning of Visual Representations by Solving Jigsaw Puzzles" (2016).

Covers: 12.03 12.05 12.11 H02 H03
Run: unstuck case run course/jigsaw
Expected: linear_probe 0.768 +- 0.018 over 5 seeds (trivial answer 0.682) in 4 s on one core each:
    python -m unstuck.cases.course jigsaw --seeds 5
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from unstuck.cases.course import item, loop, pictures
from unstuck.cases.course.data import digits
from unstuck.cases.course.data.probe import linear_probe
from unstuck.cases.course.item import Fault

METRIC, HIGHER_IS_BETTER, UNIT = "linear_probe", True, ""
MARGIN = 0.03  # over the same probe on the same network before training
TINY = {"steps": 3, "train": 128, "width": 4}
SIDE, TILE = 9, 8  # a cell of the picture, and the tile cut out of it


class Recipe(loop.Recipe):
    train: int = Field(8000, ge=1)
    """pictures without labels"""
    labelled: int = Field(100, ge=1)
    """labels the probe gets, about ten a class"""
    steps: int = Field(300, ge=1)
    """updates"""
    lr: float = Field(2e-3, gt=0)
    """learning rate of Adam"""
    width: int = Field(16, ge=1)
    """channels of the first convolution; the second has twice as many"""
    permutations: int = Field(1000, ge=2, le=362880)
    """size of the fixed set, the number of classes; 64 are told apart by a few tiles alone, and
    the features gain half as much"""


def permutation_set(count: int, seed: int = 0, candidates: int = 50) -> Tensor:
    """`count` orders of nine tiles (count, 9), far apart in Hamming distance.

    Greedy: of some random candidates take the one whose nearest neighbour in the set is furthest.
    A set too large for that is drawn at random.
    """
    source = np.random.default_rng(seed)
    if count > 2000:
        return torch.from_numpy(source.permuted(np.tile(np.arange(9), (count, 1)), axis=1))
    chosen = [source.permutation(9)]
    while len(chosen) < count:
        others = source.permuted(np.tile(np.arange(9), (candidates, 1)), axis=1)
        distance = (others[:, None] != np.array(chosen)[None]).sum(2).min(1)
        chosen.append(others[distance.argmax()])
    return torch.from_numpy(np.array(chosen))


def tiles(x: Tensor, shifts: Tensor) -> Tensor:
    """(n, 1, 28, 28) -> (n, 9, 8, 8): a tile from each cell of a 3 x 3 grid.

    `shifts` (9, 2) of 0 or 1 move each tile inside its cell, so that edges that continue from tile
    to tile do not give the order away.
    """
    cut = []
    for cell, (down, right) in enumerate(shifts.tolist()):
        top, left = SIDE * (cell // 3) + down, SIDE * (cell % 3) + right
        cut.append(x[:, 0, top : top + TILE, left : left + TILE])
    return torch.stack(cut, 1)


def shuffled(parts: Tensor, orders: Tensor) -> Tensor:
    """Tiles (n, 9, ...) in the order given for each picture (n, 9)."""
    return parts[torch.arange(len(parts))[:, None], orders]


class JigsawNet(nn.Module):
    """Nine tiles (n, 9, 8, 8) -> scores of the permutations; `features` are of whole pictures."""

    def __init__(self, width: int, permutations: int) -> None:
        super().__init__()
        self.tile = nn.Sequential(
            nn.Conv2d(1, width, 3, 2, 1), nn.BatchNorm2d(width), nn.ReLU(),
            nn.Conv2d(width, 2 * width, 3, 2, 1), nn.BatchNorm2d(2 * width), nn.ReLU(),
        )  # fmt: skip
        self.describe = nn.Linear(2 * width * 4, 32)
        self.order = nn.Sequential(nn.Linear(9 * 32, 128), nn.ReLU(), nn.Linear(128, permutations))

    def features(self, x: Tensor) -> Tensor:
        """(n, 2 width, 3, 3): the tiles' convolutions run over the whole picture."""
        return F.adaptive_avg_pool2d(self.tile(x), 3)

    def forward(self, parts: Tensor) -> Tensor:
        each = self.tile(parts.flatten(0, 1)[:, None]).flatten(1)
        return self.order(F.relu(self.describe(each)).view(len(parts), -1))


FAULTS = {
    "too-many-permutations": Fault(
        {"permutations": 10000},
        "a class is seen about twice: the loss stays near log 10000 and no puzzle is solved",
        symptom="pretext_accuracy",
        falls=True,
    ),
}


def train(
    recipe: Recipe | Mapping[str, item.Scalar], seed: int, out: Path | None = None
) -> dict[str, float]:
    r = item.made(Recipe, recipe)
    data = digits.load(r.train, sample=r.sample)
    train_x, test_x = ((x - digits.MEAN) / digits.STD for x in (data.train_x, data.test_x))
    orders = permutation_set(r.permutations)
    source = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    model = JigsawNet(r.width, r.permutations)

    def puzzle(x: Tensor, source: torch.Generator) -> tuple[Tensor, Tensor]:
        which = torch.randint(len(orders), (len(x),), generator=source)
        parts = tiles(x, torch.randint(2, (9, 2), generator=source))
        return shuffled(parts, orders[which]), which

    def probe() -> float:
        labelled = model.features(train_x[: r.labelled]), data.train_y[: r.labelled]
        return linear_probe(*labelled, model.features(test_x), data.test_y)

    def loss(x: Tensor) -> dict[str, Tensor]:
        parts, which = puzzle(x, source)
        return {"cross_entropy": F.cross_entropy(model(parts), which)}

    def evaluate() -> dict[str, float]:
        parts, which = puzzle(test_x[:500], torch.Generator().manual_seed(0))
        scores = model(parts)
        return {
            "val_loss": float(F.cross_entropy(scores, which)),
            "pretext_accuracy": float((scores.argmax(1) == which).float().mean()),
        }

    before = loop.looked_at(model, lambda: {"probe": probe()})["probe"]
    metrics = loop.fit(r, model, loop.minibatches((train_x,), r.batch, seed), loss, evaluate)
    metrics |= loop.looked_at(model, lambda: {"linear_probe": probe()})
    if out is not None:
        _draw(out / "picture.png", model, orders, test_x[:8])
    pixels = linear_probe(train_x[: r.labelled], data.train_y[: r.labelled], test_x, data.test_y)
    return metrics | {"baseline": before, "raw_pixels": pixels}


def _draw(file: Path, model: JigsawNet, orders: Tensor, x: Tensor) -> None:
    """Puzzles and what the network makes of them."""
    which = torch.arange(len(x)) % len(orders)
    parts = shuffled(tiles(x, torch.zeros(9, 2, dtype=torch.long)), orders[which])
    with torch.no_grad():
        guessed = model.eval()(parts).argmax(1)
    solved = shuffled(parts, orders[guessed].argsort(1))
    rows = [F.pad(p, (0, 1, 0, 1)) for p in (parts, solved)]
    whole = [p.view(-1, 3, 3, 9, 9).transpose(2, 3).reshape(-1, 27, 27) for p in rows]
    pictures.grid(file, [x[:, 0], *whole], row_titles=["picture", "puzzle", "solved"], limits=None)
