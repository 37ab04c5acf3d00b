"""Classifiers under schedules of the learning rate: of the right length, and of a wrong one."""

import torch
import torch.nn.functional as F
from torch.optim import lr_scheduler

import unstuck
from trainings import healthy, sick
from trainings.digits import IMAGES, LABELS, TRAIN, batches, convolutions, perceptron

EPOCHS, BATCHES = 20, 30  # 600 steps


def fit(
    model, optimizer, schedule, *, each_batch, epochs=EPOCHS, size=32, noise=0.0, validate=None
):
    """Epochs of training with a validation after each; the schedule is stepped where it is told."""
    for _ in range(epochs):
        model.train()
        for x, y in batches(size, BATCHES):
            wrong = torch.rand(len(y)) < noise
            y = torch.where(wrong, torch.randint(0, 10, y.shape), y)
            loss = F.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if each_batch:
                schedule.step()
        model.eval()
        with torch.no_grad():
            val_loss = float(F.cross_entropy(model(IMAGES[TRAIN:]), LABELS[TRAIN:]))
        unstuck.log(val_loss=val_loss)
        if validate is not None:
            validate(val_loss)
        elif not each_batch:
            schedule.step()


def sgd(model, lr=0.05):
    return torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)


@sick("OPT006")
def drops_at_every_batch():
    """A drop by ten every 7 epochs, counted at every batch."""
    optimizer = sgd(model := perceptron(), lr=0.02)
    fit(model, optimizer, lr_scheduler.StepLR(optimizer, 7), each_batch=True)


@sick("OPT006")
def decay_at_every_batch():
    """An exponential decay meant for epochs."""
    optimizer = torch.optim.Adam((model := convolutions()).parameters(), lr=3e-4)
    fit(model, optimizer, lr_scheduler.ExponentialLR(optimizer, 0.9), each_batch=True)


@sick("OPT006")
def schedule_for_a_shorter_run():
    """A linear decay to zero over the steps of another, shorter run."""
    optimizer = sgd(model := perceptron(), lr=0.02)
    decay = lr_scheduler.LambdaLR(optimizer, lambda step: max(0.0, 1 - step / 120))
    fit(model, optimizer, decay, each_batch=True)


@healthy
def drops_at_every_epoch():
    optimizer = sgd(model := perceptron())
    fit(model, optimizer, lr_scheduler.StepLR(optimizer, 7), each_batch=False)


@healthy
def warm_restarts():
    optimizer = sgd(model := convolutions(), lr=0.02)
    cycles = lr_scheduler.CosineAnnealingWarmRestarts(optimizer, 60, T_mult=2)
    fit(model, optimizer, cycles, each_batch=True, epochs=14)


@healthy
def one_cycle():
    optimizer = torch.optim.AdamW((model := convolutions()).parameters(), lr=1e-2)
    cycle = lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=EPOCHS * BATCHES)
    fit(model, optimizer, cycle, each_batch=True)


@healthy
def triangular_cycles():
    optimizer = sgd(model := perceptron())
    cycles = lr_scheduler.CyclicLR(optimizer, 1e-4, 0.1, step_size_up=75)
    fit(model, optimizer, cycles, each_batch=True)


@healthy
def drops_on_plateaus():
    """Labels with mistakes: the validation comes to rest, and the rate falls to almost nothing."""
    optimizer = sgd(model := perceptron(), lr=0.1)
    plateau = lr_scheduler.ReduceLROnPlateau(optimizer, patience=2)
    fit(
        model, optimizer, None, each_batch=False, epochs=40, size=64, noise=0.2,
        validate=plateau.step,
    )  # fmt: skip


@healthy
def drops_on_a_long_plateau():
    """The same, and the run goes on for long after the rate has fallen to nothing."""
    optimizer = sgd(model := perceptron(), lr=0.1)
    plateau = lr_scheduler.ReduceLROnPlateau(optimizer, patience=1)
    fit(
        model,
        optimizer,
        None,
        each_batch=False,
        epochs=60,
        size=64,
        noise=0.2,
        validate=plateau.step,
    )


@healthy
def square_root_decay():
    """Warm-up from nothing and the inverse square root, as transformers are trained."""
    optimizer = torch.optim.Adam((model := perceptron()).parameters(), lr=1e-2)
    decay = lr_scheduler.LambdaLR(optimizer, lambda s: min((s + 1) / 40, (40 / (s + 1)) ** 0.5))
    fit(model, optimizer, decay, each_batch=True)


@healthy
def constant_then_cooled():
    """Warm-up, a long stable stretch, and a linear end to zero."""
    optimizer = torch.optim.AdamW((model := convolutions()).parameters(), lr=3e-3)
    shape = lr_scheduler.LambdaLR(optimizer, lambda s: min(1.0, (s + 1) / 30, (600 - s) / 120))
    fit(model, optimizer, shape, each_batch=True)
