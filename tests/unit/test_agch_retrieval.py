"""Retrieval measures against slow exact references."""

from fractions import Fraction
from itertools import permutations

import numpy as np
import pytest

from unstuck.cases.agch import retrieval
from unstuck.cases.agch.retrieval import (
    BitDistances,
    average_precisions,
    hamming,
    mean_average_precision,
    precision_at,
    precision_recall,
    tied_average_precisions,
    tied_mean_average_precision,
)

KINDS = ("codes", "constant", "real", "tied", "wide")


def order_of(distance):
    """Rows of the database, nearest first, ties in order."""
    return sorted(range(len(distance)), key=lambda row: (distance[row], row))


def slow_average_precision(relevant, at):
    """Of relevances in ranked order, with whole numbers only."""
    hits, total = 0, Fraction(0)
    for place, hit in enumerate(relevant[:at], 1):
        if hit:
            hits += 1
            total += Fraction(hits, place)
    return total / hits if hits else Fraction(0)


def slow_hamming(queries, database):
    return [[sum(a != b for a, b in zip(q, d, strict=True)) for d in database] for q in queries]


def slow_relevance(query_labels, database_labels):
    return [[any(a and b for a, b in zip(q, d, strict=True)) for d in database_labels]
            for q in query_labels]  # fmt: skip


def random_case(rng):
    """Distances, labels of queries and database, a depth; small, often tied, sometimes empty."""
    queries, items = int(rng.integers(1, 5)), int(rng.integers(1, 25))
    classes = int(rng.choice([1, 3, 8, 9, 70, 130]))
    share = float(rng.choice([0.0, 0.02, 0.3, 1.0]))
    ql, dl = rng.random((queries, classes)) < share, rng.random((items, classes)) < share
    at = int(rng.choice([1, 2, 5, items, items + 7])) if rng.random() < 0.7 else None
    kind = KINDS[rng.integers(len(KINDS))]
    if kind in ("codes", "constant"):
        bits = int(rng.integers(1, 20))
        q, d = (rng.choice([-1, 1], (n, bits)).astype(np.int8) for n in (queries, items))
        if kind == "constant":
            q, d = np.ones_like(q), np.ones_like(d)
        distance = hamming(q, d)
        assert distance.tolist() == slow_hamming(q, d)
    elif kind == "real":
        distance = rng.standard_normal((queries, items)).astype(rng.choice(["f4", "f8"]))
    elif kind == "tied":
        distance = rng.integers(-2, 3, (queries, items)) / 4
    else:
        distance = rng.integers(-2, 3, (queries, items)) * 10_000 - 7
    return distance, ql, dl, at


def test_a_thousand_random_cases_equal_a_slow_exact_reference():
    rng = np.random.default_rng(0)
    empty = tied = 0
    for _ in range(1000):
        distance, ql, dl, at = random_case(rng)
        relevant = slow_relevance(ql, dl)
        ranked = [[relevant[q][i] for i in order_of(row)] for q, row in enumerate(distance)]
        wanted = [float(slow_average_precision(row, at)) for row in ranked]
        np.testing.assert_allclose(average_precisions(distance, ql, dl, at), wanted, atol=1e-14)
        assert mean_average_precision(distance, ql, dl, at) == pytest.approx(np.mean(wanted))
        counts = [1, 3, len(dl) + 3]
        shares = [np.mean([sum(r[:n]) / len(r[:n]) for r in ranked]) for n in counts]
        found = precision_at(distance, ql, dl, counts)
        assert list(found) == counts
        assert list(found.values()) == pytest.approx(shares)
        empty += not any(map(any, relevant))
        tied += any(len(set(row)) < len(row) for row in distance.tolist())
    assert empty > 100 and tied > 500  # the cases hold what they are there for


def test_ties_averaged_are_the_mean_over_all_orders():
    rng = np.random.default_rng(1)
    cut = 0
    for _ in range(150):
        items = int(rng.integers(1, 7))
        distance = rng.integers(0, 3, (1, items))
        if rng.random() < 0.3:
            distance = distance / 2
        ql, dl = np.ones((1, 1), bool), rng.random((items, 1)) < rng.choice([0.3, 0.7, 1.0])
        at = int(rng.integers(1, items + 2))
        orders = [list(p) for p in permutations(range(items))]
        wanted = np.mean([average_precisions(distance[:, p], ql, dl[p], at) for p in orders])
        found = tied_average_precisions(distance, ql, dl, at)
        assert found == pytest.approx(wanted, abs=1e-12)
        nearest = np.sort(distance[0])
        cut += at < items and nearest[at - 1] == nearest[at]
    assert cut > 30


def test_ties_averaged_of_larger_groups_agree_with_random_orders():
    rng = np.random.default_rng(2)
    codes = rng.choice([-1, 1], (400, 6)).astype(np.int8)
    dl = rng.random((400, 4)) < 0.2
    distance, ql = hamming(codes[:3], codes), dl[:3]
    for at in (None, 50):
        wanted = []
        for _ in range(400):
            order = rng.permutation(400)
            wanted.append(average_precisions(distance[:, order], ql, dl[order], at))
        error = np.std(wanted, axis=0) / 20
        found = tied_average_precisions(distance, ql, dl, at)
        assert (np.abs(found - np.mean(wanted, axis=0)) <= 4 * error + 1e-12).all()


def test_constant_codes_are_worth_the_share_of_relevant_items():
    rng = np.random.default_rng(3)
    dl = rng.random((500, 1)) < 0.4
    distance = hamming(np.ones((2, 8), np.int8), np.ones((500, 8), np.int8))
    found = tied_mean_average_precision(distance, np.ones((2, 1), bool), dl, None)
    assert found == pytest.approx(dl.mean(), abs=0.02)


def test_many_blocks_by_several_threads_give_what_one_block_gives(monkeypatch):
    rng = np.random.default_rng(4)
    codes = rng.choice([-1, 1], (300, 16)).astype(np.int8)
    labels = rng.random((300, 10)) < 0.1

    def measured(distance):
        yield from (f(distance, labels, labels, 40) for f in (average_precisions, tied))
        yield list(precision_at(distance, labels, labels, [1, 70]).values())
        yield precision_recall(distance, labels, labels)[1]

    tied = tied_average_precisions
    whole = hamming(codes, codes)
    wanted = list(measured(whole))
    monkeypatch.setattr(retrieval, "BLOCK", 3000)
    np.testing.assert_array_equal(hamming(codes, codes), whole)
    for distance in (whole, BitDistances(codes, codes)):
        for one, other in zip(wanted, measured(distance), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12)


def test_precision_over_recall_is_read_at_the_relevant_items():
    distance = np.array([[0, 1, 2, 3, 4, 5], [0, 1, 2, 3, 4, 5]])
    dl = np.array([[1, 0], [0, 0], [1, 0], [1, 0], [0, 0], [1, 0]], bool)
    ql = np.array([[1, 0], [0, 1]], bool)  # nothing is relevant to the second query
    recall, precision = precision_recall(distance, ql, dl, [0.25, 0.3, 0.5, 0.75, 1.0])
    np.testing.assert_array_equal(recall, [0.25, 0.3, 0.5, 0.75, 1.0])
    np.testing.assert_allclose(precision, np.array([1, 2 / 3, 2 / 3, 3 / 4, 4 / 6]) / 2)
    ten = np.arange(10)[None]
    everything = np.ones((10, 1), bool)
    levels = [n / 10 for n in range(1, 11)]
    assert precision_recall(ten, everything[:1], everything, levels)[1].tolist() == [1.0] * 10


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"distance": np.zeros((2, 4))}, "labels are of"),
        ({"distance": np.full((2, 3), np.nan)}, "NaN"),
        ({"distance": np.zeros((0, 3))}, "not empty"),
        ({"query_labels": np.zeros((2, 1), bool)}, "classes"),
        ({"database_labels": np.zeros((3, 2))}, "true or false"),
        ({"database_labels": np.zeros(3, bool)}, "one column for each class"),
        ({"at": 0}, "at least 1"),
    ],
)
def test_bad_input_is_told_in_one_line(change, words):
    good = {
        "distance": np.zeros((2, 3)),
        "query_labels": np.zeros((2, 2), bool),
        "database_labels": np.zeros((3, 2), bool),
        "at": None,
    }
    for measure in (average_precisions, tied_average_precisions):
        assert measure(**good).tolist() == [0, 0]
        with pytest.raises(ValueError, match=words) as caught:
            measure(**(good | change))
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("queries", "database", "words"),
    [
        (np.ones((2, 8)), np.ones((2, 9)), "8 bits and the database 9"),
        (np.zeros((2, 8)), np.ones((2, 8)), "queries must be rows of -1 and 1"),
        (np.ones((2, 8)), np.ones(8), "database must be rows of -1 and 1"),
    ],
)
def test_what_are_no_codes_has_no_hamming_distance(queries, database, words):
    with pytest.raises(ValueError, match=words):
        hamming(queries.astype(np.int8), database.astype(np.int8))
