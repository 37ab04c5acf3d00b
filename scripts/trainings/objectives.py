"""Healthy trainings of losses that look ill: floors, contrasts, densities, teachers, returns."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import unstuck
from trainings import healthy
from trainings.digits import IMAGES, TRAIN, batches, held_out, perceptron, step


@healthy
def smoothed_labels():
    model = perceptron()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for i, (x, y) in enumerate(batches(64, 600)):
        step(optimizer, F.cross_entropy(model(x), y, label_smoothing=0.4))
        if i % 30 == 29:
            held_out(model)


@healthy
def contrast_of_many():
    """InfoNCE over 256 rows levels off far above zero: some digits are alike."""
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 16))
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for x, _ in batches(256, 500):
        one = F.normalize(model(x + 0.3 * torch.randn_like(x)), dim=1)
        two = F.normalize(model(x + 0.3 * torch.randn_like(x)), dim=1)
        step(optimizer, F.cross_entropy(one @ two.T / 0.5, torch.arange(len(x))))


@healthy
def density_of_two_moons():
    """A Gaussian mixture's negative log-likelihood, which falls below zero and goes on."""
    model = nn.Sequential(nn.Linear(1, 64), nn.Tanh(), nn.Linear(64, 24))
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(800):
        x = torch.rand(128, 1) * 6 - 3
        y = torch.sin(x) + 0.02 * torch.randn_like(x)
        weight, mean, spread = model(x).chunk(3, 1)
        parts = torch.distributions.Normal(mean, F.softplus(spread) + 1e-3).log_prob(y)
        step(optimizer, -torch.logsumexp(F.log_softmax(weight, 1) + parts, 1).mean())


@healthy
def likeness_to_be_raised():
    """A loss that begins at zero and falls to minus one: the mean cosine of two views."""
    model = nn.Sequential(nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 64))
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for x, _ in batches(64, 400):
        step(optimizer, -F.cosine_similarity(model(x.flip(1)), x).mean())


@healthy
def taught_by_a_teacher():
    """Distillation at temperature 4: what is left of the loss is the teacher's own entropy."""
    teacher = perceptron(128)
    for x, y in batches(64, 400):  # by hand, so that it is not part of what is watched
        gradients = torch.autograd.grad(F.cross_entropy(teacher(x), y), list(teacher.parameters()))
        with torch.no_grad():
            for weight, gradient in zip(teacher.parameters(), gradients, strict=True):
                weight -= 0.5 * gradient
    model = perceptron(16)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for i, (x, _) in enumerate(batches(64, 500)):
        with torch.no_grad():
            wanted = F.softmax(teacher(x) / 4, 1)
        step(optimizer, F.cross_entropy(model(x) / 4, wanted))
        if i % 25 == 24:
            held_out(model)


# Short, early, late ---------------------------------------------------------------------------


@healthy
def bandit_policy():
    """REINFORCE on a bandit of ten arms with noisy rewards: its loss means nothing by itself."""
    policy = nn.Linear(64, 10)
    optimizer = torch.optim.Adam(policy.parameters(), lr=1e-2)
    average = 0.0
    for i, (x, y) in enumerate(batches(32, 700)):
        choice = torch.distributions.Categorical(logits=policy(x))
        arm = choice.sample()
        reward = (arm == y).float() + 0.5 * torch.randn(len(x))
        policy_loss = -((reward - average) * choice.log_prob(arm)).mean()
        average = 0.95 * average + 0.05 * float(reward.mean())
        step_policy(optimizer, policy_loss)
        if i % 10 == 9:
            unstuck.log(mean_reward=float(reward.mean()))


def step_policy(optimizer: torch.optim.Optimizer, policy_loss: Tensor) -> None:
    optimizer.zero_grad()
    policy_loss.backward()
    optimizer.step()


@healthy
def metrics_that_rise():
    """A denoiser judged by its signal-to-noise ratio and by the share of pixels that are right."""
    model = nn.Sequential(nn.Linear(64, 96), nn.ReLU(), nn.Linear(96, 64))
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for i, (x, _) in enumerate(batches(32, 600)):
        step(optimizer, F.mse_loss(model(x + 0.3 * torch.randn_like(x)), x))
        if i % 30 == 29:
            x = IMAGES[TRAIN:]
            with torch.no_grad():
                error = (model(x + 0.3 * torch.randn_like(x)) - x).abs()
            unstuck.log(
                val_psnr=-10 * math.log10(float(error.square().mean())),
                val_accuracy=float((error < 0.2).float().mean()),
            )
