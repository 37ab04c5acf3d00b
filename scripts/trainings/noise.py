"""Batches too small for their rate, weights that decay faster than they learn, and the reverse."""

import torch
import torch.nn.functional as F
from torch import nn

from trainings import healthy, sick
from trainings.digits import IMAGES, LABELS, TRAIN, batches, convolutions, perceptron, step


def blurred(size, steps):
    """Digits whose labels are wrong four times in ten."""
    for x, y in batches(size, steps):
        wrong = torch.rand(size) < 0.4
        yield x, torch.where(wrong, torch.randint(0, 10, (size,)), y)


def classify(model, optimizer, size, steps, data=batches, schedule=None):
    for x, y in data(size, steps):
        step(optimizer, F.cross_entropy(model(x), y))
        if schedule is not None:
            schedule.step()


def regress(model, optimizer, size, steps, noise, schedule=None):
    """The amounts of ink in the eight rows, read with noise."""
    for x, _ in batches(size, steps):
        y = x.view(size, 8, 8).sum(2) - 2 + noise * torch.randn(size, 8)
        step(optimizer, F.mse_loss(model(x), y))
        if schedule is not None:
            schedule.step()


def small(out=8):
    return nn.Sequential(nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, out))


@sick("OPT008")
def single_noisy_labels():
    model = perceptron(activation=nn.Tanh)
    classify(model, torch.optim.SGD(model.parameters(), lr=0.06), 1, 2000, blurred)


@healthy
def noisy_labels_in_batches():
    model = perceptron(activation=nn.Tanh)
    classify(model, torch.optim.SGD(model.parameters(), lr=0.06), 64, 600, blurred)


@sick("OPT008")
def pairs_at_a_fast_rate():
    model = perceptron(activation=nn.Tanh)
    classify(model, torch.optim.Adam(model.parameters(), lr=5e-3), 2, 1500, blurred)


@healthy
def pairs_at_a_rate_that_falls():
    model = perceptron()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 1500)
    classify(model, optimizer, 2, 1500, schedule=schedule)


@sick("OPT008")
def noisy_readings_one_by_one():
    model = small()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.04, momentum=0.5)
    regress(model, optimizer, 1, 2000, noise=1.0)


@healthy
def noisy_readings_in_batches():
    model = small()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.04, momentum=0.5)
    regress(model, optimizer, 64, 800, noise=1.0)


@healthy
def noisy_readings_one_by_one_slowly():
    model = small()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.04, momentum=0.5)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.998)
    regress(model, optimizer, 1, 2000, noise=1.0, schedule=schedule)


@healthy
def all_digits_at_once():
    model = perceptron()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(150):
        step(optimizer, F.cross_entropy(model(IMAGES[:TRAIN]), LABELS[:TRAIN]))


@sick("OPT014")
def decay_outruns_the_gradient():
    model = perceptron()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1)
    classify(model, optimizer, 32, 500)


@sick("OPT014")
def decay_of_a_third():
    model = perceptron(activation=nn.Tanh)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, weight_decay=0.3)
    classify(model, optimizer, 32, 800)


@healthy
def decoupled_decay_of_ten():
    """Strong, and yet the weights find their balance."""
    model = perceptron()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=10.0)
    classify(model, optimizer, 32, 800)


@sick("OPT014")
def decay_in_the_gradient_of_adam():
    model = perceptron()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3, weight_decay=1.0)
    classify(model, optimizer, 32, 500)


@healthy
def decay_that_regularises():
    model = perceptron()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=2e-3)
    classify(model, optimizer, 32, 500)


@healthy
def decay_below_normalisation():
    """Weights whose scale does not matter shrink far, and the network learns all the while."""
    model = convolutions()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=2e-2)
    classify(model, optimizer, 32, 400)


@healthy
def decoupled_decay_as_usual():
    model = perceptron()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.5)
    classify(model, optimizer, 32, 600)
