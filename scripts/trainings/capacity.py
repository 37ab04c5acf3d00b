"""Models too small or too large for their data, and rates out of range, found before training."""

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import unstuck
from trainings import healthy, sick
from trainings.digits import IMAGES, LABELS, TRAIN, convolutions, perceptron, step

Rows = tuple[Tensor, Tensor]
BESIDE = ("overfit-one-batch", "capacity")
RATES = ("learning-rate-range",)


def cut(x: Tensor, y: Tensor, size: int = 32) -> list[Rows]:
    return list(zip(x.split(size), y.split(size), strict=True))


def examined(model, optimizer, loss, data: list[Rows], held_out: Rows, steps: int = 300) -> None:
    """Beside models of other sizes first, then the training, with its validation."""
    unstuck.probe(
        model, data[0], loss, optimizer, only=BESIDE, batches=data[1:], held_out=[held_out]
    )
    for number, (x, y) in zip(range(steps), itertools.cycle(data), strict=False):
        step(optimizer, loss(model(x), y))
        if number % 20 == 19:
            model.eval()
            with torch.no_grad():
                unstuck.log(val_loss=float(loss(model(held_out[0]), held_out[1])))
            model.train()


def digits(count: int = 960) -> tuple[list[Rows], Rows]:
    rows = torch.randperm(TRAIN)[:count]
    return cut(IMAGES[rows], LABELS[rows]), (IMAGES[TRAIN:], LABELS[TRAIN:])


def adam(model, rate=1e-3, decay=0.0):
    return torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=decay)


def deep(inputs: int, width: int, outputs: int, *more: nn.Module) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, width), nn.ReLU(), *more, nn.Linear(width, width), nn.ReLU(), *more,
        nn.Linear(width, outputs),
    )  # fmt: skip


# Too small -------------------------------------------------------------------------------------


@sick("CAP002")
def digits_through_one_unit():
    model = perceptron(width=1, activation=nn.Tanh)
    examined(model, adam(model, 3e-2), F.cross_entropy, *digits())


def rings(count: int = 640) -> tuple[list[Rows], Rows]:
    """Whether a point lies in a disc."""
    x = torch.randn(count + 320, 2)
    y = (x.square().sum(1) < 1.4).long()
    return cut(x[:count], y[:count]), (x[count:], y[count:])


@sick("CAP002")
def plane_between_a_disc_and_the_rest():
    model = nn.Linear(2, 2)
    examined(model, adam(model, 3e-2), F.cross_entropy, *rings())


def wave(count: int = 960) -> tuple[list[Rows], Rows]:
    x = 6 * torch.rand(count + 320, 1) - 3
    y = torch.sin(3 * x) + 0.1 * torch.randn_like(x)
    return cut(x[:count], y[:count]), (x[count:], y[count:])


@sick("CAP002")
def line_for_a_wave():
    model = nn.Linear(1, 1)
    examined(model, torch.optim.SGD(model.parameters(), lr=0.05), F.mse_loss, *wave())


@healthy
def network_for_a_wave():
    model = deep(1, 64, 1)
    examined(model, adam(model, 1e-2), F.mse_loss, *wave(), steps=500)


@healthy
def digits_through_few_units():
    model = perceptron(width=16)
    examined(model, adam(model, 1e-2), F.cross_entropy, *digits())


def line(count: int, noise: float, columns: int = 8) -> tuple[list[Rows], Rows]:
    x = torch.randn(count + 512, columns)
    y = x.sum(1, keepdim=True) + noise * torch.randn(len(x), 1)
    return cut(x[:count], y[:count]), (x[count:], y[count:])


@healthy
def line_for_a_noisy_line():
    """No model of its eight numbers learns the noise by heart, and none should."""
    model = nn.Linear(8, 1)
    examined(model, torch.optim.SGD(model.parameters(), lr=0.02), F.mse_loss, *line(960, 3.0))


@healthy
def network_between_a_disc_and_the_rest():
    model = deep(2, 32, 2)
    examined(model, adam(model, 1e-2), F.cross_entropy, *rings())


@healthy
def code_of_two_numbers():
    """An autoencoder that draws a map: it is to keep little."""
    model = nn.Sequential(nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, 2), nn.Linear(2, 64))
    data, (x, _) = digits()
    examined(model, adam(model, 3e-3), F.mse_loss, [(a, a) for a, _ in data], (x, x))


# Too large -------------------------------------------------------------------------------------


@sick("CAP001")
def wide_network_on_a_noisy_line():
    model = deep(4, 512, 1)
    examined(model, adam(model), F.mse_loss, *line(80, 3.0, columns=4))


def sides(count: int, noise: float) -> tuple[list[Rows], Rows]:
    """On which side of a plane a point lies, by a poor judge."""
    x = torch.randn(count + 512, 10)
    y = (x[:, :4].sum(1) + noise * torch.randn(len(x)) > 0).long()
    return cut(x[:count], y[:count]), (x[count:], y[count:])


@sick("CAP001")
def wide_network_on_few_judgements():
    model = deep(10, 512, 2)
    examined(model, adam(model, 2e-3), F.cross_entropy, *sides(128, 1.5))


@sick("CAP001")
def convolutions_on_a_few_signals():
    """How steep short noisy signals rise, from ninety-six of them."""
    x = torch.arange(16.0) / 16 * torch.randn(608, 1) + 0.5 * torch.randn(608, 16)
    y = 3 * x @ (torch.arange(16.0) / 16 - 0.5)[:, None] + 4 * torch.randn(608, 1)
    model = nn.Sequential(
        nn.Unflatten(1, (1, 16)), nn.Conv1d(1, 64, 5, padding=2), nn.ReLU(),
        nn.Conv1d(64, 64, 5, padding=2), nn.ReLU(), nn.Flatten(), nn.Linear(1024, 1),
    )  # fmt: skip
    examined(model, adam(model), F.mse_loss, cut(x[:96], y[:96]), (x[96:], y[96:]))


@healthy
def small_network_on_few_judgements():
    model = nn.Sequential(nn.Linear(10, 4), nn.Tanh(), nn.Linear(4, 2))
    examined(model, adam(model, 3e-3, decay=0.3), F.cross_entropy, *sides(256, 1.0), steps=150)


@healthy
def wide_network_on_enough_judgements():
    model = deep(10, 256, 2, nn.Dropout(0.5))
    examined(model, adam(model), F.cross_entropy, *sides(2048, 1.0))


@healthy
def wide_network_on_digits():
    """Two hundred and eighty parameters a sample, and it does well."""
    model = deep(64, 480, 10)
    examined(model, adam(model), F.cross_entropy, *digits())


@healthy
def convolutions_on_digits():
    model = convolutions()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    examined(model, optimizer, F.cross_entropy, *digits())
