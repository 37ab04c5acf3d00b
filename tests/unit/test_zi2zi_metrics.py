"""Measures of drawn characters against slow references and closed forms."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy import linalg
from skimage.metrics import structural_similarity

from unstuck.cases.zi2zi import metrics, perception
from unstuck.data import mobilenet
from unstuck.data.package import cache

cached = (cache() / f"{mobilenet.PACKAGE.name}-{mobilenet.PACKAGE.version}").is_dir()
needs_weights = pytest.mark.skipif(not cached, reason="the weights of MobileNetV2 are not cached")


def strokes(n, size=64, seed=0):
    """Pictures (n, 1, size, size) of a few bars each, ink -1 on paper 1."""
    rng = np.random.default_rng(seed)
    pictures = np.ones((n, 1, size, size), np.float32)
    for picture in pictures[:, 0]:
        for at in rng.integers(4, size - 12, 4):
            if rng.random() < 0.5:
                picture[at : at + 4, 6:-6] = -1
            else:
                picture[6:-6, at : at + 4] = -1
    return torch.from_numpy(pictures)


def test_l1_is_the_share_of_ink_that_differs():
    a = torch.ones(2, 1, 16, 16)
    b = a.clone()
    b[1, :, :4] = -1
    assert metrics.l1(a, b).tolist() == [0, 0.25]


@pytest.mark.parametrize("size", (11, 64))
def test_ssim_is_that_of_scikit_image(size):
    a = strokes(4, 64)[..., :size, :size]
    noise = torch.randn(a.shape, generator=torch.Generator().manual_seed(1))
    b = (a + 0.4 * noise).clamp(-1, 1)
    expected = [
        structural_similarity(
            *((p[0].numpy().astype(float) + 1) / 2 for p in pair),
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            data_range=1.0,
        )
        for pair in zip(a, b, strict=True)
    ]
    assert metrics.ssim(a, b).tolist() == pytest.approx(expected, abs=1e-4)
    assert metrics.ssim(a, a).tolist() == pytest.approx([1] * 4)


@pytest.mark.parametrize("measure", (metrics.l1, metrics.ssim))
def test_pictures_of_two_sizes_are_refused(measure):
    with pytest.raises(ValueError, match=r"\(2, 1, 64, 64\) and \(2, 1, 32, 32\)"):
        measure(strokes(2), strokes(2, 32))


def test_a_picture_smaller_than_the_window_is_refused():
    with pytest.raises(ValueError, match="at least 11 px"):
        metrics.ssim(strokes(1)[..., :8, :8], strokes(1)[..., :8, :8])


def test_gaussian_distance_is_the_closed_form():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(300, 5)) @ rng.normal(size=(5, 5)), rng.normal(1, 2, (250, 5))
    cx, cy = np.cov(x.T), np.cov(y.T)
    expected = ((x.mean(0) - y.mean(0)) ** 2).sum()
    expected += np.trace(cx + cy - 2 * linalg.sqrtm(cx @ cy).real)
    found = perception.gaussian_distance(torch.from_numpy(x), torch.from_numpy(y))
    assert found == pytest.approx(expected, rel=1e-6)


def test_gaussian_distance_of_known_gaussians():
    x = torch.randn(20_000, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    moved = perception.gaussian_distance(x, x + torch.tensor([2.0, 0, 0]))
    assert moved == pytest.approx(4, abs=1e-6)
    widened = perception.gaussian_distance(x, 3 * x - 2 * x.mean(0))
    assert widened == pytest.approx(3 * (3 - 1) ** 2, rel=0.05)  # sum of (deviation - deviation)^2
    assert perception.gaussian_distance(x, x) == pytest.approx(0, abs=1e-6)


def test_kernel_distance_is_the_mean_over_pairs():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(6, 4)), rng.normal(0.5, 1, (5, 4))

    def k(a, b):
        return (a @ b / 4 + 1) ** 3

    expected = np.mean([k(a, b) for i, a in enumerate(x) for j, b in enumerate(x) if i != j])
    expected += np.mean([k(a, b) for i, a in enumerate(y) for j, b in enumerate(y) if i != j])
    expected -= 2 * np.mean([k(a, b) for a in x for b in y])
    found = perception.kernel_distance(torch.from_numpy(x), torch.from_numpy(y))
    assert found == pytest.approx(expected)


@pytest.mark.parametrize("measure", (perception.gaussian_distance, perception.kernel_distance))
def test_one_picture_has_no_spread(measure):
    with pytest.raises(ValueError, match="two pictures"):
        measure(torch.zeros(1, 4), torch.zeros(3, 4))


@needs_weights
@pytest.mark.parametrize("maps", (perception.low, perception.deep))
def test_maps_teach_the_picture_and_leave_the_network(maps):
    x, target = strokes(2).requires_grad_(), strokes(2, seed=1)
    pairs = zip(maps(x), maps(target), strict=True)
    sum((a - b).abs().mean() for a, b in pairs).backward()
    assert x.grad.abs().sum() > 0
    network = perception.network("cpu")
    assert not network.training
    assert all(p.grad is None and not p.requires_grad for p in network.parameters())


@needs_weights
def test_the_network_is_the_one_of_the_weights():
    x = strokes(2)
    rgb = ((x + 1) / 2).expand(-1, 3, -1, -1)
    mean, std = (torch.tensor(v)[:, None, None] for v in (mobilenet.MEAN, mobilenet.STD))
    layers = mobilenet.load().features
    with torch.no_grad():
        for maps, last in ((perception.low(x)[-1], 3), (perception.deep(x)[-1], 17)):
            expected = layers[: last + 1]((rgb - mean) / std)
            assert torch.allclose(maps, expected, atol=1e-4)


@needs_weights
def test_low_maps_keep_places_and_deep_ones_do_not():
    x = strokes(1)
    assert [m.shape[1:] for m in perception.low(x)] == [(16, 32, 32), (24, 16, 16)]
    assert [m.shape[1:] for m in perception.deep(x)] == [(64, 4, 4), (320, 2, 2)]


@needs_weights
def test_worse_pictures_are_further_away():
    real = strokes(12)
    near, far = (F.avg_pool2d(F.pad(real, (w // 2,) * 4, value=1), w, 1) for w in (3, 9))
    assert 0 < perception.distance(near, real).mean() < perception.distance(far, real).mean()
    features = [perception.pooled(x) for x in (real, near, far)]
    for measure in (perception.frechet_distance, perception.kernel_distance):
        same, worse, worst = (measure(x, features[0]) for x in features)
        assert same < worse < worst
    assert perception.frechet(real, real) == pytest.approx(0, abs=1e-6)


@needs_weights
def test_pictures_are_in_any_batch_the_same(monkeypatch):
    x = strokes(7)
    whole = perception.pooled(x)
    monkeypatch.setattr(perception, "BATCH", 3)
    assert torch.allclose(perception.pooled(x), whole, atol=1e-4)
    assert whole.shape == (7, 1280)
