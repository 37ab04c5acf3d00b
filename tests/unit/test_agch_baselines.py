"""Baselines of the agch case: what they must find, what they must not see."""

import numpy as np
import pytest
import torch

from unstuck.cases.agch import baselines
from unstuck.cases.agch.baselines import codes, directions, feature_distances, rotation
from unstuck.cases.agch.dataset import Pairs, Split
from unstuck.cases.agch.djsrh import IMAGES, SCALE, SECOND, joint_similarity
from unstuck.cases.agch.retrieval import hamming, tied_mean_average_precision

GROUPS, WORDS, FEATURES = 6, 40, 30
SIZES = {"query_image": 60, "query_text": 60, "database_image": 240, "database_text": 240}


def made_split(seed=0, database=240, queries=60):
    """Images scatter about their group's place, words are mostly the group's own."""
    rng = np.random.default_rng(seed)
    places = rng.standard_normal((GROUPS, FEATURES))
    often = rng.random((GROUPS, WORDS)) ** 4

    def pairs(count):
        group = rng.integers(0, GROUPS, count)
        images = np.abs(places[group] + 0.7 * rng.standard_normal((count, FEATURES)))
        texts = rng.random((count, WORDS)) < often[group]
        return Pairs(
            torch.from_numpy(images.astype(np.float32)),
            torch.from_numpy(texts.astype(np.float32)),
            torch.from_numpy(np.eye(GROUPS, dtype=bool)[group]),
            tuple(str(i) for i in range(count)),
            torch.arange(count),
        )

    held = pairs(database)
    words, classes = (tuple(str(i) for i in range(n)) for n in (WORDS, GROUPS))
    return Split(held, pairs(queries), held, words, classes)


def figure(split, distance):
    labels = split.query.labels.numpy(), split.database.labels.numpy()
    return tied_mean_average_precision(distance, *labels, None)


def figures(split, found):
    """mAP@all image to text and text to image."""
    ways = ("query_image", "database_text"), ("query_text", "database_image")
    return [figure(split, hamming(found[a], found[b])) for a, b in ways]


@pytest.mark.parametrize("name", sorted(baselines.METHODS))
def test_codes_are_signs_of_every_item_and_follow_from_the_seed(name):
    split = made_split()
    before = torch.random.get_rng_state()
    found, again = codes(name, split, 16, 0), codes(name, split, 16, 0)
    assert torch.equal(before, torch.random.get_rng_state())
    assert {key: len(code) for key, code in found.items()} == SIZES
    for key, code in found.items():
        assert code.dtype == np.int8 and code.shape[1] == 16
        assert (np.abs(code) == 1).all()
        np.testing.assert_array_equal(code, again[key])
    other = codes(name, split, 16, 1)
    assert all(np.array_equal(found[k], other[k]) for k in found) == (name == "constant")


def test_methods_that_learn_find_the_groups_and_those_that_do_not_are_at_chance():
    split = made_split()
    chance = float((split.query.labels.float() @ split.database.labels.float().T).mean())
    found = {name: min(figures(split, codes(name, split, 16, 0))) for name in baselines.METHODS}
    assert found["random"] == pytest.approx(chance, abs=0.05)
    assert found["constant"] == pytest.approx(chance, abs=0.05)
    assert found["lsh"] > chance + 0.1
    assert found["djsrh"] > chance + 0.15
    assert found["cca-itq"] > found["lsh"]


def test_features_are_compared_within_the_query_s_modality():
    split = made_split()
    found = feature_distances(split)
    assert set(found) == {"image to text", "text to image", "both"}
    chance = float((split.query.labels.float() @ split.database.labels.float().T).mean())
    each = {way: figure(split, distance) for way, distance in found.items()}
    assert min(each.values()) > chance + 0.1
    assert each["both"] > max(each["image to text"], each["text to image"])
    itself = feature_distances(Split(split.train, split.train, split.train, (), ()))
    for way in ("image to text", "text to image"):
        np.testing.assert_allclose(np.diag(itself[way]), -1, atol=1e-5)
    mean = split.train.images.mean(0)
    wanted = torch.cosine_similarity(split.query.images[:1] - mean, split.database.images - mean)
    np.testing.assert_allclose(found["image to text"][0], -wanted, atol=1e-5)


@pytest.mark.parametrize("name", ["lsh", "cca-itq", "djsrh"])
def test_nothing_is_fitted_on_queries_or_on_the_rest_of_the_database(name):
    split, other = made_split(), made_split(seed=5)
    alone = codes(name, split, 12, 0)
    mixed = codes(name, Split(split.train, other.query, split.database, (), ()), 12, 0)
    wider = codes(name, Split(split.train, split.query, other.database, (), ()), 12, 0)
    for kind in ("image", "text"):
        np.testing.assert_array_equal(alone[f"database_{kind}"], mixed[f"database_{kind}"])
        np.testing.assert_array_equal(alone[f"query_{kind}"], wider[f"query_{kind}"])


def test_directions_are_the_canonical_ones(monkeypatch):
    """Against another way to them: correlations are the cosines between two subspaces."""
    monkeypatch.setattr(baselines, "REGULARISATION", 1e-9)
    rng = np.random.default_rng(0)
    shared = rng.standard_normal((500, 3))
    a, b = (
        (shared @ rng.standard_normal((3, n)) + rng.standard_normal((500, n))).astype(np.float32)
        for n in (8, 6)
    )
    left, right = (f(x) for f, x in zip(directions(a, b), (a, b), strict=True))
    frames = [np.linalg.qr(x - x.mean(0))[0] for x in (a.astype(float), b.astype(float))]
    cosines = np.linalg.svd(frames[0].T @ frames[1])[1]
    found = [np.corrcoef(left[:, i], right[:, i])[0, 1] for i in range(6)]
    np.testing.assert_allclose(found, cosines, atol=1e-4)
    np.testing.assert_allclose(left.std(0), cosines, atol=1e-4)  # as long as the correlation
    np.testing.assert_allclose(right.std(0), cosines, atol=1e-4)


def test_rotation_is_one_and_brings_points_nearer_to_the_corners():
    rng = np.random.default_rng(1)
    points = rng.standard_normal((300, 8)) * np.linspace(2, 0.2, 8)
    turned = rotation(points, 8, 0)
    np.testing.assert_allclose(turned @ turned.T, np.eye(8), atol=1e-10)
    start = np.linalg.qr(np.random.default_rng(0).standard_normal((8, 8)))[0]
    gap = [np.square(np.sign(points @ r) - points @ r).mean() for r in (start, turned)]
    assert gap[1] < 0.95 * gap[0]


def test_more_bits_than_directions_are_possible():
    split = made_split()
    for name in ("lsh", "cca-itq"):
        found = codes(name, split, 64, 0)
        assert all(code.shape[1] == 64 for code in found.values())
        assert min(figures(split, found)) > 0.3
    turned = rotation(np.random.default_rng(0).standard_normal((50, 5)), 9, 0)
    np.testing.assert_allclose(turned @ turned.T, np.eye(5), atol=1e-10)


def test_joint_similarity_is_the_published_one():
    rng = np.random.default_rng(2)
    images, texts = rng.random((5, 4)), (rng.random((5, 7)) < 0.5).astype(float)
    texts[:, 0] = 1
    wanted = np.zeros((5, 5))
    mixed = np.zeros((5, 5))
    for i in range(5):
        for j in range(5):
            parts = [x[i] @ x[j] / np.sqrt(x[i] @ x[i] * (x[j] @ x[j])) for x in (images, texts)]
            mixed[i, j] = IMAGES * (2 * parts[0] - 1) + (1 - IMAGES) * (2 * parts[1] - 1)
    for i in range(5):
        for j in range(5):
            second = sum(mixed[i, k] * mixed[j, k] for k in range(5)) / 5
            wanted[i, j] = SCALE * ((1 - SECOND) * mixed[i, j] + SECOND * second)
    found = joint_similarity(torch.from_numpy(images), torch.from_numpy(texts))
    np.testing.assert_allclose(found, wanted, atol=1e-12)


def test_bad_input_is_told_in_one_line():
    split = made_split(database=20, queries=2)
    with pytest.raises(ValueError, match="no baseline 'magic'; there are: random, constant, lsh"):
        codes("magic", split, 16, 0)
    with pytest.raises(ValueError, match="at least one bit, got 0"):
        codes("lsh", split, 0, 0)


def test_items_without_any_word_have_codes_too():
    split = made_split()
    split.query.texts[0] = 0
    for name in baselines.METHODS:
        assert codes(name, split, 8, 0)["query_text"].shape == (60, 8)
    assert np.isfinite(feature_distances(split)["text to image"]).all()
