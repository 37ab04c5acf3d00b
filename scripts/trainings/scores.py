"""What a loss is handed: scores or probabilities, a column or a row, numbers out of reach."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainings import healthy, sick
from trainings.digits import IMAGES, LABELS, TRAIN, batches, held_out, perceptron, step

ONE_HOT = F.one_hot(LABELS, 10).float()
INK = IMAGES.mean(1)  # what there is to be told of a digit as one number
INK_STANDARD = (INK - INK.mean()) / INK.std()


def adam(model: nn.Module, rate: float = 1e-3) -> torch.optim.Optimizer:
    return torch.optim.Adam(model.parameters(), lr=rate)


def drawn(size: int, steps: int):
    """Indices of random batches."""
    for _ in range(steps):
        yield torch.randint(0, TRAIN, (size,))


# Probabilities where scores belong -----------------------------------------------------------


@sick("DAT007")
def softmax_before_cross_entropy():
    model = nn.Sequential(perceptron(), nn.Softmax(1))
    optimizer, criterion = adam(model), nn.CrossEntropyLoss()
    for i, (x, y) in enumerate(batches(32, 500)):
        step(optimizer, criterion(model(x), y))
        if i % 50 == 49:
            held_out(model)


@sick("DAT007")
def softmax_before_cross_entropy_of_pixels():
    """Every pixel is ink, pale or paper; the network ends in a softmax over the three."""
    model = nn.Sequential(
        nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(),
        nn.Conv2d(16, 3, 1), nn.Softmax(dim=1),
    )  # fmt: skip
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for x, _ in batches(16, 300):
        wanted = ((x > 0.2).long() + (x > 0.7).long()).view(-1, 8, 8)
        noisy = x + 0.1 * torch.randn_like(x)
        step(optimizer, F.cross_entropy(model(noisy), wanted))


@sick("DAT007")
def sigmoid_before_loss_with_logits():
    model = nn.Sequential(perceptron(), nn.Sigmoid())
    optimizer, criterion = adam(model), nn.BCEWithLogitsLoss()
    for chosen in drawn(32, 500):
        step(optimizer, criterion(model(IMAGES[chosen]), ONE_HOT[chosen]))


@sick("DAT007")
def scores_to_nll_loss():
    model = perceptron()
    optimizer = adam(model, 1e-4)
    for x, y in batches(32, 300):
        step(optimizer, F.nll_loss(model(x), y))


@sick("DAT007")
def probabilities_to_nll_loss():
    model = nn.Sequential(perceptron(), nn.Softmax(1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.03)
    for x, y in batches(32, 500):
        step(optimizer, F.nll_loss(model(x), y))


@sick("DAT007")
def probabilities_to_divergence():
    model = nn.Sequential(perceptron(), nn.Softmax(1))
    optimizer = adam(model)
    smooth = 0.9 * ONE_HOT + 0.01
    for chosen in drawn(32, 400):
        loss = F.kl_div(model(IMAGES[chosen]), smooth[chosen], reduction="batchmean")
        step(optimizer, loss)


@healthy
def log_probabilities_to_nll_loss():
    model = nn.Sequential(perceptron(), nn.LogSoftmax(1))
    optimizer = adam(model)
    for x, y in batches(32, 500):
        step(optimizer, F.nll_loss(model(x), y))


@healthy
def log_probabilities_to_cross_entropy():
    """Once more makes no difference: the logarithm of a softmax of log-probabilities is these."""
    model = nn.Sequential(perceptron(), nn.LogSoftmax(1))
    optimizer = adam(model)
    for i, (x, y) in enumerate(batches(32, 500)):
        step(optimizer, F.cross_entropy(model(x), y))
        if i % 50 == 49:
            held_out(model)


@healthy
def log_probabilities_to_divergence():
    model = nn.Sequential(perceptron(), nn.LogSoftmax(1))
    optimizer = adam(model)
    smooth = 0.9 * ONE_HOT + 0.01
    for chosen in drawn(32, 400):
        loss = F.kl_div(model(IMAGES[chosen]), smooth[chosen], reduction="batchmean")
        step(optimizer, loss)


@healthy
def mixed_up_digits():
    """Mixup: targets between two classes, for scores as they should be."""
    model = perceptron()
    optimizer = adam(model)
    for chosen in drawn(64, 500):
        share = torch.distributions.Beta(0.4, 0.4).sample((64, 1))
        other = chosen.flip(0)
        x = share * IMAGES[chosen] + (1 - share) * IMAGES[other]
        step(optimizer, F.cross_entropy(model(x), share * ONE_HOT[chosen] + (1 - share) * ONE_HOT[other]))  # fmt: skip  # noqa: E501


@healthy
def squared_error_of_probabilities():
    """Brier's score is made for probabilities."""
    model = nn.Sequential(perceptron(), nn.Softmax(1))
    optimizer = adam(model, 3e-3)
    for chosen in drawn(32, 500):
        step(optimizer, F.mse_loss(model(IMAGES[chosen]), ONE_HOT[chosen]))


@healthy
def sigmoid_before_binary_cross_entropy():
    model = nn.Sequential(perceptron(), nn.Sigmoid())
    optimizer, criterion = adam(model), nn.BCELoss()
    for chosen in drawn(32, 500):
        step(optimizer, criterion(model(IMAGES[chosen]), ONE_HOT[chosen]))


# A column against a row ----------------------------------------------------------------------


def ink_model() -> nn.Sequential:
    return nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 1))


@sick("DAT008")
def column_against_row():
    model = ink_model()
    optimizer = adam(model, 3e-3)
    for chosen in drawn(32, 300):
        step(optimizer, F.mse_loss(model(IMAGES[chosen]), INK_STANDARD[chosen]))


@sick("DAT008")
def column_against_row_robust():
    model, criterion = ink_model(), nn.SmoothL1Loss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    for chosen in drawn(16, 300):
        step(optimizer, criterion(model(IMAGES[chosen]), INK_STANDARD[chosen]))


@sick("DAT008")
def column_against_row_written_out():
    model = ink_model()
    optimizer = adam(model, 3e-3)
    for chosen in drawn(32, 300):
        error = (model(IMAGES[chosen]) - INK_STANDARD[chosen]) ** 2
        step(optimizer, error.mean())


@healthy
def row_against_row():
    model = ink_model()
    optimizer = adam(model, 3e-3)
    for chosen in drawn(32, 300):
        step(optimizer, F.mse_loss(model(IMAGES[chosen])[:, 0], INK_STANDARD[chosen]))


@healthy
def row_against_row_written_out():
    model = ink_model()
    optimizer = adam(model, 3e-3)
    for chosen in drawn(32, 300):
        error = (model(IMAGES[chosen]).squeeze(1) - INK_STANDARD[chosen]) ** 2
        step(optimizer, error.mean())


@healthy
def every_one_against_every_one():
    """Differences of all pairs on purpose: ranks of digits by their ink."""
    model = ink_model()
    optimizer = adam(model, 3e-3)
    for chosen in drawn(32, 300):
        score, ink = model(IMAGES[chosen])[:, 0], INK_STANDARD[chosen]
        apart = score[:, None] - score[None, :]
        step(optimizer, F.mse_loss(apart, ink[:, None] - ink[None, :]))


@healthy
def every_prediction_against_every_target():
    """A matching: each of sixteen predictions goes with the target it is nearest to."""
    centres = nn.Linear(1, 16, bias=False)
    optimizer = adam(centres, 0.02)
    for chosen in drawn(16, 300):
        found = centres(torch.ones(1, 1))[0]
        distance = (found.unsqueeze(1) - INK_STANDARD[chosen].clamp(-2, 2)) ** 2
        step(optimizer, distance.mean() + 0.1 * distance.amin(0).mean())


@healthy
def one_target_for_all():
    """Targets of ones as a single number: nothing grows."""
    model = ink_model()
    optimizer = adam(model, 1e-3)
    for x, _ in batches(32, 200):
        step(optimizer, F.mse_loss(model(x), torch.ones(1, 1)))


# Targets out of reach ------------------------------------------------------------------------


def regress(last: nn.Module | None, targets: Tensor, rate: float = 3e-3, steps: int = 400) -> None:
    model = ink_model() if last is None else nn.Sequential(*ink_model(), last)
    optimizer = adam(model, rate)
    for chosen in drawn(32, steps):
        step(optimizer, F.mse_loss(model(IMAGES[chosen]).squeeze(1), targets[chosen]))


@sick("ACT003")
def relu_for_standardised_targets():
    regress(nn.ReLU(), INK_STANDARD)


@sick("ACT003")
def sigmoid_for_standardised_targets():
    regress(nn.Sigmoid(), INK_STANDARD)


@sick("ACT003")
def tanh_for_raw_targets():
    regress(nn.Tanh(), 16 * INK)


@sick("ACT003")
def relu_before_loss_with_logits():
    """A score that cannot fall below zero is a probability that cannot fall below one half."""
    model = nn.Sequential(perceptron(), nn.ReLU())
    optimizer, criterion = adam(model), nn.BCEWithLogitsLoss()
    for chosen in drawn(32, 500):
        step(optimizer, criterion(model(IMAGES[chosen]), ONE_HOT[chosen]))


@healthy
def linear_for_standardised_targets():
    regress(None, INK_STANDARD)


@healthy
def linear_for_raw_targets():
    regress(None, 16 * INK)


@healthy
def softplus_for_positive_targets():
    regress(nn.Softplus(), 16 * INK)


@healthy
def relu_for_counts():
    """How many pixels are black: many a zero, and none below."""
    model = nn.Sequential(*ink_model(), nn.ReLU())
    nn.init.constant_(model[2].bias, 3.0)  # about the mean, so that the unit is alive
    optimizer, counts = adam(model), (IMAGES > 0.95).sum(1).float()
    for chosen in drawn(32, 500):
        step(optimizer, F.mse_loss(model(IMAGES[chosen]).squeeze(1), counts[chosen]))


@healthy
def tanh_for_targets_in_its_range():
    regress(nn.Tanh(), torch.tanh(INK_STANDARD))


@healthy
def sigmoid_against_noisy_pixels():
    """Noise puts many a pixel out of reach, and their mean in it: noise against noise."""
    model = nn.Sequential(nn.Linear(64, 96), nn.ReLU(), nn.Linear(96, 64), nn.Sigmoid())
    optimizer = adam(model, 2e-3)
    for x, _ in batches(32, 500):
        step(optimizer, F.mse_loss(model(x + 0.25 * torch.randn_like(x)), x + 0.25 * torch.randn_like(x)))  # fmt: skip  # noqa: E501
