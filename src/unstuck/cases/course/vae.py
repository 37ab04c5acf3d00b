"""A variational autoencoder: codes that follow a known distribution, so that random ones decode.

    log p(x) >= ELBO = E_q(z|x)[ log p(x|z) ] - KL( q(z|x) || p(z) ),    the gap is KL(q || p(z|x))

p(z) = N(0, I); q(z|x) = N(mu, diag(sigma^2)) comes from the encoder; p(x|z) = N(decoder(z), s^2 I),
so log p(x|z) is a squared error over 2 s^2 and a constant. z = mu + sigma * eps lets the gradient
pass. Kingma, Welling, "Auto-Encoding Variational Bayes" (2014).

Covers: 13.04 13.10 13.16 13.17 13.18 13.19 13.20 13.21 13.22 13.23 13.24 I05 I06 I07
Run: unstuck case run course/vae
Expected: negative_elbo -202.66 +- 0.38 nats a picture over 5 seeds (trivial answer 111) in 5 s on
    one core each: python -m unstuck.cases.course vae --seeds 5
"""

import math
from collections.abc import Mapping
from pathlib import Path

import torch
from pydantic import Field
from torch import Tensor, nn

from unstuck.cases.course import item, loop, pictures
from unstuck.cases.course.data import fashion
from unstuck.cases.course.item import Fault

METRIC, HIGHER_IS_BETTER, UNIT = "negative_elbo", False, "nats a picture"
MARGIN = 250.0  # over a Gaussian with every pixel independent
TINY = {"steps": 3, "train": 128, "hidden": 16}


class Recipe(loop.Recipe):
    train: int = Field(8000, ge=1)
    """pictures to learn from"""
    steps: int = Field(800, ge=1)
    """updates"""
    batch: int = Field(128, ge=1)
    """pictures an update"""
    lr: float = Field(1e-3, gt=0)
    """learning rate of Adam"""
    hidden: int = Field(256, ge=1)
    """units of encoder and decoder"""
    code: int = Field(4, ge=2)
    """dimensions of z"""
    spread: float = Field(0.25, gt=0)
    """s, the deviation of a pixel in [0, 1] around the decoder's mean; smaller ones reconstruct
    more sharply but leave holes in N(0, I), where samples are nothing"""
    beta: float = Field(1.0, ge=0)
    """weight of the KL in training; 1 is the bound, 784 what averaging over pixels amounts to"""
    warm_up: float = Field(0.25, ge=0, le=1)
    """share of the steps in which that weight rises from 0"""


class VAE(nn.Module):
    """Encoder to mu and log sigma^2, decoder to the mean of the pixels."""

    def __init__(self, hidden: int, code: int) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(784, hidden), nn.ReLU())
        self.mu = nn.Linear(hidden, code)
        self.log_variance = nn.Linear(hidden, code)
        self.decoder = nn.Sequential(
            nn.Linear(code, hidden), nn.ReLU(), nn.Linear(hidden, 784), nn.Unflatten(1, (1, 28, 28))
        )

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.encoder((x - fashion.MEAN) / fashion.STD)
        return self.mu(hidden), self.log_variance(hidden)

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z) * fashion.STD + fashion.MEAN


def reparameterised(mu: Tensor, log_variance: Tensor) -> Tensor:
    """z = mu + sigma * eps, eps ~ N(0, I)."""
    return mu + (0.5 * log_variance).exp() * torch.randn_like(mu)


def kl_to_standard_normal(mu: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mu, sigma^2) || N(0, I)) by picture and dimension (n, code)."""
    return 0.5 * (mu**2 + log_variance.exp() - 1 - log_variance)


def gaussian_nll(x: Tensor, mean: Tensor, spread: float) -> Tensor:
    """-log p(x|z) = |x - mean|^2 / (2 s^2) + constant, by picture (n,)."""
    error = (x - mean).flatten(1).square().sum(1)
    return error / (2 * spread**2) + x[0].numel() * math.log(spread * math.sqrt(2 * math.pi))


FAULTS = {
    "averaged-pixels": Fault(
        {"beta": 784.0},
        "the reconstruction is averaged over 784 pixels but the KL is summed: the code is forced to"
        " N(0, I) for every picture and carries nothing",
        ("COL007",),
    ),
}


def train(
    recipe: Recipe | Mapping[str, item.Scalar], seed: int, out: Path | None = None
) -> dict[str, float]:
    r = item.made(Recipe, recipe)
    data = fashion.load(r.train, sample=r.sample)
    train_x, test_x = data.train_x, data.test_x
    torch.manual_seed(seed)
    model = VAE(r.hidden, r.code)
    done = 0

    def loss(x: Tensor) -> dict[str, Tensor]:
        """Both terms in nats a pixel, which leaves a loss of about one."""
        weight = r.beta * min(1.0, (done + 1) / max(1.0, r.warm_up * r.steps))
        mu, log_variance = model.encode(x)
        reconstruction = gaussian_nll(x, model.decode(reparameterised(mu, log_variance)), r.spread)
        kl = kl_to_standard_normal(mu, log_variance).sum(1)
        return {"reconstruction": reconstruction.mean() / 784, "kl": weight * kl.mean() / 784}

    def count(step: int) -> None:
        nonlocal done
        done = step

    def evaluate() -> dict[str, float]:
        mu, log_variance = model.encode(test_x)
        state = torch.get_rng_state()  # looking must not change what training draws
        torch.manual_seed(0)
        nll = gaussian_nll(test_x, model.decode(reparameterised(mu, log_variance)), r.spread).mean()
        torch.set_rng_state(state)
        kl = kl_to_standard_normal(mu, log_variance).sum(1).mean()
        bound = float(nll + kl)
        return {"val_loss": bound / 784, "negative_elbo": bound, "kl_nats": float(kl)}

    batches = loop.minibatches((train_x,), r.batch, seed)
    metrics = loop.fit(r, model, batches, loss, evaluate, after_step=count)
    if out is not None:
        _draw(out, model.eval(), test_x, r.code)
    return metrics | {"baseline": independent_pixels(train_x, test_x, r.spread)}


def independent_pixels(train_x: Tensor, test_x: Tensor, floor: float) -> float:
    """-log p of a Gaussian with each pixel's own mean and deviation, never below the VAE's s."""
    mean, deviation = train_x.mean(0), train_x.std(0).clamp(min=floor)
    return float(
        -torch.distributions.Normal(mean, deviation).log_prob(test_x).flatten(1).sum(1).mean()
    )


@torch.no_grad()
def _draw(out: Path, model: VAE, x: Tensor, code: int) -> None:
    """Reconstructions, samples, and a walk along the two dimensions that say most."""
    mu, log_variance = model.encode(x)
    first, second = kl_to_standard_normal(mu, log_variance).mean(0).argsort(descending=True)[:2]
    source = torch.Generator().manual_seed(0)
    z = torch.zeros(4, 8, code)
    z[:, :, first] = torch.linspace(-2.5, 2.5, 8)[None]
    z[:, :, second] = torch.linspace(-2.5, 2.5, 4)[:, None]
    walk = [model.decode(row)[:, 0] for row in z]
    samples = model.decode(torch.randn(8, code, generator=source))
    rows = [x[:8, 0], model.decode(mu[:8])[:, 0], samples[:, 0], *walk]
    pictures.grid(out / "picture.png", rows, row_titles=["picture", "decoded", "samples", "walk"])
