"""Classifiers trained by several processes: in step, apart, held up by one, broken by one.

Every rank runs the whole body; each starts from the same seed and then draws batches of its own.
"""

import os
import signal
import time

import torch
import torch.nn.functional as F
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

import unstuck
from trainings import among, healthy, sick
from trainings.digits import IMAGES, LABELS, TRAIN, batches, convolutions, perceptron, step

STEPS = 400
TIMES = ("seconds/own", "seconds/step")


def rank() -> int:
    return distributed.get_rank()


def own_draws() -> None:
    """From here on every rank draws other numbers."""
    torch.manual_seed(torch.initial_seed() * 1000 + rank())


def wrapped(make=perceptron):
    """A model whose gradients are averaged over the ranks, and its optimizer."""
    model = DistributedDataParallel(make())
    own_draws()
    return model, torch.optim.Adam(model.parameters(), lr=1e-3)


def fit(model, optimizer, steps=STEPS, size=32, before=lambda i: None, after=lambda i: None):
    for i, (x, y) in enumerate(batches(size, steps)):
        before(i)
        loss = F.cross_entropy(model(x), y)
        step(optimizer, loss)
        after(i)


# Copies that differ ---------------------------------------------------------------------


@among(2)
@sick("DST001")
def ranks_without_a_wrapper():
    """Joined in a group, and each trains for itself."""
    model = perceptron()
    own_draws()
    fit(model, torch.optim.Adam(model.parameters(), lr=1e-3))


@among(3)
@sick("DST001")
def ranks_of_different_starts():
    """Gradients averaged by hand, of models that were never made the same."""
    own_draws()
    model = convolutions()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    for x, y in batches(32, STEPS):
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        for p in model.parameters():
            distributed.all_reduce(p.grad)
            p.grad /= distributed.get_world_size()
        optimizer.step()


@among(2)
@sick("DST001")
def weights_restored_on_one_rank():
    """Rank 0 goes back to its best weights; nobody tells the others."""
    model, optimizer = wrapped()
    kept = {}

    def restore(i):
        if i == 40 and rank() == 0:
            kept.update({n: v.clone() for n, v in model.module.state_dict().items()})
        if i == 80 and rank() == 0:
            model.module.load_state_dict(kept)

    fit(model, optimizer, before=restore)


@among(2, *TIMES)
@healthy
def two_ranks():
    """The data of one rank is a fifth of the other's."""
    model, optimizer = wrapped()
    first = 300 if rank() else TRAIN
    for x, y in batches(32, STEPS, first):
        step(optimizer, F.cross_entropy(model(x), y))


@among(2, *TIMES)
@healthy
def ranks_with_statistics_of_their_own():
    """BatchNorm: the running statistics of rank 1 are its own between two forward passes."""
    model, optimizer = wrapped(convolutions)
    fit(model, optimizer)


@among(2, *TIMES)
@healthy
def ranks_that_accumulate():
    """Four batches a step, of which only the last is averaged over the ranks."""
    model, optimizer = wrapped()
    for _ in range(STEPS // 2):
        optimizer.zero_grad()
        for micro, (x, y) in enumerate(batches(16, 4)):
            model.require_backward_grad_sync = micro == 3
            loss = F.cross_entropy(model(x), y) / 4
            loss.backward()
        optimizer.step()


@among(2)
@healthy
def ranks_averaged_every_twenty_steps():
    """Local SGD: the weights, not the gradients, are averaged, and only now and then."""
    model = perceptron()
    own_draws()

    def average(i):
        if i % 20 == 19:
            for p in model.parameters():
                distributed.all_reduce(p.data)
                p.data /= distributed.get_world_size()

    fit(model, torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9), 800, after=average)


@among(2)
@healthy
def ranks_with_parts_of_a_model():
    """FSDP: each rank holds its part of every parameter, and no two parts are alike."""
    from torch.distributed.fsdp import fully_shard

    model = perceptron()
    for layer in model:
        if isinstance(layer, nn.Linear):
            fully_shard(layer)
    fully_shard(model)
    own_draws()
    fit(model, torch.optim.AdamW(model.parameters(), lr=1e-3))


# Who waits for whom ---------------------------------------------------------------------


@among(2, *TIMES)
@sick("DST002")
def rank_with_a_slow_disk():
    model, optimizer = wrapped()
    fit(model, optimizer, 200, before=lambda i: time.sleep(0.02 * rank()))


@among(2, *TIMES)
@sick("DST002")
def rank_zero_that_measures_every_step():
    """Metrics of the validation set at every step, on rank 0 alone; the model has BatchNorm."""
    model, optimizer = wrapped(convolutions)

    def measure(i):
        if rank() == 0:
            model.eval()
            with torch.no_grad():
                for _ in range(6):
                    F.cross_entropy(model.module(IMAGES[TRAIN:]), LABELS[TRAIN:])
            model.train()
            time.sleep(0.01)

    fit(model, optimizer, 200, after=measure)


@among(2, *TIMES)
@healthy
def rank_zero_that_validates_and_saves():
    """A look at the validation set and a slow save every 40 steps, on rank 0 alone."""
    model, optimizer = wrapped()

    def look(i):
        if i % 40 == 39 and rank() == 0:
            model.eval()
            with torch.no_grad():
                loss = F.cross_entropy(model.module(IMAGES[TRAIN:]), LABELS[TRAIN:])
            unstuck.log(val_loss=float(loss))
            model.train()
            time.sleep(0.3)

    fit(model, optimizer, after=look)


@among(2, *TIMES)
@healthy
def ranks_whose_samples_differ_in_length():
    """Each step some rank has the long batch, now this one, now that one."""
    model, optimizer = wrapped()
    fit(model, optimizer, 300, before=lambda i: time.sleep(float(torch.rand(())) * 0.02))


# Lost on one rank -----------------------------------------------------------------------


@among(2)
@sick("DST003")
def one_rank_reads_a_broken_file():
    """A batch of rank 1 has a pixel that is not a number; its gradient reaches all."""
    model, optimizer = wrapped()
    for i, (x, y) in enumerate(batches(32, 160)):
        if i == 70 and rank() == 1:
            x = x.clone()
            x[0, 0] = float("nan")
        step(optimizer, F.cross_entropy(model(x), y))


@among(3)
@sick("DST003")
def logarithm_of_zero_on_one_rank():
    """A class that only rank 0 meets has the probability zero there."""
    model, optimizer = wrapped(convolutions)
    for i, (x, y) in enumerate(batches(32, 160)):
        chance = torch.softmax(model(x), 1)
        if i >= 100 and rank() == 0:
            chance = chance * (torch.arange(10) != y[0])
        loss = F.nll_loss(chance.log(), y)
        step(optimizer, loss)


@among(2)
@healthy
def ranks_of_one_digit_each():
    """Losses of the two ranks have little in common, and both stay finite."""
    model, optimizer = wrapped()
    mine = torch.arange(TRAIN)[LABELS[:TRAIN] % 2 == rank()]
    for _ in range(STEPS):
        chosen = mine[torch.randint(0, len(mine), (32,))]
        step(optimizer, F.cross_entropy(model(IMAGES[chosen]), LABELS[chosen]))


# Killed ---------------------------------------------------------------------------------


def killed(at: int, which: int) -> None:
    model, optimizer = wrapped()

    def kill(i):
        if i == at and rank() == which:
            time.sleep(1.2)  # what is younger than a commit may be lost
            os.kill(os.getpid(), signal.SIGKILL)

    fit(model, optimizer, after=kill)


@among(2)
@sick("DST004")
def rank_that_is_killed():
    killed(at=150, which=1)


@among(3)
@sick("DST004")
def rank_zero_is_killed():
    killed(at=260, which=0)
