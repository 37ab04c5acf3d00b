"""Verdicts from outcomes: against scipy's own test, and where a t-test does not apply."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from unstuck.records import Outcome, Plan, Treatment
from unstuck.trials.judge import judge, power
from unstuck.trials.reading import holm

SCORES = st.floats(-1e3, 1e3, allow_nan=False)


def plan_of(treatments=1, pairs=4, **fields):
    names = [f"t{i}" for i in range(treatments)]
    arms = tuple(Treatment(n, "", {}, "") for n in names)
    return Plan("score", {}, arms, tuple(range(pairs)), **fields)


def outcomes_of(baseline, *arms):
    columns = {"baseline": baseline, **{f"t{i}": a for i, a in enumerate(arms)}}
    return [
        Outcome(arm, seed, {"score": float(value)})
        for arm, values in columns.items()
        for seed, value in enumerate(values)
    ]


def verdict_on(baseline, arm, **fields):
    plan = plan_of(pairs=len(baseline), **fields)
    return judge(plan, outcomes_of(baseline, arm))[0]


def test_the_verdict_is_the_paired_t_test():
    before, after = [20.1, 19.4, 21.0, 20.6, 18.9], [21.5, 20.2, 22.9, 21.1, 20.8]
    verdict = verdict_on(before, after)
    reference = stats.ttest_rel(after, before)
    interval = reference.confidence_interval(0.95)
    assert verdict.p == pytest.approx(reference.pvalue)
    assert (verdict.low, verdict.high) == pytest.approx((interval.low, interval.high))
    assert verdict.effect == pytest.approx(np.mean(np.subtract(after, before)))
    assert (verdict.word, verdict.pairs) == ("helped", 5)


def test_a_lower_loss_is_better():
    verdict = verdict_on([1.0, 1.1, 1.3, 0.9], [0.5, 0.55, 0.9, 0.5], higher_is_better=False)
    assert verdict.word == "helped" and verdict.effect > 0
    mirrored = verdict_on([1.0, 1.1, 1.3, 0.9], [0.5, 0.55, 0.9, 0.5], higher_is_better=True)
    assert mirrored.word == "harmed"
    assert (mirrored.low, mirrored.high) == pytest.approx((-verdict.high, -verdict.low))


@pytest.mark.parametrize(("margin", "word"), [(0.12, "no difference"), (0.08, "undecided")])
def test_no_difference_needs_the_interval_within_the_margin(margin, word):
    before = np.array([20.1, 19.4, 21.0, 20.6, 18.9])
    after = np.add(before, [0.05, -0.06, 0.08, -0.07, 0.03])  # +-0.08 around 0.006
    assert verdict_on(before, after, margin=margin).word == word


def test_differences_that_only_rounding_sets_apart_are_equal():
    before = np.float32([0.11, 0.37, 2.9, 5.3])
    verdict = verdict_on(before, before + np.float32(0.1))
    assert np.ptp((before + np.float32(0.1)).astype(float) - before.astype(float)) > 0
    assert (verdict.word, verdict.more_pairs) == ("undecided", 2)
    assert "tested by sign" in verdict.note
    rounded = verdict_on(before, np.nextafter(before, np.float32(2)))
    assert rounded.word == "no difference" and "identical" in rounded.note


@given(st.lists(st.tuples(SCORES, SCORES, SCORES, SCORES), min_size=2, max_size=8))
def test_word_interval_and_holm_always_agree(rows):
    columns = list(zip(*rows, strict=True))
    verdicts = judge(plan_of(3, len(rows), margin=5.0), outcomes_of(*columns))
    for verdict in verdicts:
        assert (verdict.word == "helped") == (verdict.low > 0)
        assert (verdict.word == "harmed") == (verdict.high < 0)
        called = verdict.word in ("helped", "harmed")
        if abs(verdict.p - 0.05) > 1e-9:
            assert called == (verdict.p < 0.05)
        within = max(-verdict.low, verdict.high) <= 5.0
        assert (verdict.word == "no difference") == (within and not called)


def test_holm_is_the_textbook_one():
    adjusted, levels = holm([0.01, 0.04, 0.03, 0.005], 0.05)
    assert adjusted == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert levels == pytest.approx([0.05 / 3, 0.05 / 2, 0.05 / 2, 0.05 / 4])


def test_a_second_treatment_makes_the_first_harder_to_prove():
    before = [20.0, 19.4, 21.0, 20.6]
    better = np.add(before, [0.6, 1.4, 0.4, 1.2])  # p = .04
    noise = np.add(before, [0.5, -0.6, 0.3, -0.4])
    assert verdict_on(before, better).word == "helped"
    both = judge(plan_of(2), outcomes_of(before, better, noise))
    assert [v.word for v in both] == ["undecided", "undecided"]


def test_identical_runs_are_no_difference_and_say_so():
    verdict = verdict_on([1.0, 2.0, 3.0], [1.0, 2.0, 3.0])
    assert (verdict.word, verdict.low, verdict.high) == ("no difference", 0.0, 0.0)
    assert "identical runs in all 3 pairs" in verdict.note


def test_equal_differences_are_tested_by_their_sign():
    before = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    five = verdict_on(before[:5], np.add(before[:5], 0.1))
    assert (five.word, five.more_pairs) == ("undecided", 1)
    six = verdict_on(before, np.add(before, 0.1))
    assert (six.word, six.p) == ("helped", 2**-5)
    assert "exactly 0.1" in six.note


def test_a_metric_that_ignores_the_seed_is_one_observation():
    verdict = verdict_on([1.0] * 8, [2.0] * 8)
    assert (verdict.word, verdict.more_pairs) == ("undecided", None)
    assert "does the training use its seed?" in verdict.note


@pytest.mark.parametrize(("pairs", "note"), [(0, "0 whole pairs"), (1, "1 whole pair,")])
def test_less_than_two_pairs_decide_nothing(pairs, note):
    outcomes = outcomes_of([1.0, 2.0, 3.0])
    for seed in range(3):
        fine = seed < pairs
        metrics = {"score": 9.0} if fine else {}
        outcomes.append(Outcome("t0", seed, metrics, error="" if fine else "RuntimeError: x"))
    (verdict,) = judge(plan_of(pairs=3), outcomes)
    assert (verdict.word, verdict.pairs, verdict.low) == ("undecided", pairs, -math.inf)
    assert note in verdict.note
    assert f"crashed in {3 - pairs} of 3 runs (RuntimeError: x)" in verdict.note


def test_a_failed_run_leaves_with_its_pair():
    outcomes = outcomes_of([1.0, 2.0, 3.0, 4.0], [2.1, 2.9, 4.2, 99.0])
    outcomes[-1] = Outcome("t0", 3, {"score": math.inf}, error="score is inf")
    (verdict,) = judge(plan_of(), outcomes)
    assert (verdict.word, verdict.pairs) == ("helped", 3)
    assert "failed in 1 of 4 runs (score is inf)" in verdict.note


def test_a_baseline_that_fails_where_the_treatment_does_not_is_said():
    outcomes = outcomes_of([1.0, 2.0, 3.0, 4.0], [2.0, 3.0, 4.0, 5.0])
    outcomes[:4] = [Outcome("baseline", s, {}, error="RuntimeError: x") for s in range(4)]
    (verdict,) = judge(plan_of(), outcomes)
    assert verdict.word == "undecided" and math.isnan(verdict.effect)
    assert verdict.note.startswith("baseline crashed in 4 of 4 runs (RuntimeError: x); the treat")
    assert "finished in 4 of 4" in verdict.note


def test_an_unfinished_trial_decides_nothing():
    outcomes = outcomes_of([1.0, 2.0, 3.0, 4.0], [9.0, 10.1, 10.9])
    (verdict,) = judge(plan_of(), outcomes)
    assert (verdict.word, verdict.more_pairs) == ("undecided", 1)
    assert "3 of 4 planned pairs are done" in verdict.note


def test_pairs_that_lost_the_finding_are_counted():
    codes = {"baseline": [("A1",), ("A1", "B2"), ("B2",), None], "t0": [(), ("A1",), (), ()]}
    outcomes = [
        Outcome(arm, seed, {"score": float(seed + i)}, codes=found)
        for i, (arm, column) in enumerate(codes.items())
        for seed, found in enumerate(column)
    ]
    (verdict,) = judge(plan_of(finding="A1"), outcomes)
    assert (verdict.had_finding, verdict.lost_finding) == (2, 1)
    (unasked,) = judge(plan_of(), outcomes)
    assert (unasked.had_finding, unasked.lost_finding) == (None, None)


def test_a_crash_does_not_lose_a_finding():
    outcomes = [
        Outcome("baseline", 0, {"score": math.nan}, ("A1",), error="score is nan"),
        Outcome("t0", 0, {}, (), error="RuntimeError: x"),
    ]
    (verdict,) = judge(plan_of(pairs=1, finding="A1"), outcomes)
    assert (verdict.had_finding, verdict.lost_finding) == (1, 0)


def test_more_pairs_by_an_effect_by_equivalence_or_not_at_all():
    before = np.array([20.1, 19.4, 21.0, 20.6])
    effect = verdict_on(before, np.add(before, [0.1, 0.9, 0.3, 1.5]))
    spread = np.std([0.1, 0.9, 0.3, 1.5], ddof=1)
    total = 4 + effect.more_pairs
    assert power(total, 0.7 / spread) >= 0.8 > power(total - 1, 0.7 / spread)
    none = verdict_on(before, np.add(before, [0.5, -0.5, 0.501, -0.5]))
    assert none.more_pairs is None and "more than 1000" in none.note
    equivalent = verdict_on(before, np.add(before, [0.5, -0.5, 0.501, -0.5]), margin=0.6)
    assert equivalent.word == "undecided" and 1 <= equivalent.more_pairs <= 10


@pytest.mark.parametrize("d", [0.0, 0.3, 1.0, 5.0, 400.0])
def test_power_is_the_noncentral_t_everywhere(d):
    for pairs in (2, 5, 30, 1000):
        df, shift = pairs - 1, d * math.sqrt(pairs)
        limit = stats.t.ppf(0.975, df)
        simulated = stats.nct.sf(limit, df, shift) + stats.nct.cdf(-limit, df, shift)
        expected = 1.0 if shift > 100 * limit else simulated
        assert power(pairs, d) == pytest.approx(expected, abs=1e-6)
