"""Rates out of the usable range, and rates that only look so, measured before the first step."""

import torch
import torch.nn.functional as F
from torch import nn

import unstuck
from trainings import healthy, sick
from trainings.digits import Rows, batches, convolutions, perceptron, step


def measured(model, optimizer, *, steps=300, at=0, schedule=None, clip=None, size=32):
    """Train; at one step look at the range of rates first."""
    for number, (x, y) in enumerate(batches(size, steps)):
        if number == at:
            more = list(batches(size, 3))
            unstuck.probe(
                model, (x, y), F.cross_entropy, optimizer,
                only=("learning-rate-range",), batches=more,
            )  # fmt: skip
        if clip is None:
            step(optimizer, F.cross_entropy(model(x), y))
        else:
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            nn.utils.clip_grad_norm_(model.parameters(), clip)
            optimizer.step()
        if schedule is not None:
            schedule.step()


def sgd(model, rate):
    return torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9)


def adam(model, rate):
    return torch.optim.Adam(model.parameters(), lr=rate)


@sick("OPT001")
def probed_at_ten_times_the_rate():
    model = convolutions()
    measured(model, sgd(model, 3.0))


@sick("OPT001")
def probed_rate_of_another_optimizer():
    """A rate that suited plain gradient descent, given to Adam."""
    model = perceptron()
    measured(model, adam(model, 0.5))


@sick("OPT001")
def probed_saturating_network_at_two():
    model = perceptron(128, nn.Tanh)
    measured(model, sgd(model, 2.0))


@sick("OPT002")
def probed_rate_of_a_millionth():
    model = perceptron()
    measured(model, adam(model, 3e-6))


@sick("OPT002")
def probed_momentum_at_a_millionth():
    model = convolutions()
    measured(model, sgd(model, 3e-6))


@sick("OPT002")
def probed_transformer_at_a_millionth():
    model = Rows()
    measured(model, adam(model, 2e-6), size=128)


@healthy
def probed_at_a_usual_rate():
    model = perceptron()
    measured(model, adam(model, 1e-3))


@healthy
def probed_at_a_low_rate():
    """As for fine-tuning: slow, but it comes down."""
    model = convolutions()
    measured(model, adam(model, 1e-4), steps=500)


@healthy
def probed_at_a_high_rate():
    model = convolutions()
    measured(model, sgd(model, 0.1))


@healthy
def probed_at_the_start_of_a_warm_up():
    model = Rows()
    optimizer = adam(model, 5e-3)
    rise = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda s: min(1.0, (s + 0.01) / 100))
    measured(model, optimizer, schedule=rise)


@healthy
def probed_in_a_warm_up_by_hand():
    """The loop sets the rate itself: only the recorded rates show that it rises."""
    model = perceptron()
    optimizer = adam(model, 3e-3)
    for number in range(300):
        for group in optimizer.param_groups:
            group["lr"] = 3e-3 * min(1.0, (number + 0.001) / 100)
        measured(model, optimizer, steps=1, at=0 if number == 0 else -1)


@healthy
def probed_at_the_end_of_a_schedule():
    model = convolutions()
    optimizer = sgd(model, 0.05)
    fall = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 400)
    measured(model, optimizer, steps=400, at=398, schedule=fall)


@healthy
def probed_at_a_rate_that_clipping_holds():
    """Too high without the limit on the gradient, which the probe does not see."""
    model = perceptron()
    measured(model, sgd(model, 4.0), clip=0.01, steps=400)
