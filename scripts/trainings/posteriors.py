"""Variational autoencoders of digits: codes that say something, and codes that say nothing."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainings import healthy, sick
from trainings.digits import batches


class Variational(nn.Module):
    """Digits (n, 64) -> their pixels again, with the code's mean and log variance."""

    def __init__(self, code: int = 6) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(64, 64), nn.ReLU())
        self.mu, self.logvar = nn.Linear(64, code), nn.Linear(64, code)
        self.decoder = nn.Sequential(nn.Linear(code, 64), nn.ReLU(), nn.Linear(64, 64))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        hidden = self.encoder(x)
        mu, logvar = self.mu(hidden), self.logvar(hidden)
        z = mu + torch.randn_like(mu) * (logvar / 2).exp()
        return self.decoder(z), mu, logvar


class RowByRow(nn.Module):
    """Each row of a digit from the rows before it, which are given, and from a code of the whole.

    Where the rows before are all there, they say enough.
    """

    def __init__(self, code: int = 6, dropped: float = 0.0) -> None:
        super().__init__()
        self.encoder = nn.Linear(64, 2 * code)
        self.rows = nn.GRU(8 + code, 64, batch_first=True)
        self.head, self.dropped = nn.Linear(64, 8), dropped

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mu, logvar = self.encoder(x).chunk(2, dim=1)
        z = mu + torch.randn_like(mu) * (logvar / 2).exp()
        rows = x.view(-1, 8, 8)
        before = F.pad(rows[:, :-1], (0, 0, 1, 0))
        before = before * (torch.rand(len(x), 8, 1) >= self.dropped)
        told = torch.cat([before, z[:, None].expand(-1, 8, -1)], dim=2)
        return self.head(self.rows(told)[0]).flatten(1), mu, logvar


def divergence(mu: Tensor, logvar: Tensor) -> Tensor:
    """From N(0, I), by sample and dimension (n, code)."""
    return 0.5 * (mu.square() + logvar.exp() - 1 - logvar)


def variational(
    beta: float = 1.0,
    *,
    model: nn.Module | None = None,
    averaged: bool = False,
    warm: int = 1,
    free: float = 0.0,
    steps: int = 500,
    rate: float = 2e-3,
):
    """`averaged`: the reconstruction over pixels, not summed; `free`: nats a dimension."""
    model = model or Variational()
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    for i, (x, _) in enumerate(batches(64, steps)):
        out, mu, logvar = model(x)
        errors = (out - x).square() / (2 * 0.15**2)
        reconstruction = errors.mean() if averaged else errors.sum(1).mean()
        kl = divergence(mu, logvar).mean(0).clamp_min(free).sum()
        loss = reconstruction + beta * min(1.0, (i + 1) / warm) * kl
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@healthy
def variational_digits():
    variational()


@healthy
def variational_digits_warmed_up():
    """The weight of the divergence rises from nothing over half of the run."""
    variational(warm=250)


@healthy
def variational_digits_with_free_bits():
    variational(free=0.5)


@healthy
def variational_digits_with_spare_dimensions():
    """Forty dimensions at four times the weight: most are not needed, some are used."""
    variational(beta=4.0, model=Variational(40))


@healthy
def variational_rows_with_gaps():
    """The decoder cannot see half of the rows before, so the code has to say what they were."""
    variational(model=RowByRow(dropped=0.5), steps=600, rate=4e-3)


@sick("COL007")
def variational_digits_averaged():
    """The reconstruction is a mean over pixels, the divergence a sum: it weighs 64 times more."""
    variational(averaged=True)


@sick("COL007")
def variational_digits_overweighted():
    variational(beta=100.0)


@sick("COL007")
def variational_rows_that_need_no_code():
    variational(model=RowByRow(), beta=20.0, steps=600, rate=4e-3)
