"""The images of the contrast case: physics, pairing, variety, splits."""

import numpy as np
import pytest
import torch

from unstuck.cases.contrast.anatomy import TISSUES, tissue_maps
from unstuck.cases.contrast.data import batches, contrasts, make_pairs, tissue_signals
from unstuck.cases.contrast.evaluate import baselines, magnitude
from unstuck.cases.contrast.recipe import Recipe

SMALL = {"crop_size": 32, "train_subjects": 8, "test_subjects": 4}


@pytest.fixture(scope="module")
def pairs():
    return make_pairs(Recipe(**SMALL), seed=0)


def test_fat_is_bright_in_pd_and_dark_once_suppressed():
    one_each = np.eye(len(TISSUES))[None, :, :, None, None]  # one "slice" per tissue
    signal = tissue_signals(np.random.default_rng(0), 1, spread=0.0)
    full, suppressed = contrasts(one_each, signal, residue=np.full((1, 1, 1), 0.1))
    pd = dict(zip(TISSUES, full.ravel(), strict=True))
    fs = dict(zip(TISSUES, suppressed.ravel(), strict=True))
    assert pd["fat"] == max(pd.values())
    assert fs["fat"] == pytest.approx(0.1 * pd["fat"])
    assert all(fs[t] == pd[t] for t in TISSUES if t != "fat")
    assert pd["bone"] < 0.01 < fs["fat"]
    # spin echo at TR 2800, TE 30: PD (1 - exp(-TR/T1)) exp(-TE/T2)
    assert pd["csf"] == pytest.approx((1 - np.exp(-2800 / 2569)) * np.exp(-30 / 329))


@pytest.mark.parametrize("anatomy", ["varied", "average"])
def test_tissue_maps_are_fractions(anatomy):
    maps = tissue_maps(anatomy, subjects=3, slices=2, size=32, seed=0)
    assert maps.shape == (3, 2, len(TISSUES), 32, 32)
    assert maps.min() >= 0
    assert maps.sum(2).max() < 1.15  # the sample's own maps overlap a little
    assert maps[:, :, TISSUES.index("fat")].max() > 0.3
    assert maps[:, :, TISSUES.index("bone")].max() > 0.3


def test_varied_subjects_differ_and_average_ones_do_not():
    def likeness(anatomy):
        """Mean correlation of different subjects' images."""
        recipe = Recipe(**SMALL, anatomy=anatomy, slices=1)
        images = magnitude(make_pairs(recipe, seed=1)[0].a_clean).flatten(1).numpy()
        correlation = np.corrcoef(images)
        return correlation[np.triu_indices(len(images), 1)].mean()

    assert likeness("average") > 0.7
    assert likeness("varied") < 0.35


def test_pairs_are_aligned_and_acquired_twice(pairs):
    train, _ = pairs
    noise, again = train.a - train.a_clean, train.a_again - train.a_clean
    assert float(noise.std()) == pytest.approx(float(again.std()), rel=0.02)
    assert float(noise.std()) == pytest.approx(0.06 / 2**0.5, rel=0.05)  # per real channel
    correlation = np.corrcoef(noise.flatten(), again.flatten())[0, 1]
    assert abs(correlation) < 0.02
    # where there is no fat, both contrasts show the same tissue at the same place
    a, b = train.a_clean, train.b_clean
    unit = float((a / b)[b.abs() > 0.5].quantile(0.05))
    same = ((a - unit * b).abs() < 0.05 * a.abs().clamp_min(0.5)).float().mean()
    assert same > 0.4


def test_images_have_unit_power_or_receiver_units(pairs):
    train, held_out = pairs
    for images in (train.a, train.b, held_out.a):
        assert float(magnitude(images).square().mean().sqrt()) == pytest.approx(1, abs=0.25)
    raw, _ = make_pairs(Recipe(**SMALL, raw_scale=True), seed=0)
    assert 300 < magnitude(raw.a).square().mean().sqrt() < 3000
    assert torch.allclose(raw.a / raw.a_unit[0], train.a, rtol=1e-4, atol=1e-5)


def test_subjects_are_split_not_slices(pairs):
    train, held_out = pairs
    assert len(train) == 16 and len(held_out) == 8  # two slices each
    assert not set(train.subject.tolist()) & set(held_out.subject.tolist())


def test_the_seed_fixes_everything_and_changes_everything(pairs):
    again = make_pairs(Recipe(**SMALL), seed=0)
    other = make_pairs(Recipe(**SMALL), seed=1)
    for x, y in zip(pairs, again, strict=True):
        assert torch.equal(x.a, y.a) and torch.equal(x.b, y.b)
    assert not torch.allclose(pairs[0].a_clean, other[0].a_clean, atol=0.1)


def test_batches_show_every_image_equally_often(pairs):
    train, _ = pairs
    shown = torch.cat([b.a[:, 0, 16, 16] for b in batches(train, 4, steps=8, seed=0)])
    expected = train.a[:, 0, 16, 16].repeat(2)
    assert torch.equal(shown.sort().values, expected.sort().values)
    first = [next(batches(train, 4, 1, seed)).subject.tolist() for seed in (0, 0, 1)]
    assert first[0] == first[1] != first[2]


def test_baselines_are_poor_and_known(pairs):
    found = baselines(*pairs)
    clean, mean = pairs[1].a_clean, pairs[0].a_again.mean(0)
    error = ((mean - clean) ** 2).sum(1).mean((1, 2)).sqrt()
    expected = (20 * torch.log10(magnitude(clean).amax((1, 2)) / error)).mean()
    assert found["psnr_mean"] == pytest.approx(float(expected), abs=1e-4)
    assert 5 < found["psnr_mean"] < 16
