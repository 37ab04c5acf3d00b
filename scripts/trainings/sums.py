"""Losses of several terms: balanced, regularised, one that drowns another, one that is inert."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainings import healthy, sick
from trainings.digits import batches, perceptron


class TwoHeads(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(64, 32), nn.ReLU())
        self.label, self.ink = nn.Linear(32, 10), nn.Linear(32, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = self.trunk(x)
        return self.label(h), self.ink(h).squeeze(1)


def two_tasks(unit, rate, turns=False, noise=0.0):
    model = TwoHeads()
    optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9)
    for i, (x, y) in enumerate(batches(32, 500)):
        label_out, ink_out = model(x)
        amount = unit * (x.sum(1) / 20 + noise * torch.randn(len(x)))
        label = F.cross_entropy(label_out, y)
        ink = F.mse_loss(ink_out, amount)
        loss = label + ink
        if turns:
            loss = label if i % 2 else ink
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@healthy
def two_tasks_balanced():
    two_tasks(unit=1.0, rate=0.03)


@healthy
def two_tasks_in_turns():
    two_tasks(unit=1.0, rate=0.03, turns=True)


@sick("LOS001")
def task_in_large_units():
    two_tasks(unit=500.0, rate=1e-7, noise=0.5)


@healthy
def regularised():
    model = perceptron()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for x, y in batches(32, 400):
        fit = F.cross_entropy(model(x), y)
        decay = sum(p.square().sum() for p in model.parameters())
        loss = fit + 1e-4 * decay
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@healthy
def hinge():
    model = nn.Linear(64, 10)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for x, y in batches(32, 500):
        loss = F.multi_margin_loss(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@healthy
def hinge_satisfied():
    model = perceptron()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for x, y in batches(16, 800, first=200):
        loss = F.multi_margin_loss(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@sick("LOS002")
def saturated_term():
    model = TwoHeads()
    with torch.no_grad():
        model.ink.bias.fill_(-40.0)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    for x, y in batches(32, 400):
        label_out, ink_out = model(x)
        label = F.cross_entropy(label_out, y)
        ink = F.mse_loss(torch.sigmoid(ink_out), x.mean(1))
        loss = label + ink
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@healthy
def regression_with_noise():
    model = nn.Sequential(nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for x, _ in batches(32, 600):
        target = x.sum(1) / 10 - 2 + 0.5 * torch.randn(len(x))
        loss = F.mse_loss(model(x).squeeze(1), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@healthy
def hard_labels():
    model = perceptron()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for x, y in batches(64, 500):
        wrong = torch.rand(len(y)) < 0.5
        y = torch.where(wrong, torch.randint(0, 10, y.shape), y)
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
