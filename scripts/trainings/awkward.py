"""Healthy trainings that look ill: games that swing, restarts, curricula, noise, short runs."""

import math

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingWarmRestarts, CyclicLR

import unstuck
from trainings import healthy
from trainings.adversarial import generator, judge
from trainings.digits import (
    IMAGES,
    LABELS,
    TRAIN,
    batches,
    convolutions,
    held_out,
    perceptron,
    step,
)

# Games ----------------------------------------------------------------------------------------


@healthy
def game_that_swings():
    """Large momentum on both sides: the losses circle around their balance."""
    netG, netD = generator(), judge()
    optimizerG = torch.optim.Adam(netG.parameters(), lr=2e-3, betas=(0.9, 0.99))
    optimizerD = torch.optim.Adam(netD.parameters(), lr=1e-3, betas=(0.9, 0.99))
    for x, _ in batches(32, 800):
        hide = 0.4
        fake = netG(torch.randn(len(x), 16))
        real_out = netD(x + hide * torch.randn_like(x))
        fake_out = netD(fake.detach() + hide * torch.randn_like(x))
        errD = F.softplus(-real_out).mean() + F.softplus(fake_out).mean()
        optimizerD.zero_grad()
        errD.backward()
        optimizerD.step()
        errG = F.softplus(-netD(fake + hide * torch.randn_like(x))).mean()
        optimizerG.zero_grad()
        errG.backward()
        optimizerG.step()


@healthy
def game_of_least_squares():
    netG, netD = generator(), judge()
    optimizer_G = torch.optim.Adam(netG.parameters(), lr=1e-3, betas=(0.5, 0.99))
    optimizer_D = torch.optim.Adam(netD.parameters(), lr=4e-4, betas=(0.5, 0.99))
    for x, _ in batches(32, 700):
        fake = netG(torch.randn(len(x), 16))
        hide = 0.3 * torch.randn_like(x)
        loss_D = ((netD(x + hide) - 1).square() + netD(fake.detach() + hide).square()).mean() / 2
        optimizer_D.zero_grad()
        loss_D.backward()
        optimizer_D.step()
        loss_G = (netD(fake + hide) - 1).square().mean()
        optimizer_G.zero_grad()
        loss_G.backward()
        optimizer_G.step()


# Schedules ------------------------------------------------------------------------------------


@healthy
def rate_restarted_every_hundred():
    model = convolutions()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3, momentum=0.9)
    schedule = CosineAnnealingWarmRestarts(optimizer, 100)
    for i, (x, y) in enumerate(batches(32, 600)):
        step(optimizer, F.cross_entropy(model(x), y))
        schedule.step()
        if i % 20 == 19:
            held_out(model)


@healthy
def cyclic_rate():
    model = perceptron()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    schedule = CyclicLR(optimizer, 0.01, 0.12, step_size_up=60, cycle_momentum=False)
    for x, y in batches(32, 600):
        step(optimizer, F.cross_entropy(model(x), y))
        schedule.step()


@healthy
def rate_falls_in_steps():
    model = perceptron()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [200, 300])
    for i, (x, y) in enumerate(batches(32, 400)):
        step(optimizer, F.cross_entropy(model(x), y))
        schedule.step()
        if i % 100 == 99:
            held_out(model)


# Stages ---------------------------------------------------------------------------------------


@healthy
def curriculum():
    """Two digits, then five, then all ten, then all under noise: every stage begins harder."""
    model = perceptron()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for kinds, noise in ((2, 0.0), (5, 0.0), (10, 0.0), (10, 0.4)):
        rows = torch.nonzero(LABELS[:TRAIN] < kinds)[:, 0]
        for _ in range(200):
            chosen = rows[torch.randint(0, len(rows), (32,))]
            x = IMAGES[chosen]
            step(optimizer, F.cross_entropy(model(x + noise * torch.randn_like(x)), LABELS[chosen]))


@healthy
def weight_of_a_term_rises():
    """A penalty is switched on at half-time; the sum jumps by what it costs."""
    model = perceptron()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for i, (x, y) in enumerate(batches(32, 600)):
        out = model(x)
        fit = F.cross_entropy(out, y)
        size = out.square().mean()
        loss = fit + (0.02 if i > 300 else 0.0) * size
        step(optimizer, loss)


@healthy
def warmed_up_kl():
    encoder = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 16))
    decoder = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 64))
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=3e-3)
    for i, (x, _) in enumerate(batches(32, 700)):
        mean, spread = encoder(x).chunk(2, 1)
        z = mean + torch.randn_like(mean) * (spread / 2).exp()
        rebuilt = F.mse_loss(decoder(z), x, reduction="sum") / len(x)
        kl = -0.5 * (1 + spread - mean.square() - spread.exp()).sum() / len(x)
        loss = rebuilt + min(1.0, max(0.0, (i - 150) / 300)) * 0.3 * kl
        step(optimizer, loss)


# Batches and noise ----------------------------------------------------------------------------


@healthy
def one_digit_at_a_time():
    model = perceptron()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for i, (x, y) in enumerate(batches(1, 1500)):
        step(optimizer, F.cross_entropy(model(x), y))
        if i % 150 == 149:
            held_out(model)


@healthy
def sixteen_batches_a_step():
    model = perceptron()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for i, (x, y) in enumerate(batches(4, 4800)):
        (F.cross_entropy(model(x), y) / 16).backward()
        if i % 16 == 15:
            optimizer.step()
            optimizer.zero_grad()


@healthy
def heavy_tailed_targets():
    model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    tails = torch.distributions.StudentT(2.5)
    for i, (x, _) in enumerate(batches(32, 700)):
        target = 8 * x.mean(1, keepdim=True) + 0.3 * tails.sample((len(x), 1))
        step(optimizer, F.mse_loss(model(x), target))
        if i % 25 == 24:
            with torch.no_grad():
                error = model(IMAGES[TRAIN:]) - 8 * IMAGES[TRAIN:].mean(1, keepdim=True)
            unstuck.log(val_mse=float(error.square().mean()))


@healthy
def judged_on_twenty_samples():
    model = perceptron()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for i, (x, y) in enumerate(batches(32, 800)):
        step(optimizer, F.cross_entropy(model(x), y))
        if i % 20 == 19:
            held_out(model, 20)


@healthy
def only_the_loss_of_twenty_samples():
    model = convolutions()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for i, (x, y) in enumerate(batches(32, 800)):
        step(optimizer, F.cross_entropy(model(x), y))
        if i % 20 == 19:
            chosen = torch.randint(TRAIN, len(LABELS), (20,))
            model.eval()
            with torch.no_grad():
                loss = F.cross_entropy(model(IMAGES[chosen]), LABELS[chosen])
            model.train()
            unstuck.log(val_loss=float(loss))


# Floors and signs -----------------------------------------------------------------------------


@healthy
def fifteen_steps():
    model = perceptron()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for i, (x, y) in enumerate(batches(64, 15)):
        step(optimizer, F.cross_entropy(model(x), y))
        if i % 5 == 4:
            held_out(model)


@healthy
def stopped_when_it_turned():
    """Early stopping after three evaluations that were no better."""
    model = perceptron(128)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    best, worse = math.inf, 0
    while worse < 3:
        for x, y in batches(32, 10, first=400):
            step(optimizer, F.cross_entropy(model(x), y))
        with torch.no_grad():
            loss = float(F.cross_entropy(model(IMAGES[TRAIN:]), LABELS[TRAIN:]))
        unstuck.log(val_loss=loss)
        best, worse = (loss, 0) if loss < best else (best, worse + 1)


@healthy
def tuned_again():
    """Fine-tuning of a model that is nearly right already: the loss starts at its floor."""
    model = perceptron(128)
    for x, y in batches(64, 1500):
        gradients = torch.autograd.grad(F.cross_entropy(model(x), y), list(model.parameters()))
        with torch.no_grad():
            for weight, gradient in zip(model.parameters(), gradients, strict=True):
                weight -= 0.3 * gradient
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    for i, (x, y) in enumerate(batches(32, 400)):
        step(optimizer, F.cross_entropy(model(x), y))
        if i % 20 == 19:
            held_out(model)


@healthy
def handicapped_in_training():
    """Dropout, noise and mixed labels: validation is far better than training from the start."""
    model = nn.Sequential(
        nn.Dropout(0.3), nn.Linear(64, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, 10)
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for i, (x, y) in enumerate(batches(32, 800)):
        x = x + 0.2 * torch.randn_like(x)
        order, share = torch.randperm(len(x)), float(torch.rand(()))
        out = model(share * x + (1 - share) * x[order])
        step(
            optimizer,
            share * F.cross_entropy(out, y) + (1 - share) * F.cross_entropy(out, y[order]),
        )
        if i % 40 == 39:
            held_out(model)


# Reinforcement --------------------------------------------------------------------------------
