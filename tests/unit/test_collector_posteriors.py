"""Means of posteriors are found however a script writes its encoder, and nowhere else."""

import pytest
import torch
from loops import state
from torch import nn

import unstuck


class Heads(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.mu, self.logvar = nn.Linear(6, 8), nn.Linear(8, 3), nn.Linear(8, 3)

    def forward(self, x):
        h = self.body(x).relu()
        return self.mu(h), self.logvar(h)


class Pair(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = Heads()

    def forward(self, x):
        return self.encoder(x)


class Cut(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Linear(6, 6)

    def forward(self, x):
        return self.encoder(x).chunk(2, dim=1)


def vae(kind, divergence=False, keep=None, steps=20):
    torch.manual_seed(0)
    model, decoder = kind(), nn.Linear(3, 6)
    optimizer = torch.optim.Adam([*model.parameters(), *decoder.parameters()], lr=1e-2)
    for _ in range(steps):
        x = torch.randn(16, 6)
        mean, log_variance = model(x)
        spread = (log_variance / 2).exp()
        z = mean + spread * torch.randn_like(mean)
        if divergence:
            q, p = torch.distributions.Normal(mean, spread), torch.distributions.Normal(0.0, 1.0)
            kl = torch.distributions.kl_divergence(q, p).sum(1).mean()
        else:
            kl = (mean**2 + log_variance.exp() - 1 - log_variance).sum(1).mean() / 2
        loss = (decoder(z) - x).square().mean() + 0.01 * kl
        if keep is not None:
            keep.append(mean.detach())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return state([model, decoder], [optimizer])


@pytest.mark.parametrize(
    ("kind", "where", "divergence"),
    [
        (Heads, "model.mu", False),
        (Pair, "model.encoder", False),
        (Cut, "model.encoder", False),
        (Cut, "divergence", True),
    ],
)
def test_the_spread_of_the_means(tmp_path, kind, where, divergence):
    means = []
    with unstuck.watch(out=tmp_path / "run", budget=None) as run:
        vae(kind, divergence, means)
    series = unstuck.load(run.path).series
    spread, active = (series[f"posterior/{where}/{key}"] for key in ("spread", "active"))
    assert len(spread) == 6
    for step, value, share in zip(spread.step, spread.value, active.value, strict=True):
        variance = means[step].double().numpy().var(axis=0)
        assert value == pytest.approx(variance.max(), rel=1e-4)
        assert share == pytest.approx((variance > 0.01).mean())


@pytest.mark.parametrize("kind", [Heads, Cut])
def test_watching_changes_no_bit(tmp_path, kind):
    alone = vae(kind)
    with unstuck.watch(out=tmp_path / "run", budget=None):
        watched = vae(kind)
    assert all(torch.equal(a, b) for a, b in zip(alone, watched, strict=True))


def test_a_mean_beside_no_variance_is_no_posterior(tmp_path):
    torch.manual_seed(0)
    model = nn.ModuleDict({"mean": nn.Linear(4, 4), "head": nn.Linear(4, 1)})
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with unstuck.watch(out=tmp_path / "run", budget=None) as run:
        for _ in range(3):
            model["head"](model["mean"](torch.randn(8, 4))).square().mean().backward()
            optimizer.step()
    assert not unstuck.load(run.path).matching("posterior/*")
