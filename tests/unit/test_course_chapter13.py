"""Likelihoods, autoencoders, autoregression: the mechanisms and exact entries of chapter 13."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch.distributions import Categorical, MultivariateNormal, Normal, kl_divergence
from torch.nn import functional as F

from unstuck.cases.course import autoencoder, pixelcnn, vae


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


@pytest.mark.entry("13.08")
def test_generative_parts_make_a_classifier() -> None:
    """Two Gaussian classes of one covariance: Bayes' rule gives a logistic regression."""
    means, prior = torch.tensor([[0.0, 1.0], [2.0, -1.0]]), torch.tensor([0.3, 0.7])
    covariance = torch.tensor([[1.0, 0.3], [0.3, 0.5]])
    x = torch.randn(20, 2)
    log_joint = torch.stack([MultivariateNormal(m, covariance).log_prob(x) for m in means], 1)
    log_joint = log_joint + prior.log()
    posterior = (log_joint - log_joint.logsumexp(1, keepdim=True)).exp()
    torch.testing.assert_close(posterior.sum(1), torch.ones(20))

    precision = covariance.inverse()
    weight = precision @ (means[1] - means[0])
    bias = -0.5 * (means[1] @ precision @ means[1] - means[0] @ precision @ means[0])
    bias = bias + (prior[1] / prior[0]).log()
    torch.testing.assert_close(posterior[:, 1], torch.sigmoid(x @ weight + bias))


@pytest.mark.entry("13.11")
def test_a_product_of_likelihoods_vanishes_where_the_sum_of_logs_does_not() -> None:
    likelihoods = torch.full((1000,), 0.5)
    assert likelihoods.prod() == 0
    torch.testing.assert_close(likelihoods.log().sum(), torch.tensor(-1000 * math.log(2)))


def total_probability(model: pixelcnn.PixelCNN, levels: int) -> float:
    every = torch.tensor(list(itertools.product(range(levels), repeat=4))).view(-1, 2, 2)
    with torch.no_grad():
        log_p = F.log_softmax(model(every), dim=1).gather(1, every[:, None])
    return float(log_p.flatten(1).sum(1).exp().sum())


@pytest.mark.entry("13.12")
def test_the_pixel_by_pixel_model_sums_to_one_over_all_pictures() -> None:
    honest = pixelcnn.PixelCNN(8, levels=3)
    assert total_probability(honest, 3) == pytest.approx(1, abs=1e-5)
    assert abs(total_probability(pixelcnn.PixelCNN(8, 3, "B"), 3) - 1) > 1e-3


@pytest.mark.parametrize(("kind", "itself"), [("A", False), ("B", True)])
def test_a_masked_convolution_sees_what_comes_earlier_alone(kind: str, itself: bool) -> None:
    conv = pixelcnn.MaskedConv2d(kind, 1, 1, 5)
    x = torch.randn(1, 1, 5, 5, requires_grad=True)
    (gradient,) = torch.autograd.grad(conv(x)[0, 0, 2, 2], x)
    seen = (gradient[0, 0] != 0).flatten().tolist()
    assert seen == [True] * 12 + [itself] + [False] * 12


@torch.no_grad()
def test_bits_told_pixel_by_pixel_are_those_of_the_ordinary_evaluation() -> None:
    model = pixelcnn.PixelCNN(8)
    x = torch.randint(4, (3, 5, 6))
    ordinary = float(F.cross_entropy(model(x), x)) / math.log(2)
    assert pixelcnn.true_bits(model, x) == pytest.approx(ordinary, rel=1e-4)
    leaking = pixelcnn.PixelCNN(8, first_mask="B")
    ordinary = float(F.cross_entropy(leaking(x), x)) / math.log(2)
    assert abs(pixelcnn.true_bits(leaking, x) - ordinary) > 1e-3


def test_marginal_bits_are_the_entropy_of_the_levels_at_each_pixel() -> None:
    x = torch.randint(4, (5000, 2, 2))
    counts = F.one_hot(x, 4).sum(0)
    entropy = float(Categorical(counts.float()).entropy().mean()) / math.log(2)
    assert pixelcnn.marginal_bits(x, x) == pytest.approx(entropy, rel=1e-3)


@pytest.mark.entry("13.17")
def test_a_gaussian_decoder_is_a_squared_error_and_a_constant() -> None:
    x, other, mean = torch.rand(3, 4, 2, 2)
    spread = 0.3
    nll = vae.gaussian_nll(x, mean, spread)
    torch.testing.assert_close(nll, -Normal(mean, spread).log_prob(x).flatten(1).sum(1))
    difference = nll - vae.gaussian_nll(other, mean, spread)
    squared = [(v - mean).square().flatten(1).sum(1) for v in (x, other)]
    torch.testing.assert_close(difference, (squared[0] - squared[1]) / (2 * spread**2))


@pytest.mark.entry("13.19")
def test_the_closed_form_of_the_kl() -> None:
    mu = torch.randn(5, 3, requires_grad=True)
    log_variance = torch.randn(5, 3, requires_grad=True)
    ours = vae.kl_to_standard_normal(mu, log_variance)
    theirs = kl_divergence(Normal(mu, (0.5 * log_variance).exp()), Normal(0.0, 1.0))
    torch.testing.assert_close(ours, theirs)
    for one in (mu, log_variance):
        gradients = [
            torch.autograd.grad(k.sum(), one, retain_graph=True)[0] for k in (ours, theirs)
        ]
        torch.testing.assert_close(*gradients)
    assert vae.kl_to_standard_normal(torch.zeros(1), torch.zeros(1)) == 0


@pytest.mark.entry("13.20")
def test_the_gradient_passes_the_sampling() -> None:
    mu = torch.zeros(20000, requires_grad=True)
    log_variance = torch.full((20000,), math.log(4.0), requires_grad=True)
    z = vae.reparameterised(mu, log_variance)
    assert float(z.detach().mean()) == pytest.approx(0, abs=0.06)
    assert float(z.detach().std()) == pytest.approx(2, abs=0.06)
    to_mu, to_log_variance = torch.autograd.grad(z.sum(), [mu, log_variance])
    torch.testing.assert_close(to_mu, torch.ones_like(mu))
    torch.testing.assert_close(to_log_variance, (z / 2).detach())  # sigma eps / 2


@pytest.mark.entry("13.18")
def test_the_elbo_is_below_log_p_by_the_kl_to_the_posterior() -> None:
    """x = W z + s eps, where p(x) and the posterior are known."""
    torch.set_default_dtype(torch.float64)
    try:
        W, s, x = torch.randn(5, 2), 0.7, torch.randn(5)
        log_p = MultivariateNormal(torch.zeros(5), W @ W.T + s**2 * torch.eye(5)).log_prob(x)
        covariance = (torch.eye(2) + W.T @ W / s**2).inverse()
        posterior = MultivariateNormal(covariance @ W.T @ x / s**2, covariance)
        for _ in range(5):
            mu, log_variance = torch.randn(2), torch.randn(2)
            q = MultivariateNormal(mu, log_variance.exp().diag())
            nll = vae.gaussian_nll(x[None], (W @ mu)[None], s)[0]
            nll = nll + torch.trace(W @ log_variance.exp().diag() @ W.T) / (2 * s**2)  # E over q
            elbo = -nll - vae.kl_to_standard_normal(mu, log_variance).sum()
            assert elbo < log_p
            torch.testing.assert_close(log_p - elbo, kl_divergence(q, posterior))
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.entry("13.22")
def test_reconstruction_and_prior_pull_the_variance_apart() -> None:
    """A decoder that copies z: its error falls with the variance, the KL rises towards zero."""
    mu = torch.ones(4000, 1)
    narrow, wide = torch.full_like(mu, -6.0), torch.zeros_like(mu)
    error = [(vae.reparameterised(mu, v) - mu).square().mean() for v in (narrow, wide)]
    prior = [vae.kl_to_standard_normal(mu, v).mean() for v in (narrow, wide)]
    assert error[0] < error[1]
    assert prior[0] > prior[1]
    assert vae.kl_to_standard_normal(0 * mu, wide).mean() < prior[1]  # and mu to zero


def test_independent_pixels_are_scored_by_the_normal_density() -> None:
    train, test = torch.rand(50, 1, 3, 3), torch.rand(4, 1, 3, 3)
    train[:, :, 0, 0] = 0.5  # never varies: the floor holds
    expected = 0.0
    for row, column in itertools.product(range(3), range(3)):
        values = train[:, 0, row, column]
        deviation = max(float(values.std()), 0.2)
        pixel = test[:, 0, row, column]
        expected -= float(Normal(float(values.mean()), deviation).log_prob(pixel).mean())
    assert vae.independent_pixels(train, test, 0.2) == pytest.approx(expected, rel=1e-4)


@pytest.mark.entry("13.03")
def test_the_components_error_is_what_the_left_out_singular_values_hold() -> None:
    x = torch.randn(40, 1, 2, 3)
    back = autoencoder.components(x, x, 2)
    centred = (x - x.mean(0)).flatten(1).numpy()
    left_out = np.linalg.svd(centred, compute_uv=False)[2:]
    assert float((back - x).square().sum()) == pytest.approx(float((left_out**2).sum()), rel=1e-4)


def test_a_linear_autoencoder_ends_at_the_principal_components() -> None:
    x = torch.randn(60, 6) * torch.tensor([3.0, 2.0, 1.0, 0.5, 0.4, 0.3])
    x = x - x.mean(0)
    encode, decode = torch.nn.Linear(6, 2, bias=False), torch.nn.Linear(2, 6, bias=False)
    optimizer = torch.optim.Adam([*encode.parameters(), *decode.parameters()], 0.02)
    for _ in range(600):
        loss = F.mse_loss(decode(encode(x)), x)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    best = F.mse_loss(autoencoder.components(x[:, None], x[:, None], 2)[:, 0], x)
    assert float(loss.detach()) == pytest.approx(float(best), rel=0.01)
    assert float(loss.detach()) >= float(best) * 0.999
