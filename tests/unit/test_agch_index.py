"""The index of codes against brute force; the health of codes against loops and known patients."""

import sys

import numpy as np
import pytest

from unstuck.cases.agch.health import health
from unstuck.cases.agch.index import HEAD, MAGIC, Index
from unstuck.cases.agch.retrieval import hamming


def test_the_index_finds_what_comparing_every_code_finds(tmp_path):
    pytest.importorskip("faiss")
    rng = np.random.default_rng(5)
    for bits in (1, 7, 8, 13, 64, 100):
        codes = rng.choice([-1, 1], (200, bits)).astype(np.int8)
        queries = rng.choice([-1, 1], (9, bits)).astype(np.int8)
        wanted = hamming(queries, codes)
        index = Index(codes)
        index.save(tmp_path / "codes.index")
        assert [p.name for p in tmp_path.iterdir()] == ["codes.index"]
        for found in (index, Index.load(tmp_path / "codes.index")):
            assert (len(found), found.bits) == (200, bits)
            for k in (1, 30, 500):
                distances, rows = found.search(queries, k)
                assert rows.shape == (9, min(k, 200))
                for q in range(9):
                    assert len(set(rows[q])) == len(rows[q])
                    assert distances[q].tolist() == sorted(wanted[q])[:k]
                    assert distances[q].tolist() == wanted[q][rows[q]].tolist()
                    inside = set(np.flatnonzero(wanted[q] < distances[q, -1]))
                    assert inside <= set(rows[q])  # only the last distance may be cut


def test_lists_find_nearly_all_of_codes_in_clusters_and_never_too_few():
    pytest.importorskip("faiss")
    rng = np.random.default_rng(6)
    centres = rng.choice([-1, 1], (50, 32)).astype(np.int8)

    def near(count):
        flips = np.where(rng.random((count, 32)) < 0.08, -1, 1)
        return (centres[rng.integers(0, 50, count)] * flips).astype(np.int8)

    codes, queries = near(5000), near(40)
    exact, lists = Index(codes), Index(codes, approximate=True)
    wanted, found = (index.search(queries, 20)[0] for index in (exact, lists))
    assert (found <= wanted[:, -1:]).mean() > 0.9
    distances, rows = lists.search(queries, 5000)  # more than the lists that are looked at hold
    np.testing.assert_array_equal(np.sort(rows, 1), np.tile(np.arange(5000), (40, 1)))
    np.testing.assert_array_equal(distances, np.sort(hamming(queries, codes), 1))


def test_a_damaged_index_is_told_in_one_line(tmp_path):
    pytest.importorskip("faiss")
    path = tmp_path / "codes.index"
    Index(np.ones((3, 12), np.int8)).save(path)
    good = path.read_bytes()
    more_bits = bytearray(good)
    more_bits[-1] |= 1
    cases = {
        b"": "no index",
        b"something else entirely, and long": "no index",
        good[:-1]: "not as long as its 3 codes",
        good + b"\0": "not as long",
        HEAD.pack(MAGIC, 2**40, 12, 0) + good[HEAD.size :]: "not as long",
        HEAD.pack(MAGIC, -3, 12, 0) + good[HEAD.size :]: "-3 items of 12 bits",
        HEAD.pack(MAGIC, 3, 2**30, 0) + good[HEAD.size :]: "items of",
        bytes(more_bits): "more than 12 bits",
    }
    for content, words in cases.items():
        path.write_bytes(content)
        with pytest.raises(ValueError, match=words):
            Index.load(path)


def test_what_cannot_be_indexed_or_asked_is_told():
    pytest.importorskip("faiss")
    with pytest.raises(ValueError, match="take signs first"):
        Index(np.zeros((3, 8), np.int8))
    with pytest.raises(ValueError, match="at least one code"):
        Index(np.ones((0, 8), np.int8))
    index = Index(np.ones((3, 8), np.int8))
    with pytest.raises(ValueError, match="8 bits and the query 9"):
        index.search(np.ones((1, 9), np.int8), 1)
    with pytest.raises(ValueError, match="at least 1 item"):
        index.search(np.ones((1, 8), np.int8), 0)


def test_a_missing_faiss_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(ImportError, match="pip install faiss-cpu"):
        Index(np.ones((3, 8), np.int8))


def random_codes(items=400, bits=16):
    rng = np.random.default_rng(7)
    return [rng.choice([-1, 1], (items, bits)).astype(np.int8) for _ in range(2)]


def test_health_equals_what_loops_over_items_and_bits_give():
    image, text = (codes[:30, :6] for codes in random_codes())
    image[:, 2] = 1  # a stuck bit
    image[:5] = image[0]  # codes that are there five times
    real = image * 0.7
    found = health(image, text, real)
    share = [(image[:, b] == 1).mean() for b in range(6)]
    entropy = [-sum(p * np.log2(p) for p in (s, 1 - s) if p) for s in share]
    others = [b for b in range(6) if b != 2]
    pairs = [(a, b) for a in others for b in others if a != b]
    correlations = [abs(np.corrcoef(image[:, a], image[:, b])[0, 1]) for a, b in pairs]
    strangers = [(i, j) for i in range(30) for j in range(30) if i != j]
    wanted = {
        "image/unique_share": len({tuple(row) for row in image.tolist()}) / 30,
        "image/balance_gap": np.mean([abs(2 * s - 1) for s in share]),
        "image/bit_entropy": np.mean(entropy),
        "image/stuck_bits": 1 / 6,
        "image/bit_correlation": np.mean(correlations),
        "image/quantisation_gap": 0.3,
        "paired_distance": np.mean([(image[i] != text[i]).mean() for i in range(30)]),
        "unpaired_distance": np.mean([(image[i] != text[j]).mean() for i, j in strangers]),
    }
    assert {name: found[name] for name in wanted} == pytest.approx(wanted, abs=1e-12)
    assert "text/quantisation_gap" not in found and "target/gap" not in found
    gap = wanted["unpaired_distance"] - wanted["paired_distance"]
    assert found["pairing_gap"] == pytest.approx(gap)


def test_health_tells_collapse_and_strangers_from_good_codes():
    image, text = random_codes()
    agreeing = health(image, image)
    assert agreeing["image/unique_share"] > 0.95 and agreeing["image/bit_entropy"] > 0.98
    assert agreeing["paired_distance"] == 0 and agreeing["pairing_gap"] > 0.45
    assert agreeing["image/bit_correlation"] < 0.1 and agreeing["image/stuck_bits"] == 0
    assert abs(health(image, text)["pairing_gap"]) < 0.02
    collapsed = health(np.ones_like(image), np.ones_like(image))
    assert collapsed["image/unique_share"] == 1 / 400
    assert collapsed["image/bit_entropy"] == 0 and collapsed["image/stuck_bits"] == 1
    assert collapsed["image/balance_gap"] == 1 == collapsed["image/bit_correlation"]
    assert collapsed["pairing_gap"] == 0
    repeated = health(np.repeat(image[:, :1], 16, 1), text)
    assert repeated["image/bit_correlation"] == pytest.approx(1)


def test_targets_are_judged_by_pairs_of_different_items():
    codes = random_codes(4)[0]
    labels = np.array([[1, 0], [1, 0], [0, 1], [0, 1]], bool)
    targets = np.where(labels @ labels.T, 0.6, -0.2)
    np.fill_diagonal(targets, 9.0)  # an item and itself say nothing
    found = health(codes, codes, targets=targets, labels=labels)
    wanted = {"relevant": 0.6, "irrelevant": -0.2, "gap": 0.8, "above_zero": 4 / 12}
    wanted["relevance_correlation"] = 1.0
    assert {n: found[f"target/{n}"] for n in wanted} == pytest.approx(wanted)
    same = health(codes, codes, targets=np.ones((4, 4)), labels=labels)
    assert same["target/relevance_correlation"] == 0 == same["target/gap"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"codes_image": np.zeros((4, 16), np.int8)}, "image codes must be rows of -1 and 1"),
        ({"codes_text": np.ones((3, 16), np.int8)}, "give pairs"),
        ({"real_text": np.full((4, 16), np.nan)}, "real text codes must be numbers"),
        ({"targets": np.ones((4, 4))}, "give both or none"),
        ({"targets": np.ones((4, 3)), "labels": np.ones((4, 2), bool)}, "do not fit"),
        ({"targets": np.full((4, 4), np.inf), "labels": np.ones((4, 2), bool)}, "not numbers"),
    ],
)
def test_codes_that_do_not_fit_have_no_health(change, words):
    image, text = random_codes(4)
    good = {"codes_image": image, "codes_text": text}
    assert health(**good)
    with pytest.raises(ValueError, match=words):
        health(**(good | change))
