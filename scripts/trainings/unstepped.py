"""Digits read under schedules that are made and never stepped, and under ones that are."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim import lr_scheduler
from torch.optim.swa_utils import SWALR
from torch.utils.data import DataLoader, TensorDataset

from trainings import healthy, sick
from trainings.digits import (
    IMAGES,
    LABELS,
    TRAIN,
    Rows,
    batches,
    convolutions,
    held_out,
    perceptron,
    step,
)

EPOCHS, SIZE = 12, 50
BATCHES = TRAIN // SIZE  # 30


def digits() -> DataLoader:
    return DataLoader(TensorDataset(IMAGES[:TRAIN], LABELS[:TRAIN]), batch_size=SIZE, shuffle=True)


def sgd(model, lr=0.1):
    return torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)


def fit(model, optimizer, *, each_batch=None, each_epoch=None, epochs=EPOCHS, loader=None):
    """Epochs through a DataLoader with a validation after each; `each_epoch` is told which."""
    loader = loader or digits()
    for epoch in range(epochs):
        for x, y in loader:
            step(optimizer, F.cross_entropy(model(x), y))
            if each_batch:
                each_batch()
        held_out(model)
        if each_epoch:
            each_epoch(epoch)


@sick("OPT016")
def decay_that_never_comes():
    optimizer = sgd(model := perceptron())
    schedule = lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS)
    fit(model, optimizer)
    del schedule


@sick("OPT016")
def warm_up_that_never_begins():
    """A warm-up counted in steps, from a rate of nothing: nothing is learned."""
    optimizer = torch.optim.AdamW((model := Rows()).parameters(), lr=1e-3)
    total = EPOCHS * BATCHES
    schedule = lr_scheduler.LambdaLR(optimizer, lambda n: min(n / 40, (total - n) / total))
    fit(model, optimizer)
    del schedule


@sick("OPT016")
def cycle_that_stays_at_its_start():
    """One cycle begins at a 25th of its highest rate, and the network learns at that."""
    optimizer = torch.optim.AdamW((model := convolutions()).parameters(), lr=1e-3)
    schedule = lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=EPOCHS * BATCHES)
    fit(model, optimizer)
    del schedule


@sick("OPT016")
def second_schedule_forgotten():
    """An encoder and a head, an optimizer and a schedule each; the head's is never stepped."""
    encoder, head = nn.Sequential(nn.Linear(64, 64), nn.ReLU()), nn.Linear(64, 10)
    optimizer_encoder, optimizer_head = sgd(encoder), sgd(head)
    schedule_encoder = lr_scheduler.ExponentialLR(optimizer_encoder, 0.8)
    schedule_head = lr_scheduler.ExponentialLR(optimizer_head, 0.8)
    model, loader = nn.Sequential(encoder, head), digits()
    for _ in range(EPOCHS):
        for x, y in loader:
            loss = F.cross_entropy(model(x), y)
            optimizer_encoder.zero_grad()
            optimizer_head.zero_grad()
            loss.backward()
            optimizer_encoder.step()
            optimizer_head.step()
        held_out(model)
        schedule_encoder.step()
    del schedule_head


@sick("OPT016")
def drops_that_never_come_by_hand():
    """Batches drawn by hand; a drop after three quarters of all steps that nobody counts."""
    optimizer = sgd(model := perceptron())
    schedule = lr_scheduler.StepLR(optimizer, 3 * EPOCHS * BATCHES // 4)
    for _ in range(EPOCHS):
        for x, y in batches(SIZE, BATCHES):
            step(optimizer, F.cross_entropy(model(x), y))
        held_out(model)
    del schedule


@healthy
def decay_at_every_epoch():
    optimizer = sgd(model := perceptron())
    schedule = lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS)
    fit(model, optimizer, each_epoch=lambda epoch: schedule.step())


@healthy
def warm_up_then_decay_in_sequence():
    optimizer = torch.optim.AdamW((model := Rows()).parameters(), lr=3e-3)
    rise = lr_scheduler.LinearLR(optimizer, 0.01, total_iters=40)
    fall = lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS * BATCHES - 40)
    schedule = lr_scheduler.SequentialLR(optimizer, [rise, fall], milestones=[40])
    fit(model, optimizer, each_batch=schedule.step)


@healthy
def schedule_that_is_constant():
    """Made because the code asks for one, and it need not be stepped."""
    optimizer = sgd(model := perceptron(), lr=0.02)
    schedule = lr_scheduler.LambdaLR(optimizer, lambda n: 1.0)
    fit(model, optimizer)
    del schedule


@healthy
def schedule_of_the_average_begins_late():
    """The schedule of stochastic weight averaging is stepped in the last quarter only."""
    optimizer = sgd(model := perceptron(), lr=0.02)
    schedule = SWALR(optimizer, swa_lr=0.01, anneal_epochs=2)
    fit(model, optimizer, each_epoch=lambda epoch: epoch >= 9 and schedule.step())


@healthy
def schedule_replaced_by_another():
    """Two stages, each with a schedule; the first stage was too short for its own to be due."""
    optimizer = sgd(model := perceptron(), lr=0.02)
    loader = digits()
    schedule = lr_scheduler.StepLR(optimizer, 30)
    fit(model, optimizer, epochs=1, loader=loader)
    schedule = lr_scheduler.StepLR(optimizer, 8)
    fit(model, optimizer, each_epoch=lambda epoch: schedule.step(), loader=loader)


@healthy
def one_epoch_with_drops_for_many():
    """A single pass in shards, under a schedule that is due at its end only."""
    optimizer = sgd(model := perceptron(), lr=0.02)
    schedule = lr_scheduler.StepLR(optimizer, 30)
    shards = torch.randperm(TRAIN).tensor_split(10)
    for shard in shards:
        part = TensorDataset(IMAGES[shard], LABELS[shard])
        fit(model, optimizer, epochs=1, loader=DataLoader(part, batch_size=10))
    schedule.step()
