"""Trainings that waste the machine they run on, and others that only look so.

What is slow is made slow by sleeping, so that it is as slow beside other programs.
"""

import time

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, Dataset

from trainings import healthy, keeping, sick
from trainings.digits import IMAGES, LABELS, TRAIN, Rows, batches, perceptron, step

TIMES = ("seconds/", "wait/")


class Digits(Dataset):
    """The training digits; each takes some milliseconds to read."""

    def __init__(self, seconds: float, count: int = TRAIN) -> None:
        self.seconds, self.count = seconds, count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, i):
        if self.seconds:
            time.sleep(self.seconds)
        return IMAGES[i], LABELS[i]


def fit(model, loader, steps, validate=lambda model: None):
    """Passes over a loader until so many steps are done."""
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    done = 0
    while done < steps:
        for x, y in loader:
            step(optimizer, F.cross_entropy(model(x), y))
            done += 1
            if done == steps:
                break
        validate(model)


def slow_model(seconds=0.03):
    """A model whose forward pass takes so long, as a larger one would."""

    class Slow(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = perceptron()

        def forward(self, x):
            time.sleep(seconds)
            return self.net(x)

    return Slow()


# Waiting for data -----------------------------------------------------------------------


@keeping(*TIMES)
@sick("SYS001")
def pictures_decoded_in_the_loop():
    """No workers, 1.5 ms a sample: 24 ms a batch for a step of a few."""
    fit(perceptron(), DataLoader(Digits(0.0015), 16, shuffle=True), 200)


@keeping(*TIMES)
@sick("SYS001")
def two_workers_too_few():
    """Two workers that need 4 ms a sample."""
    loader = DataLoader(Digits(0.004), 16, shuffle=True, num_workers=2, persistent_workers=True)
    fit(perceptron(), loader, 200)


@keeping(*TIMES)
@healthy
def workers_that_keep_up():
    """A sample takes 1 ms, a batch two workers 8 ms, a step 30 ms."""
    loader = DataLoader(Digits(0.001), 16, shuffle=True, num_workers=2, persistent_workers=True)
    fit(slow_model(), loader, 150)


@keeping(*TIMES)
@healthy
def batches_from_memory():
    """A loader in the loop itself, of data that is there."""
    fit(slow_model(0.02), DataLoader(Digits(0.0), 32, shuffle=True), 150)


@keeping(*TIMES)
@healthy
def validated_from_a_slow_disk():
    """Every 30 steps a pass over validation data that is slow to read."""
    held_out = DataLoader(Digits(0.004, 60), 20)

    def validate(model):
        model.eval()
        for x, y in held_out:
            with torch.no_grad():
                F.cross_entropy(model(x), y)
        model.train()

    loader = DataLoader(Digits(0.0, 960), 32, shuffle=True)
    fit(slow_model(0.02), loader, 180, validate)


# Numbers read one by one ----------------------------------------------------------------


@keeping(*TIMES)
@sick("SYS002")
def hits_counted_one_by_one():
    optimizer = torch.optim.Adam((model := perceptron()).parameters(), lr=1e-3)
    hits = 0
    for x, y in batches(256, 200):
        out = model(x)
        step(optimizer, F.cross_entropy(out, y))
        for i in range(len(y)):
            hits += int(out[i].argmax()) == int(y[i])


@keeping(*TIMES)
@sick("SYS002")
def errors_added_up_sample_by_sample():
    optimizer = torch.optim.SGD((model := perceptron()).parameters(), lr=0.1)
    worst = 0.0
    for x, y in batches(512, 200):
        out = model(x)
        step(optimizer, F.cross_entropy(out, y))
        for sample in (out.softmax(1).detach() - F.one_hot(y, 10)).abs().sum(1):
            if sample > worst:
                worst = sample.item()
            worst *= 0.999


@keeping(*TIMES)
@healthy
def loss_read_at_every_step():
    """Printed, averaged, checked for NaN: four numbers a step."""
    optimizer = torch.optim.Adam((model := Rows()).parameters(), lr=1e-3)
    mean = 0.0
    for x, y in batches(64, 200):
        loss = F.cross_entropy(model(x), y)
        if torch.isnan(loss):
            break
        step(optimizer, loss)
        mean = 0.9 * mean + 0.1 * loss.item()
        f"{float(loss):.3f} {(model(x[:8]).argmax(1) == y[:8]).sum().item()} {mean:.3f}"


# Memory ---------------------------------------------------------------------------------

WIDE = 512


@keeping("bytes/")
@sick("SYS003")
def held_out_losses_kept_with_their_graphs():
    """Losses that are only looked at, computed with gradients and put in a list as they are."""
    optimizer = torch.optim.SGD((model := perceptron(WIDE)).parameters(), lr=0.05)
    losses = []
    for x, y in batches(256, 500):
        step(optimizer, F.cross_entropy(model(x), y))
        losses.append(F.cross_entropy(model(IMAGES[TRAIN:]), LABELS[TRAIN:]))


@keeping("bytes/")
@sick("SYS003")
def mean_of_losses_with_their_graphs():
    """A running mean of a term that is never backpropagated."""
    optimizer = torch.optim.Adam((model := perceptron(WIDE)).parameters(), lr=1e-3)
    mean = 0.0
    for x, y in batches(256, 500):
        step(optimizer, F.cross_entropy(model(x), y))
        mean = 0.99 * mean + 0.01 * F.mse_loss(model(x).softmax(1), F.one_hot(y, 10).float())


@keeping("bytes/")
@healthy
def data_kept_once_read():
    """A cache that fills during the first pass, two fifths of the run."""
    optimizer = torch.optim.Adam((model := perceptron(WIDE)).parameters(), lr=1e-3)
    kept = {}
    for i, (x, y) in enumerate(batches(256, 400)):
        kept.setdefault(i % 160, torch.zeros(250_000))
        step(optimizer, F.cross_entropy(model(x), y))


@keeping("bytes/")
@healthy
def buffer_that_fills_up():
    """A replay buffer of the last 250 batches' features."""
    optimizer = torch.optim.Adam((model := perceptron(WIDE)).parameters(), lr=1e-3)
    kept = []
    for x, y in batches(256, 400):
        out = model(x)
        step(optimizer, F.cross_entropy(out, y))
        kept = [*kept[-249:], out.detach().repeat(1, 40)]


@keeping("bytes/")
@healthy
def batches_of_many_sizes():
    optimizer = torch.optim.Adam((model := perceptron(WIDE)).parameters(), lr=1e-3)
    for i in range(400):
        for x, y in batches(16 + (i * 97) % 500, 1):
            step(optimizer, F.cross_entropy(model(x), y))


# Arithmetic -----------------------------------------------------------------------------


@keeping(*TIMES)
@sick("SYS004")
def two_samples_for_a_wide_network():
    """Adam moves 17 million weights for two samples."""
    optimizer = torch.optim.Adam((model := perceptron(4096)).parameters(), lr=1e-4)
    for x, y in batches(2, 80):
        step(optimizer, F.cross_entropy(model(x), y))


@keeping(*TIMES)
@sick("SYS004")
def samples_passed_one_by_one():
    """Forward and backward passes of a single sample each, 48 to a step."""
    optimizer = torch.optim.SGD((model := perceptron(1024)).parameters(), lr=0.01)
    for x, y in batches(48, 70):
        optimizer.zero_grad()
        for i in range(len(y)):
            loss = F.cross_entropy(model(x[i : i + 1]), y[i : i + 1]) / len(y)
            loss.backward()
        optimizer.step()


@keeping(*TIMES)
@healthy
def arithmetic_in_large_pieces():
    """The same network, its samples stacked."""
    optimizer = torch.optim.SGD((model := perceptron(1024)).parameters(), lr=0.05)
    for x, y in batches(256, 150):
        step(optimizer, F.cross_entropy(model(x), y))


@keeping(*TIMES)
@healthy
def convolutions_of_many_samples():
    model = nn.Sequential(
        nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 64, 3, padding=1), nn.ReLU(),
        nn.Conv2d(64, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(),
        nn.Conv2d(64, 64, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(4096, 10),
    )  # fmt: skip
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for x, y in batches(64, 100):
        step(optimizer, F.cross_entropy(model(x), y))
