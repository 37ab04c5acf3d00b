"""Data that were put together wrongly: pairs off each other, labels of other samples, held-out data
that are trained on. Each training ends with the probe that looks at its data."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import unstuck
from trainings import healthy, sick
from trainings.digits import IMAGES, LABELS, perceptron

Batches = list[tuple[Tensor, Tensor]]
SIDE = 32


def strokes(count: int, width: float, ends: Tensor | None = None, right: float = 0.0, down=0.0):
    """Glyph-like pictures (count, 1, SIDE, SIDE) of four straight strokes each, and their ends."""
    if ends is None:
        ends = SIDE * (0.2 + 0.6 * torch.rand(count, 4, 2, 2))
    start, way = ends[:, :, 0] + torch.tensor([right, down]), ends[:, :, 1] - ends[:, :, 0]
    grid = torch.stack(torch.meshgrid(*2 * [torch.arange(SIDE)], indexing="xy"), -1).float()
    away = grid[None, None] - start[:, :, None, None]
    along = (away * way[:, :, None, None]).sum(-1) / way.square().sum(-1)[..., None, None]
    nearest = along.clamp(0, 1)[..., None] * way[:, :, None, None]
    distance = (away - nearest).norm(dim=-1).amin(1)
    return 1 - (width / 2 + 0.5 - distance).clamp(0, 1)[:, None], ends


def fonts(count: int, right: float = 0.0, down: float = 0.0) -> tuple[Tensor, Tensor]:
    """The same glyphs in a light and in a bold style, the bold ones moved."""
    light, ends = strokes(count, 1.5)
    return light, strokes(count, 4.0, ends, right, down)[0]


def tissue(count: int, right: int = 0, down: int = 0) -> tuple[Tensor, Tensor]:
    """The same smooth anatomy in two noisy contrasts, the second cut out elsewhere."""
    maps = F.interpolate(torch.randn(count, 4, 8, 8), 48, mode="bilinear").argmax(1)
    a, b = torch.tensor([0.2, 0.9, 0.5, 0.0])[maps], torch.tensor([0.7, 0.1, 0.6, 0.3])[maps]
    a, b = (x[:, None] + 0.05 * torch.randn(count, 1, 48, 48) for x in (a, b))
    return a[..., 8:40, 8:40], b[..., 8 - down : 40 - down, 8 - right : 40 - right]


def mixer() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 12, 5, padding=2), nn.ReLU(), nn.Conv2d(12, 12, 5, padding=2), nn.ReLU(),
        nn.Conv2d(12, 1, 3, padding=1),
    )  # fmt: skip


def learn_pairs(made: Callable[[], tuple[Tensor, Tensor]], steps: int = 150) -> None:
    model, data = mixer(), [made() for _ in range(16)]
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for t in range(steps):
        x, y = data[t % len(data)]
        loss = F.l1_loss(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    unstuck.probe(model, data[0], F.l1_loss, optimizer, only=["registration"], batches=data[1:])


@sick("DAT003")
def fonts_two_pixels_apart():
    """One font's glyphs begin at the left edge of their box, the other's have a bearing."""
    learn_pairs(lambda: fonts(8, right=2.0))


@sick("DAT003")
def fonts_less_than_a_pixel_apart():
    learn_pairs(lambda: fonts(8, right=0.7, down=-0.6))


@sick("DAT003")
def contrasts_cut_out_apart():
    """The second contrast's crop is off by one row, in one of two corner conventions."""
    learn_pairs(lambda: tissue(8, down=1))


@healthy
def fonts_on_each_other():
    learn_pairs(lambda: fonts(8))


@healthy
def contrasts_on_each_other():
    learn_pairs(lambda: tissue(8))


@healthy
def glyphs_that_move():
    """The next frame: every glyph goes its own way, up to two pixels."""

    def frames() -> tuple[Tensor, Tensor]:
        pairs = [fonts(1, *(4 * torch.rand(2) - 2).tolist()) for _ in range(8)]
        return torch.cat([a for a, _ in pairs]), torch.cat([b for _, b in pairs])

    learn_pairs(frames)


@healthy
def glyphs_to_others():
    """Two styles without pairs: any glyph of the other one will do."""
    learn_pairs(lambda: (fonts(8)[0], fonts(8)[1]))


@healthy
def glyphs_from_every_second_pixel():
    """Decimated inputs lie a third of a pixel off targets that were averaged down."""

    def halved() -> tuple[Tensor, Tensor]:
        fine = F.interpolate(tissue(8)[0], scale_factor=4, mode="bicubic")
        return fine[..., ::4, ::4], F.avg_pool2d(fine, 2)[..., ::2, ::2]

    learn_pairs(halved)


def learn_labels(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    loss_of=F.cross_entropy,
    *,
    rate=1e-3,
    steps=300,
    held=64,
) -> None:
    """Train on all rows but the last `held`, in shuffled epochs of batches of 32."""
    cut = len(x) - held
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    order = torch.randperm(cut)
    for t in range(steps):
        at = t * 32 % (cut - 31)
        if at < 32 and t:
            order = torch.randperm(cut)
        rows = order[at : at + 32]
        loss = loss_of(model(x[rows]), y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    data = [(x[i : i + 32], y[i : i + 32]) for i in range(0, cut - 31, 32)]
    others = [(x[i : i + 32], y[i : i + 32]) for i in range(cut, len(x) - 31, 32)]
    unstuck.probe(
        model, data[0], loss_of, optimizer, only=["labels"], batches=data, held_out=others
    )


def digits() -> tuple[Tensor, Tensor]:
    order = torch.randperm(len(IMAGES))
    return IMAGES[order], LABELS[order]


@sick("DAT004")
def labels_of_the_next_sample():
    """A header was counted as a row in one of the two files."""
    x, y = digits()
    learn_labels(perceptron(), x, y.roll(1), held=320)


@sick("DAT004")
def pictures_shuffled_alone():
    x, y = digits()
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(128, 10)
    )
    shuffled = x[torch.randperm(len(x))].view(-1, 1, 8, 8)
    learn_labels(model, shuffled, y, steps=400, held=320)


def landmarks(count: int = 1600) -> tuple[Tensor, Tensor]:
    """Twelve features, and six targets that half depend on some of them."""
    x = torch.randn(count, 12)
    y = x[:, :6] - x[:, 1:7] * x[:, 2:8] + torch.randn(count, 6)
    return x, (y - y.mean(0)) / y.std(0)


def plain(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, 32), nn.ReLU(), nn.Linear(32, outputs))


@sick("DAT004")
def targets_joined_by_the_wrong_key():
    x, y = landmarks()
    learn_labels(plain(12, 6), x, y[torch.randperm(len(y))], F.mse_loss, held=320)


@healthy
def labels_of_the_same_sample():
    learn_labels(perceptron(), *digits(), held=320)


@healthy
def targets_joined_by_their_key():
    learn_labels(plain(12, 6), *landmarks(), F.mse_loss, held=320)


@healthy
def labels_mostly_random():
    """Four of five labels are anything: hard to learn from, but they belong to their samples."""
    x, y = digits()
    learn_labels(
        perceptron(), x, torch.where(torch.rand(len(y)) < 0.8, y[torch.randperm(len(y))], y)
    )


@healthy
def parity_of_few_bits():
    """A rule of many parts."""
    x = (torch.rand(1600, 10) < 0.5).float() * 2 - 1
    learn_labels(plain(10, 2), x, (x[:, :3].prod(1) > 0).long(), rate=1e-2, held=320)


@healthy
def returns_hardly_foretold():
    """One hundredth of the variance can be known."""
    x = torch.randn(1600, 8)
    y = 0.1 * x[:, :1] + torch.randn(1600, 1)
    learn_labels(plain(8, 1), x, y, F.mse_loss, rate=3e-4, held=320)


@healthy
def few_samples_of_a_hard_task():
    x = (torch.rand(192, 24) < 0.5).float() * 2 - 1
    learn_labels(plain(24, 2), x, (x[:, :6].prod(1) > 0).long(), rate=1e-2, held=64)


def split_after_copying(noise: float):
    """Every sample is there twice before the split, as oversampling or augmentation leaves it."""
    x, y = digits()
    x = torch.cat([x, x + noise * torch.randn_like(x)]).view(-1, 1, 8, 8)
    order = torch.randperm(len(x))
    model = nn.Sequential(nn.Flatten(), perceptron())
    learn_labels(model, x[order], y.repeat(2)[order], steps=200, held=640)


@sick("GEN004")
def oversampled_before_the_split():
    split_after_copying(0.0)


@sick("GEN004")
def augmented_before_the_split():
    split_after_copying(0.005)


@healthy
def boards_of_few_kinds():
    """Inputs of which there are few kinds are in both parts by nature."""
    x = torch.randint(0, 2, (2000, 8)).float()
    learn_labels(plain(8, 2), x, (x.sum(1) > 4).long(), held=320)
