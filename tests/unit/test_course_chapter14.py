"""Chapter 14, generative models: games, diffusion, flows and guidance."""

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from torch import Tensor, nn
from torch.nn import functional as F

from unstuck.cases.course import dcgan, diffusion, latent_diffusion, rectified_flow, vq_vae
from unstuck.cases.course.data import judge


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.mark.entry("14.02")
def test_the_discriminators_part_of_the_minimax_loss_is_binary_cross_entropy() -> None:
    real, fake = torch.randn(9), torch.randn(9)
    terms = dcgan.discriminator_terms(real, fake)
    ones, zeros = torch.ones(9), torch.zeros(9)
    torch.testing.assert_close(terms[0], F.binary_cross_entropy_with_logits(real, ones))
    torch.testing.assert_close(terms[1], F.binary_cross_entropy_with_logits(fake, zeros))


@pytest.mark.entry("14.01")
def test_where_real_and_made_are_alike_the_best_discriminator_says_one_half() -> None:
    score = torch.tensor(0.7, requires_grad=True)
    optimizer = torch.optim.SGD([score], lr=1.0)
    for _ in range(50):
        loss = sum(dcgan.discriminator_terms(score, score))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert torch.sigmoid(score).item() == pytest.approx(0.5, abs=1e-4)


@pytest.mark.entry("14.03", "I08")
def test_where_the_discriminator_wins_only_the_non_saturating_loss_is_steep() -> None:
    slopes = {}
    for loss in ("minimax", "non-saturating"):
        score = torch.tensor([-8.0], requires_grad=True)
        dcgan.generator_term(score, loss).backward()
        slopes[loss] = float(score.grad)
    d = float(torch.sigmoid(torch.tensor(-8.0)))
    assert slopes["minimax"] == pytest.approx(-d, rel=1e-4)
    assert slopes["non-saturating"] == pytest.approx(-(1 - d), rel=1e-4)


@pytest.mark.entry("14.04")
def test_the_generator_doubles_the_size_and_stays_in_range() -> None:
    made = dcgan.Generator(8, 4)(torch.randn(3, 8))
    assert made.shape == (3, 1, 16, 16)
    assert made.abs().max() <= 1
    assert dcgan.Discriminator(4)(made).shape == (3,)


def test_the_frechet_distance_is_that_of_the_matrix_root() -> None:
    random = np.random.default_rng(0)
    a, b = (
        random.standard_normal((60, 5)),
        random.standard_normal((70, 5)) @ np.diag([1, 2, 3, 1, 1]),
    )
    cov_a, cov_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = sqrtm(cov_a @ cov_b)
    expected = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(cov_a + cov_b - 2 * root.real)
    assert judge.frechet_distance(a, b) == pytest.approx(expected)
    assert judge.frechet_distance(a, a) == pytest.approx(0, abs=1e-9)
    assert judge.frechet_distance(a, a + 2.0) == pytest.approx(4.0 * 5)


@pytest.mark.entry("14.09")
def test_noising_at_once_is_noising_level_by_level() -> None:
    alpha_bar = diffusion.alpha_bars(50, 0.9)
    before = torch.cat([torch.ones(1), alpha_bar[:-1]])
    betas = 1 - alpha_bar / before
    assert ((betas > 0) & (betas < 1)).all()
    signal, variance = 1.0, 0.0
    for beta, total in zip(betas, alpha_bar, strict=True):
        signal, variance = signal * (1 - beta) ** 0.5, (1 - beta) * variance + beta
        assert float(signal) == pytest.approx(float(total) ** 0.5, rel=1e-4)
        assert float(variance) == pytest.approx(1 - float(total), rel=1e-4)
    x, noise = torch.randn(2, 1, 4, 4), torch.randn(2, 1, 4, 4)
    made = diffusion.noised(x, noise, alpha_bar[torch.tensor([3, 40])])
    torch.testing.assert_close(
        made[1], alpha_bar[40] ** 0.5 * x[1] + (1 - alpha_bar[40]) ** 0.5 * noise[1]
    )


@pytest.mark.entry("14.10")
def test_with_the_true_noise_every_number_of_steps_gives_the_picture_back() -> None:
    x, alpha_bar = torch.rand(3, 1, 4, 4) * 2 - 1, diffusion.alpha_bars(100, 0.95)

    class Knows(nn.Module):
        def forward(self, x_t: Tensor, level: Tensor) -> Tensor:
            a = alpha_bar[(level * 100).round().long() - 1][:, None, None, None]
            return (x_t - a.sqrt() * x) / (1 - a).sqrt()

    for steps in (1, 7):
        found = diffusion.sampled(Knows(), torch.randn(x.shape), alpha_bar, steps)
        assert len(found) == steps
        torch.testing.assert_close(found[-1], x, atol=1e-3, rtol=0)


def test_the_whole_schedule_ends_in_noise_and_half_of_it_does_not() -> None:
    assert diffusion.alpha_bars(1000, 1.0)[-1] <= 1e-4
    assert diffusion.alpha_bars(1000, 0.5)[-1] > 0.4


@pytest.mark.entry("14.11")
def test_the_straight_way_begins_at_the_picture_and_ends_at_the_noise() -> None:
    x, z = torch.randn(4, 1, 3, 3), torch.randn(4, 1, 3, 3)
    start, v = rectified_flow.interpolated(x, z, torch.zeros(4))
    end, _ = rectified_flow.interpolated(x, z, torch.ones(4))
    assert torch.equal(start, x)
    assert torch.equal(end, z)
    torch.testing.assert_close(x + v, z)
    t = torch.rand(4, requires_grad=True)
    way, v = rectified_flow.interpolated(x, z, t)
    (slope,) = torch.autograd.grad(way.sum(), t)
    torch.testing.assert_close(slope, v.sum((1, 2, 3)))  # v is d x_t / d t


@pytest.mark.entry("14.12")
def test_euler_steps_along_the_true_velocity_end_at_the_picture() -> None:
    x, z = torch.rand(3, 1, 4, 4), torch.randn(3, 1, 4, 4)

    class Knows(nn.Module):
        def forward(self, x_t: Tensor, t: Tensor, y: Tensor) -> Tensor:
            return z - x

    for steps in (1, 50):
        made = rectified_flow.sampled(Knows(), z, torch.zeros(3, dtype=torch.long), steps, 2.0)
        torch.testing.assert_close(made, x, atol=1e-5, rtol=0)


@pytest.mark.entry("14.15", "V14")
def test_no_guidance_follows_the_class_and_the_other_convention_is_one_more() -> None:
    v_y, v_null = torch.randn(5), torch.randn(5)
    torch.testing.assert_close(rectified_flow.guided(v_y, v_null, 0.0), v_y)
    torch.testing.assert_close(rectified_flow.guided(v_y, v_null, -1.0), v_null)
    s = 7.5  # the scale that programs show
    torch.testing.assert_close(
        rectified_flow.guided(v_y, v_null, s - 1), v_null + s * (v_y - v_null)
    )


@pytest.mark.entry("14.15")
def test_guidance_asks_the_network_twice_a_step() -> None:
    asked: list[int] = []

    class Counts(nn.Module):
        def forward(self, x_t: Tensor, t: Tensor, y: Tensor) -> Tensor:
            asked.extend(y.unique().tolist())
            return torch.zeros_like(x_t)

    rectified_flow.sampled(Counts(), torch.zeros(2, 1, 4, 4), torch.tensor([3, 3]), 6, 1.0)
    assert asked == [3, rectified_flow.NULL] * 6


@pytest.mark.entry("14.22")
def test_one_frame_holds_flow_and_noise_prediction() -> None:
    """x_t = a x + b z with target c x + d z: (a, b, c, d) of both, and back to x from each."""
    x, z, t = torch.randn(6), torch.randn(6), 0.3
    flow_way, v = (
        part[0] for part in rectified_flow.interpolated(x[None], z[None], torch.tensor([t]))
    )
    torch.testing.assert_close(flow_way, (1 - t) * x + t * z)
    torch.testing.assert_close(flow_way - t * v, x)
    a = torch.tensor([0.6])
    x_t = diffusion.noised(x[None], z[None], a)[0]
    torch.testing.assert_close((x_t - (1 - a).sqrt() * z) / a.sqrt(), x, atol=1e-5, rtol=1e-5)


@pytest.mark.entry("14.23")
def test_the_score_of_a_noised_point_is_the_noise_scaled() -> None:
    x, z, a = torch.randn(5), torch.randn(5), torch.tensor(0.7)
    x_t = diffusion.noised(x[None], z[None], a[None])[0].requires_grad_()
    log_density = torch.distributions.Normal(a.sqrt() * x, (1 - a).sqrt()).log_prob(x_t).sum()
    (score,) = torch.autograd.grad(log_density, x_t)
    torch.testing.assert_close(score, -z / (1 - a).sqrt(), atol=1e-4, rtol=1e-4)


@pytest.mark.entry("14.06")
def test_adain_gives_each_channel_the_styles_mean_and_spread() -> None:
    x, w, b = torch.randn(2, 3, 8, 8) * 4 + 1, torch.rand(2, 3) + 0.5, torch.randn(2, 3)
    styled = w[..., None, None] * F.instance_norm(x) + b[..., None, None]
    torch.testing.assert_close(styled.mean((2, 3)), b, atol=1e-5, rtol=0)
    torch.testing.assert_close(styled.std((2, 3), correction=0), w, atol=1e-4, rtol=0)


@pytest.mark.entry("14.19")
def test_adaptive_layer_norm_that_predicts_nothing_is_layer_norm() -> None:
    model = rectified_flow.Velocity(16)
    for modulation in model.modulations:
        nn.init.zeros_(modulation.weight)
        nn.init.zeros_(modulation.bias)
    x, y = torch.randn(2, 1, 16, 16), torch.tensor([1, 2])
    h = model.inside(x.flatten(1))
    for block in model.blocks:
        h = h + block(F.layer_norm(h, (16,)))
    t = torch.tensor([0.2, 0.9])
    condition = F.silu(model.time(rectified_flow.waves(t)) + model.classes(y))
    passed_by = model.gain(condition)[:, :, None, None] * x
    torch.testing.assert_close(model(x, t, y), model.outside(h).reshape(x.shape) + passed_by)


@pytest.mark.entry("14.16")
def test_a_code_of_the_course_has_an_eighth_of_the_picture_a_side() -> None:
    assert 512 // 8 == 64
    coder = latent_diffusion.Autoencoder(16, 8)
    codes = coder.encoder(torch.rand(2, 1, 28, 28))
    assert codes.shape == (2, 16)
    assert coder.decoder(codes).shape == (2, 1, 28, 28)


def test_a_flow_with_constant_velocity_is_undone_exactly() -> None:
    class Constant(nn.Module):
        def forward(self, h: Tensor, t: Tensor) -> Tensor:
            return torch.full_like(h, 2.0)

    z = torch.randn(3, 4)
    torch.testing.assert_close(latent_diffusion.drawn(Constant(), z, 9), z - 2)


@pytest.mark.entry("14.24")
def test_a_code_is_the_nearest_entry_and_its_gradient_goes_straight_through() -> None:
    quantiser = vq_vae.Quantiser(7, 4, 1.0)
    vectors = torch.randn(2, 3, 3, 4, requires_grad=True)
    nearest, chosen = quantiser(vectors)
    apart = ((vectors[..., None, :] - quantiser.entries) ** 2).sum(-1)
    assert torch.equal(chosen, apart.argmin(-1))
    handed = vq_vae.straight_through(vectors, nearest)
    torch.testing.assert_close(handed, quantiser.entries[chosen])
    weight = torch.randn(handed.shape)
    slopes = torch.autograd.grad((handed * weight).sum(), [vectors], retain_graph=True)
    torch.testing.assert_close(slopes[0], weight)
    # the term of the codebook moves the entries that were chosen and no others
    F.mse_loss(nearest, vectors.detach()).backward()
    moved = quantiser.entries.grad.abs().sum(1) > 0
    assert torch.equal(moved, torch.isin(torch.arange(7), chosen))


@pytest.mark.entry("14.25")
def test_a_grid_of_codes_is_this_many_tokens() -> None:
    assert torch.zeros(32, 32).numel() == 1024
