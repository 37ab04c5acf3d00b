"""Steps that a probe looked at before or after the training: accumulation, and sizes of batches."""

import torch
import torch.nn.functional as F
from torch import nn

import unstuck
from trainings import healthy, sick
from trainings.digits import batches, convolutions, perceptron, step
from trainings.noise import blurred, small

EQUALITY, SCALE = "accumulation-equality", "noise-scale"


def whole(parts):
    """Micro-batches as the batch they make up."""
    return tuple(torch.cat(column) for column in zip(*parts, strict=True))


def trained(model, optimizer, one_step, loss=F.cross_entropy, *, size=8, count=8, steps=40):
    """The step of the training is examined, then made again and again."""
    unstuck.probe(
        model, whole(batches(size, count)), loss, optimizer,
        only=[EQUALITY], accumulate=one_step, micro_batches=count,
    )  # fmt: skip
    for _ in range(steps):
        one_step(model, list(batches(size, count)))


def summing(optimizer, divisor, loss=F.cross_entropy):
    """A step from micro-batches, each divided by so much."""

    def one_step(model, micro_batches):
        optimizer.zero_grad()
        for x, y in micro_batches:
            (loss(model(x), y) / divisor).backward()
        optimizer.step()

    return one_step


def ink(prediction, label):
    """Regression: a number that goes with the digit."""
    return F.mse_loss(prediction.squeeze(1), label.float() / 3)


def regressor():
    return nn.Sequential(nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, 1))


@sick("OPT012")
def examined_sum_of_sixteen():
    model = convolutions()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3, momentum=0.9)
    trained(model, optimizer, summing(optimizer, 1), count=16)


@healthy
def examined_mean_of_sixteen():
    model = convolutions()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    trained(model, optimizer, summing(optimizer, 16), count=16)


@sick("OPT012")
def examined_sum_of_a_regression():
    model = regressor()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    trained(model, optimizer, summing(optimizer, 1, ink), ink)


@healthy
def examined_mean_of_a_regression():
    model = regressor()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    trained(model, optimizer, summing(optimizer, 8, ink), ink, steps=150)


@healthy
def examined_sum_for_adam():
    model = perceptron()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    trained(model, optimizer, summing(optimizer, 1), steps=150)


@healthy
def examined_sum_at_a_rate_to_match():
    """An info at most: the steps are eight times as long, and that is the rate that was chosen."""
    model = perceptron()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1 / 8, momentum=0.9)
    trained(model, optimizer, summing(optimizer, 1), steps=150)


@sick("OPT011")
def examined_clearing_in_the_loop():
    model = perceptron()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

    def one_step(model, micro_batches):
        for x, y in micro_batches:
            optimizer.zero_grad()
            (F.cross_entropy(model(x), y) / len(micro_batches)).backward()
        optimizer.step()

    trained(model, optimizer, one_step)


@sick("OPT011")
def examined_clearing_half_way():
    """The loss helper clears at every other call."""
    model = convolutions()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)

    def one_step(model, micro_batches):
        for i, (x, y) in enumerate(micro_batches):
            if i % 2 == 0:
                model.zero_grad()
            (F.cross_entropy(model(x), y) / len(micro_batches)).backward()
        optimizer.step()

    trained(model, optimizer, one_step, count=6)


@healthy
def examined_clearing_after_the_step():
    """With the whole gradient clipped, as is usual."""
    model = perceptron()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

    def one_step(model, micro_batches):
        for x, y in micro_batches:
            (F.cross_entropy(model(x), y) / len(micro_batches)).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()

    trained(model, optimizer, one_step, steps=150)


@healthy
def examined_with_dropout_and_normalisation():
    model = nn.Sequential(
        nn.Linear(64, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Dropout(0.3), nn.Linear(64, 10)
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    trained(model, optimizer, summing(optimizer, 4), size=32, count=4, steps=150)


class Squeezer(nn.Module):
    """An autoencoder whose halves have an optimizer each."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(64, 16), nn.Tanh())
        self.decoder = nn.Linear(16, 64)

    def forward(self, x):
        return self.decoder(self.encoder(x))


def squeezed(mistaken):
    """Examined with the encoder's optimizer; a copied line steps the decoder's twice."""
    model = Squeezer()
    opt_encoder = torch.optim.Adam(model.encoder.parameters(), lr=3e-3)
    opt_decoder = torch.optim.Adam(model.decoder.parameters(), lr=3e-3)

    def loss(model, batch):
        return F.mse_loss(model(batch[0]), batch[0])

    def one_step(model, micro_batches):
        opt_encoder.zero_grad()
        opt_decoder.zero_grad()
        for batch in micro_batches:
            (loss(model, batch) / len(micro_batches)).backward()
        opt_decoder.step()
        (opt_decoder if mistaken else opt_encoder).step()

    trained(model, opt_encoder, one_step, loss, count=4, steps=40 if mistaken else 150)


@sick("OPT015")
def examined_encoder_that_never_steps():
    squeezed(mistaken=True)


@healthy
def examined_encoder_and_decoder():
    squeezed(mistaken=False)


def played(painter_steps):
    """The painter's loss, and a step of the game in micro-batches; its own step is forgotten."""
    painter = nn.Sequential(nn.Linear(16, 64), nn.LeakyReLU(0.2), nn.Linear(64, 64))
    judge = nn.Sequential(nn.Linear(64, 64), nn.LeakyReLU(0.2), nn.Linear(64, 1))
    optimizer_G = torch.optim.Adam(painter.parameters(), lr=1e-3, betas=(0.5, 0.9))
    optimizer_D = torch.optim.Adam(judge.parameters(), lr=5e-4, betas=(0.5, 0.9))

    def fooled(model, batch):
        fake = torch.sigmoid(model(torch.randn(len(batch[0]), 16)))
        return F.softplus(-judge(fake + 0.4 * torch.randn_like(fake))).mean()

    def one_step(model, micro_batches):
        optimizer_D.zero_grad()
        for x, _ in micro_batches:
            fake = torch.sigmoid(model(torch.randn(len(x), 16))).detach()
            real, made = (p + 0.4 * torch.randn_like(p) for p in (x, fake))
            errD = F.softplus(-judge(real)).mean() + F.softplus(judge(made)).mean()
            (errD / len(micro_batches)).backward()
        optimizer_D.step()
        optimizer_G.zero_grad()
        for batch in micro_batches:
            errG = fooled(model, batch)
            (errG / len(micro_batches)).backward()
        if painter_steps:
            optimizer_G.step()

    trained(
        painter, optimizer_G, one_step, fooled, size=16, count=4, steps=300 if painter_steps else 40
    )


@sick("OPT015")
def examined_painter_that_never_steps():
    played(painter_steps=False)


@healthy
def examined_game():
    played(painter_steps=True)


def measured(model, optimizer, data, size, steps, loss=F.cross_entropy, held=16):
    """An ordinary training; then the noise scale of its batches."""
    for x, y in data(size, steps):
        step(optimizer, loss(model(x), y))
    kept = list(data(size, held))
    unstuck.probe(model, kept[0], loss, optimizer, only=[SCALE], batches=kept)


@sick("OPT008")
def measured_single_noisy_labels():
    model = perceptron(activation=nn.Tanh)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.06)
    measured(model, optimizer, blurred, 1, 1600, held=200)


@healthy
def measured_noisy_labels_in_batches():
    model = perceptron(activation=nn.Tanh)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.06)
    measured(model, optimizer, blurred, 64, 700)


def rows_with_noise(size, steps):
    """The amounts of ink in the eight rows, read with noise."""
    for x, _ in batches(size, steps):
        yield x, x.view(size, 8, 8).sum(2) - 2 + torch.randn(size, 8)


@sick("OPT008")
def measured_noisy_readings_one_by_one():
    model = small()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.04, momentum=0.5)
    measured(model, optimizer, rows_with_noise, 1, 1600, F.mse_loss, held=200)


@healthy
def measured_noisy_readings_in_batches():
    model = small()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.04, momentum=0.5)
    measured(model, optimizer, rows_with_noise, 64, 700, F.mse_loss)


@healthy
def measured_oversized_batches():
    """More samples than a step needs at the start."""
    model = perceptron()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    measured(model, optimizer, batches, 1024, 20, held=4)


@healthy
def measured_small_batches():
    """Below the noise scale, as at the end of most trainings, and yet the loss falls: an info."""
    model = perceptron()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 1200)
    for x, y in batches(8, 1200):
        step(optimizer, F.cross_entropy(model(x), y))
        schedule.step()
    kept = list(batches(8, 32))
    unstuck.probe(model, kept[0], F.cross_entropy, optimizer, only=[SCALE], batches=kept)
