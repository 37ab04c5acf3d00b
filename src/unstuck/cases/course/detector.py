"""A one-stage detector: every cell of a grid says whether an object's centre lies in it, and which.

S x S cells, in each the scores of A anchors (boxes of usual size): confidence, offsets from the
anchor and kind. The cell of an object's centre is responsible, with the anchor nearest in size.
Almost all places are empty: their confidence loss is averaged apart, or it would drown that of the
full ones. Non-maximum suppression keeps the most confident of boxes that overlap. Redmon et al.,
"You only look once" (2016); anchors: Ren et al., "Faster R-CNN" (2015). Scored by mean average
precision at IoU 0.5.

Covers: 9B.08 9B.24 9B.25 9B.26 9B.27 9B.28 9B.29 E05 E10
Run: unstuck case run course/detector
Expected: mean_average_precision 0.9707 +- 0.0065 over 5 seeds (trivial answer 0.0014) in 7 s on
    one core each: python -m unstuck.cases.course detector --seeds 5
"""

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from unstuck.cases.course import item, loop, pictures
from unstuck.cases.course.data import scenes
from unstuck.cases.course.item import Fault

METRIC, HIGHER_IS_BETTER, UNIT = "mean_average_precision", True, ""
MARGIN = 0.85  # over the anchors everywhere, whatever the picture
TINY = {"steps": 3, "train": 32, "width": 4, "batch": 8}
SIZE, CELLS = 32, 8
CELL = SIZE // CELLS
ANCHORS = torch.tensor([11.0, 14.5])  # px; the shapes' boxes are square
KINDS = len(scenes.KINDS)


class Recipe(loop.Recipe):
    train: int = Field(2000, ge=1)
    """drawn scenes to learn from"""
    width: int = Field(16, ge=1)
    """channels of the first convolution; up to four times as many later"""
    empty: float = Field(1.0, ge=0)
    """weight of the empty places' mean confidence loss; the full places' mean weighs 1"""
    box: float = Field(5.0, ge=0)
    """weight of the boxes' squared error, which is small: offsets are shares of a cell"""
    steps: int = Field(350, ge=1)
    """updates"""
    batch: int = Field(16, ge=1)
    """scenes an update"""
    lr: float = Field(5e-3, gt=0)
    """first learning rate of Adam; half a cosine to zero"""


class Detector(nn.Module):
    """(n, 3, s, s) -> places (n, S, S, A, 5) and scores of the cells' kinds (n, S, S, kinds).

    A place holds confidence (before the sigmoid), dx, dy (cells), log w, log h (of the anchor).
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        widths = [3, width, 2 * width, 4 * width, 4 * width]
        layers: list[nn.Module] = []
        for i, (a, b) in enumerate(pairwise(widths)):
            layers += [nn.Conv2d(a, b, 3, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU()]
            layers += [nn.MaxPool2d(2)] * (i < 2)
        self.features = nn.Sequential(*layers)
        self.head = nn.Conv2d(widths[-1], 5 * len(ANCHORS) + KINDS, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        y = self.head(self.features(x)).permute(0, 2, 3, 1)
        places, kinds = y.split([5 * len(ANCHORS), KINDS], -1)
        return places.unflatten(-1, (len(ANCHORS), 5)), kinds


def iou(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union of boxes (..., 4) as x0, y0, x1, y1; broadcasts."""
    low, high = torch.maximum(a[..., :2], b[..., :2]), torch.minimum(a[..., 2:], b[..., 2:])
    both = (high - low).clamp(min=0).prod(-1)
    areas = (a[..., 2:] - a[..., :2]).prod(-1) + (b[..., 2:] - b[..., :2]).prod(-1)
    return both / (areas - both)


def nms(boxes: Tensor, confidence: Tensor, most: float = 0.3) -> Tensor:
    """Indices of the boxes kept, most confident first; none overlaps a better one by > `most`."""
    order, kept = confidence.argsort(descending=True), []
    while len(order):
        kept.append(order[0])
        order = order[1:][iou(boxes[order[0]], boxes[order[1:]]) <= most]
    return torch.stack(kept) if kept else order


def to_boxes(places: Tensor) -> Tensor:
    """Boxes (..., S, S, A, 4) in pixels of what the places say."""
    centre = (torch.arange(CELLS) + 0.5) * CELL
    middle = torch.stack(torch.meshgrid(centre, centre, indexing="xy"), -1)[:, :, None]
    middle = middle + places[..., 1:3] * CELL
    half = ANCHORS[:, None] * places[..., 3:].clamp(-3, 3).exp() / 2
    return torch.cat([middle - half, middle + half], -1)


def targets(s: scenes.Scenes) -> tuple[Tensor, Tensor, Tensor]:
    """Responsible places (n, S, S, A), what they should say (.., 5), kinds (n, S, S), -1 none."""
    n = len(s.boxes)
    full = torch.zeros(n, CELLS, CELLS, len(ANCHORS), dtype=torch.bool)
    aims = torch.zeros(n, CELLS, CELLS, len(ANCHORS), 5)
    kinds = torch.full((n, CELLS, CELLS), -1)
    for i, k in (s.kinds >= 0).nonzero().tolist():
        middle, sides = s.boxes[i, k].view(2, 2).mean(0), s.boxes[i, k, 2:] - s.boxes[i, k, :2]
        column, row = (middle / CELL).long().clamp(max=CELLS - 1).tolist()
        anchor = int((ANCHORS.log() - sides.log().mean()).abs().argmin())
        shift = middle / CELL - torch.tensor([column + 0.5, row + 0.5])
        full[i, row, column, anchor] = True
        aims[i, row, column, anchor, 1:] = torch.cat([shift, (sides / ANCHORS[anchor]).log()])
        kinds[i, row, column] = s.kinds[i, k]
    return full, aims, kinds


def detections(places: Tensor, kinds: Tensor) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Boxes, confidence and kinds a picture: its 20 best places after non-maximum suppression."""
    found = []
    for place, kind in zip(places, kinds, strict=True):
        boxes, likely = to_boxes(place).flatten(0, 2), kind.softmax(-1).max(-1)
        confidence = (place[..., 0].sigmoid() * likely.values[..., None]).flatten()
        best = confidence.topk(20).indices
        kept = best[nms(boxes[best], confidence[best])]
        found.append(
            (boxes[kept], confidence[kept], likely.indices.flatten()[kept // len(ANCHORS)])
        )
    return found


def average_precision(
    found: list[tuple[Tensor, Tensor, Tensor]], truth: scenes.Scenes, kind: int
) -> float:
    """Area under precision (made to fall) over recall; a true box is found once, at IoU >= 0.5."""
    said = [
        (float(c), i, box)
        for i, (boxes, confidence, kinds) in enumerate(found)
        for box, c, k in zip(boxes, confidence, kinds.tolist(), strict=True)
        if k == kind
    ]
    open_boxes = [list(b[k == kind]) for b, k in zip(truth.boxes, truth.kinds, strict=True)]
    wanted, right = sum(map(len, open_boxes)), []
    for _, i, box in sorted(said, key=lambda entry: -entry[0]):
        overlaps = [float(iou(box, true)) for true in open_boxes[i]]
        hit = max(overlaps, default=0.0) >= 0.5
        right.append(float(hit))
        if hit:
            del open_boxes[i][overlaps.index(max(overlaps))]
    if not right or not wanted:
        return 0.0
    hits = torch.tensor(right).cumsum(0)
    precision = (hits / torch.arange(1, len(hits) + 1)).flip(0).cummax(0).values.flip(0)
    return float((precision * torch.tensor(right)).sum() / wanted)


def mean_average_precision(found: list[tuple[Tensor, Tensor, Tensor]], s: scenes.Scenes) -> float:
    return sum(average_precision(found, s, kind) for kind in range(KINDS)) / KINDS


FAULTS = {
    "dominating-boxes": Fault(
        {"box": 3000.0},
        "the boxes' error outweighs confidence and kinds: boxes fit, but nothing says where an"
        " object is, nor which",
        ("LOS001",),
    ),
}


def train(
    recipe: Recipe | Mapping[str, item.Scalar], seed: int, out: Path | None = None
) -> dict[str, float]:
    r = item.made(Recipe, recipe)
    drawn, test = scenes.draw(r.train, SIZE, 2 * seed), scenes.draw(200, SIZE, 2 * seed + 1)
    train_x, test_x = ((s.pictures - 0.42) / 0.2 for s in (drawn, test))
    test_targets = targets(test)
    torch.manual_seed(seed)
    model = Detector(r.width)

    def loss(x: Tensor, full: Tensor, aims: Tensor, kinds: Tensor) -> dict[str, Tensor]:
        places, scores = model(x)
        fit = iou(to_boxes(places), to_boxes(aims)).detach() * full  # P(object) * IoU
        confidence = F.binary_cross_entropy_with_logits(places[..., 0], fit, reduction="none")
        return {
            "confidence": confidence[full].mean(),
            "empty_confidence": r.empty * confidence[~full].mean(),
            "box": r.box * F.mse_loss(places[full][:, 1:], aims[full][:, 1:]),
            "kind": F.cross_entropy(scores[kinds >= 0], kinds[kinds >= 0]),
        }

    def evaluate() -> dict[str, float]:
        return {"val_loss": float(torch.stack(list(loss(test_x, *test_targets).values())).sum())}

    optimizer = torch.optim.AdamW(model.parameters(), lr=r.lr, weight_decay=r.weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, r.steps)
    batches = loop.minibatches((train_x, *targets(drawn)), r.batch, seed)
    metrics = loop.fit(r, model, batches, loss, evaluate, optimizer=optimizer, schedule=schedule)
    model.eval()
    with torch.no_grad():
        places, kinds = model(test_x)
        found = detections(places, kinds)
        anchors = detections(torch.zeros_like(places), torch.zeros_like(kinds))
    if out is not None:
        _draw(out / "picture.png", test, found)
    return metrics | {
        "mean_average_precision": mean_average_precision(found, test),
        "baseline": mean_average_precision(anchors, test),
    }


def _draw(file: Path, s: scenes.Scenes, found: list[tuple[Tensor, Tensor, Tensor]]) -> None:
    """Sixteen scenes with the boxes of a confidence of at least 0.4."""
    from matplotlib import pyplot as plt
    from matplotlib.patches import Rectangle

    figure, axes = plt.subplots(2, 8, figsize=(9, 2.6))
    for axis, picture, (boxes, confidence, kinds) in zip(
        axes.flat, s.pictures, found, strict=False
    ):
        axis.imshow(picture.permute(1, 2, 0).numpy(), extent=(0, SIZE, SIZE, 0))
        axis.set_axis_off()
        for box, c, k in zip(boxes.tolist(), confidence, kinds.tolist(), strict=True):
            if c >= 0.4:
                x0, y0, x1, y1 = box
                axis.add_patch(Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, color="w"))
                label = f"{scenes.KINDS[k]} {c:.1f}"
                axis.text(x0, y0 - 0.5, label, color="w", fontsize=5, backgroundcolor="#0008")
    figure.tight_layout(pad=0.3)
    figure.savefig(file, dpi=pictures.DPI)
    plt.close(figure)
