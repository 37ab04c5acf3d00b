"""Verdicts of plans that stop early: when they fall, and that nothing later changes them."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unstuck.records import Outcome, Plan, Treatment
from unstuck.trials.judge import judge, settled
from unstuck.trials.looks import chance_of_verdict
from unstuck.trials.sample import Sample
from unstuck.trials.sequential import FUTILE, course

CALLED = ("helped", "harmed")
SCORES = st.floats(-1e3, 1e3, allow_nan=False)


def plan_of(treatments=1, pairs=12, **fields):
    arms = tuple(Treatment(f"t{i}", "", {}, "") for i in range(treatments))
    fields = {"stop_early": True, **fields}
    return Plan("score", {}, arms, tuple(range(pairs)), **fields)


def outcomes_of(baseline, *arms):
    columns = {"baseline": baseline, **{f"t{i}": a for i, a in enumerate(arms)}}
    return [
        run(arm, seed, value)
        for seed in range(len(baseline))
        for arm, values in columns.items()
        if seed < len(values)
        for value in [values[seed]]
    ]


def run(arm, seed, value):
    """A run that gave `value`; one that crashed where it is None."""
    if value is None:
        return Outcome(arm, seed, {}, error="RuntimeError: x")
    return Outcome(arm, seed, {"score": float(value)})


def drawn(seed, effects, pairs=12, crashes=0.0):
    random = np.random.default_rng(seed)
    noise = random.standard_normal((len(effects) + 1, pairs)) / math.sqrt(2)
    score = noise + 3 * random.standard_normal(pairs) + np.array([0.0, *effects])[:, None]
    lost = random.random(score.shape) < crashes
    return outcomes_of(*(np.where(lost, None, score).tolist()))


def test_a_clear_effect_stops_early_and_says_how_many_pairs_it_took():
    plan, outcomes = plan_of(), drawn(0, [3.0])
    (verdict,) = judge(plan, outcomes)
    assert verdict.word == "helped" and verdict.p < 0.05
    assert settled(plan, outcomes) == {"t0": verdict.pairs}
    assert 3 <= verdict.pairs < 12 == verdict.planned_pairs
    assert 0 < verdict.low < verdict.effect < verdict.high
    assert verdict.note == f"{12 - verdict.pairs} later pairs ignored"
    (all_pairs,) = judge(plan_of(stop_early=False), outcomes)
    assert (all_pairs.pairs, all_pairs.planned_pairs, all_pairs.note) == (12, 12, "")


def test_a_harm_is_the_mirror_image_of_a_help():
    plan, outcomes = plan_of(), drawn(0, [3.0])
    (helped,) = judge(plan, outcomes)
    (harmed,) = judge(dataclasses.replace(plan, higher_is_better=False), outcomes)
    assert (helped.word, harmed.word) == ("helped", "harmed")
    assert (harmed.low, harmed.effect, harmed.high) == (-helped.high, -helped.effect, -helped.low)


@pytest.mark.parametrize("crashes", [0.0, 0.15])
@pytest.mark.parametrize("seed", range(6))
def test_a_verdict_that_fell_stays_whatever_comes_later(seed, crashes):
    """Outcome by outcome, in any order of arrival: what is settled keeps its seeds and numbers."""
    plan = plan_of(3, margin=0.4)
    outcomes = drawn(seed, [2.5, 0.0, -1.2], crashes=crashes)
    arrival = np.random.default_rng(seed).permutation(len(outcomes))
    before, verdicts = {}, {}
    for done in range(len(outcomes) + 1):
        so_far = [outcomes[i] for i in arrival[:done]]
        now = settled(plan, so_far)
        assert now | before == now
        if now != before:
            for verdict in judge(plan, so_far):
                name = verdict.treatment.name
                fixed = dataclasses.replace(verdict, note="")
                assert name not in before or verdicts[name] == fixed
                if name in now:
                    verdicts[name] = fixed
        before = now
    assert set(before) == {"t0", "t1", "t2"}
    final = [dataclasses.replace(v, note="") for v in judge(plan, outcomes)]
    assert final == [verdicts[v.treatment.name] for v in final]


@pytest.mark.parametrize("seed", range(4))
def test_runs_beyond_the_seeds_a_verdict_took_are_ignored(seed):
    plan, outcomes = plan_of(2), drawn(seed, [2.0, -2.5])
    verdicts = judge(plan, outcomes)
    took = settled(plan, outcomes)
    wild = [
        Outcome(o.arm, o.seed, {"score": 1e6 * (-1) ** o.seed})
        if o.seed >= (max(took.values()) if o.arm == "baseline" else took[o.arm])
        else o
        for o in outcomes
    ]
    assert wild != outcomes
    assert judge(plan, wild) == verdicts
    assert judge(plan, outcomes[::-1]) == verdicts


def test_a_look_waits_for_every_open_treatment():
    plan, outcomes = plan_of(2), drawn(0, [3.0, 0.1])
    last = settled(plan, outcomes)["t0"]
    without = [o for o in outcomes if (o.arm, o.seed) != ("t1", last - 1)]
    assert "t0" not in settled(plan, without)
    assert settled(plan, [o for o in outcomes if o.seed < last])["t0"] == last


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(SCORES, SCORES, SCORES, SCORES), min_size=4, max_size=8))
def test_word_interval_and_p_always_agree(rows):
    plan = plan_of(3, len(rows), margin=5.0)
    outcomes = outcomes_of(*zip(*rows, strict=True))
    for done in (len(outcomes), len(outcomes) // 2):
        for verdict in judge(plan, outcomes[:done]):
            assert (verdict.word == "helped") == (verdict.low > 0)
            assert (verdict.word == "harmed") == (verdict.high < 0)
            if abs(verdict.p - 0.05) > 1e-9:
                assert (verdict.word in CALLED) == (verdict.p < 0.05)
            if verdict.word == "no difference":
                assert max(-verdict.low, verdict.high) <= 5.0
            if math.isfinite(verdict.effect):
                assert verdict.low <= verdict.effect <= verdict.high


def test_a_plan_without_room_for_a_look_is_judged_as_ever():
    outcomes = drawn(3, [1.0, 4.0], pairs=3)
    early, once = plan_of(2, 3), plan_of(2, 3, stop_early=False)
    assert judge(early, outcomes) == judge(once, outcomes)
    assert settled(early, outcomes) == {"t0": 3, "t1": 3} == settled(once, outcomes)


def test_nothing_is_settled_before_the_end_of_a_plan_that_does_not_stop_early():
    plan, outcomes = plan_of(1, 6, stop_early=False), drawn(0, [5.0], pairs=6)
    assert settled(plan, outcomes[:-1]) == {}
    assert settled(plan, outcomes) == {"t0": 6}


def test_after_a_call_the_other_treatment_is_tested_as_if_it_were_alone():
    plan, compared = plan_of(2), 0
    for seed in range(12):
        outcomes = drawn(seed, [6.0, 0.9])
        alone = dataclasses.replace(plan, treatments=plan.treatments[1:])
        (single,) = judge(alone, [o for o in outcomes if o.arm != "t0"])
        first, beside = judge(plan, outcomes)
        if first.pairs < single.pairs:
            assert beside == single
            compared += 1
    assert compared > 6


def test_several_treatments_are_harder_to_call_than_one():
    called = {1: 0, 4: 0}
    for seed in range(40):
        for count in called:
            words = [
                v.word for v in judge(plan_of(count), drawn(seed, [1.0, *[0.0] * (count - 1)]))
            ]
            called[count] += words[0] in CALLED
    assert called[4] < called[1]


def test_a_treatment_that_always_fails_is_not_run_to_the_end():
    plan = plan_of()
    outcomes = outcomes_of([1.0, 2.0, 4.0], [None, None, None])
    assert settled(plan, outcomes) == {"t0": 3}
    (verdict,) = judge(plan, outcomes)
    assert (verdict.word, verdict.pairs, verdict.more_pairs) == ("undecided", 0, None)
    assert "crashed in 3 of 3 runs (RuntimeError: x)" in verdict.note
    once_more = outcomes_of([1.0, 2.0, 4.0], [None, None, 3.0])
    assert settled(plan, once_more) == {}


def test_a_failed_last_run_still_spends_what_is_left_of_the_error():
    plan = plan_of(pairs=5)
    differences = [0.2, 1.2, 0.7, 0.9, None]
    before = [5.0, 3.0, 4.0, 6.0, 5.5]
    after = [None if d is None else b + d for b, d in zip(before, differences, strict=True)]
    outcomes = outcomes_of(before, after)
    t = np.mean(differences[:4]) / (np.std(differences[:4], ddof=1) / 2)
    assert course(5, 4, 0.05)[-1].limit < t < course(5, 5, 0.05)[1].limit
    assert settled(plan, outcomes[:8]) == {}
    (verdict,) = judge(plan, outcomes)
    assert (verdict.word, verdict.pairs, verdict.planned_pairs) == ("helped", 4, 5)


def test_identical_runs_are_believed_once_chance_would_have_shown_a_difference():
    scores = list(range(12))
    plan, outcomes = plan_of(), outcomes_of(scores, scores)
    (verdict,) = judge(plan, outcomes)
    assert (verdict.word, verdict.low, verdict.high) == ("no difference", 0.0, 0.0)
    assert 6 <= verdict.pairs < 12
    assert f"identical runs in all {verdict.pairs} pairs" in verdict.note


def test_equal_differences_are_tested_by_their_sign():
    before = np.arange(12.0)
    plan, outcomes = plan_of(), outcomes_of(before, before + 0.5)
    (verdict,) = judge(plan, outcomes)
    assert (verdict.word, verdict.effect, verdict.low) == ("helped", 0.5, 0.5)
    level = course(12, 12, 0.05)[verdict.pairs - 3].level
    assert 2.0 ** (1 - verdict.pairs) < level
    assert f"all {verdict.pairs} pairs differ by exactly 0.5" in verdict.note


def test_a_metric_that_ignores_the_seed_stops_at_the_first_look():
    plan, outcomes = plan_of(), outcomes_of([1.0] * 12, [2.0] * 12)
    assert settled(plan, outcomes) == {"t0": 3}
    (verdict,) = judge(plan, outcomes)
    assert verdict.word == "undecided" and verdict.more_pairs is None
    assert "does the training use its seed?" in verdict.note


def test_a_hopeless_treatment_is_given_up_and_says_what_it_would_take():
    before = np.zeros(12)
    after = np.tile([1.0, -0.9, 0.2], 4)
    plan, outcomes = plan_of(), outcomes_of(before, after)
    (verdict,) = judge(plan, outcomes)
    assert verdict.word == "undecided" and 6 <= verdict.pairs < 12
    assert verdict.more_pairs is not None and verdict.more_pairs > 12
    assert "given up: the chance of a verdict by pair 12 was" in verdict.note
    assert verdict.low < 0 < verdict.high and verdict.p > 0.05
    wide = judge(plan_of(margin=1.5), outcomes)[0]
    assert wide.word == "no difference"  # the same pairs, where no difference is in reach


def test_no_difference_needs_the_interval_of_its_look_within_the_margin():
    words = set()
    for seed in range(60):
        plan = plan_of(margin=1.6)
        (verdict,) = judge(plan, drawn(seed, [0.2]))
        words.add((verdict.word, verdict.pairs < 12))
        if verdict.word == "no difference":
            assert -1.6 <= verdict.low <= 0 <= verdict.high <= 1.6
    assert ("no difference", True) in words


def test_an_unfinished_trial_keeps_the_interval_of_its_last_look():
    plan, outcomes = plan_of(), drawn(0, [0.8])
    (verdict,) = judge(plan, outcomes[:10])
    assert (verdict.word, verdict.pairs, verdict.more_pairs) == ("undecided", 5, 7)
    assert "5 of 12 planned pairs are done" in verdict.note
    scores = np.array([o.metrics["score"] for o in outcomes[:10]]).reshape(5, 2)
    differences = scores[:, 1] - scores[:, 0]
    reach = course(12, 12, 0.05)[2].limit * differences.std(ddof=1) / math.sqrt(5)
    ends = (differences.mean() - reach, differences.mean() + reach)
    assert (verdict.low, verdict.high) == pytest.approx(ends)
    (nothing,) = judge(plan, outcomes[:4])
    assert (nothing.low, nothing.high, nothing.p) == (-math.inf, math.inf, 1.0)


def test_the_chance_of_a_verdict_is_that_of_simulated_continuations():
    random = np.random.default_rng(5)
    seen = np.array([0.9, -0.1, 0.7, 0.2, 1.4, -0.4])
    plan = plan_of(margin=0.7)
    told = chance_of_verdict(plan, Sample(seen, False), 12)
    spread = seen.std(ddof=1) * np.sqrt(5 / random.chisquare(5, 20_000))
    truth = seen.mean() + spread / math.sqrt(6) * random.standard_normal(20_000)
    later = truth[:, None] + spread[:, None] * random.standard_normal((20_000, 6))
    every = np.concatenate([np.tile(seen, (20_000, 1)), later], axis=1)
    mean, sd = every.mean(axis=1), every.std(axis=1, ddof=1)
    reach = course(12, 12, 0.05)[-1].limit * sd / math.sqrt(12)
    verdict = (np.abs(mean) > reach) | (np.abs(mean) < 0.7 - reach)
    assert told == pytest.approx(verdict.mean(), abs=0.06)  # its spread is taken to stay
    assert told > FUTILE


def test_a_long_plan_is_judged_only_at_its_looks():
    """81 pairs are looked at after every third: between two looks nothing is called or bounded."""
    plan, outcomes = plan_of(pairs=81), drawn(4, [0.6], pairs=81)
    looks = {look.pairs for look in course(81, 81, 0.05)}
    took = settled(plan, outcomes)["t0"]
    assert took in looks and took < 81
    for pairs in range(3, took):
        (verdict,) = judge(plan, outcomes[: 2 * pairs])
        assert verdict.word == "undecided"
        assert math.isfinite(verdict.low) == (pairs in looks and course_limit(81, pairs) < math.inf)


def course_limit(planned, pairs):
    return next(look.limit for look in course(planned, planned, 0.05) if look.pairs == pairs)
