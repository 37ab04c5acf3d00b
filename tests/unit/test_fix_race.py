"""The race and the confirmation of a fix: who leaves, what is better, what is claimed."""

import math
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from scipy.stats import wilcoxon

from unstuck.fixed import Race, Standing, Yardstick
from unstuck.fixing import confirm, ranks
from unstuck.fixing.cost import Cost, fitted
from unstuck.fixing.race import raced, runs_of, seeds_of_rounds
from unstuck.records import Outcome, Plan, Treatment, Trial
from unstuck.trials.judge import judge


def treatment(name, code="OPT001"):
    return Treatment(name, "remedy", {f"lr/{name}": "x0.1"}, "", (code,))


def running(loss_of, asked=None):
    """A round's trial with the loss that `loss_of(arm, seed)` gives; text is an error."""

    def run(number, still, seeds):
        if asked is not None:
            asked.append((number, [t.name for t in still], tuple(seeds)))
        plan = Plan("loss", {}, tuple(still), tuple(seeds), higher_is_better=False)
        found = []
        for seed, arm in product(seeds, ("baseline", *(t.name for t in still))):
            value = loss_of(arm, seed)
            failed = isinstance(value, str)
            metrics = {} if failed else {"loss": value}
            found.append(Outcome(arm, seed, metrics, ("OPT001",), 1.0, value if failed else ""))
        return Trial(plan, tuple(found), judge(plan, found))

    return run


def test_every_round_the_worse_half_leaves_and_the_best_is_left():
    effects = {"baseline": 5.0, "a": 4.0, "b": 1.0, "c": 3.0, "d": 2.0, "e": 4.5}
    asked = []
    run = running(lambda arm, seed: effects[arm] + 0.1 * seed, asked)
    race = raced([treatment(n) for n in "abcde"], run, seeds_of_rounds(5), ranks.by_metric)
    assert asked == [
        (1, ["a", "b", "c", "d", "e"], (1, 2)),
        (2, ["b", "c", "d"], (3,)),
        (3, ["b", "d"], (4,)),
    ]
    assert race.winner.treatment.name == "b"
    assert {s.treatment.name: s.left_after for s in race.standings} == {
        "a": 1, "b": 0, "c": 2, "d": 3, "e": 1,
    }  # fmt: skip
    assert race.runs == 12 + 4 + 3 == sum(len(seeds) * (len(t) + 1) for _, t, seeds in asked)
    assert race.winner.differences == pytest.approx({1: 4.0, 2: 4.0, 3: 4.0, 4: 4.0})


def test_what_is_no_better_than_nothing_leaves_and_may_leave_nobody():
    run = running(lambda arm, seed: {"baseline": 1.0, "a": 1.0, "b": 1.5}[arm])
    race = raced([treatment("a"), treatment("b")], run, seeds_of_rounds(2), ranks.by_metric)
    assert race.winner is None
    assert {s.why for s in race.standings} == {"not better than the untreated script"}
    assert "ignores its seed" in race.note


def test_a_run_that_ends_is_better_than_one_that_fails_only_below_where_it_began():
    losses = {"baseline": "loss is nan", "huge": 1e9, "fine": 0.5, "broken": "loss is inf"}
    three = [treatment(n) for n in ("huge", "broken", "fine")]
    run = running(lambda arm, seed: losses[arm])
    race = raced(three, run, seeds_of_rounds(3), ranks.by_metric, floor=-2.0)
    left = {s.treatment.name: (s.left_after, s.why) for s in race.standings}
    assert left["fine"] == (0, "")
    assert left["huge"] == left["broken"] == (1, "not better than the untreated script")
    assert race.standings[1].failed == 2
    judging = confirm.judging_of(race, Yardstick("loss", False, "training loss", ""))
    assert judging == "ranks"


def test_where_only_the_finding_is_judged_the_race_is_about_the_finding():
    gone = {"keeps": ("OPT001",), "loses": (), "baseline": ("OPT001",)}

    def run(number, still, seeds):
        trial = running(lambda arm, seed: 1.0 if arm == "keeps" else 9.0)(number, still, seeds)
        told = tuple(replace(o, codes=gone[o.arm]) for o in trial.outcomes)
        return replace(trial, outcomes=told)

    two = [treatment("keeps"), treatment("loses")]
    race = raced(two, run, seeds_of_rounds(2), lambda plan: ranks.by_finding("OPT001"))
    assert race.winner.treatment.name == "loses" and race.winner.differences == {1: 1.0, 2: 1.0}


def test_the_script_s_own_seed_is_no_seed_of_the_race_and_none_is_used_twice():
    for count, avoided in product(range(1, 9), (None, 0, 1, 3, 1001)):
        seeds = [s for r in seeds_of_rounds(count, avoided) for s in r]
        assert len(set(seeds)) == len(seeds) and avoided not in seeds
        fresh = confirm.seeds_of("effect", 500, avoided)
        assert len(set(fresh)) == 500 and avoided not in fresh and not set(seeds) & set(fresh)


@pytest.mark.parametrize("count", [1, 2, 5, 9, 12])
def test_signed_ranks_are_exact(count):
    rng = np.random.default_rng(count)
    for shift in (0.0, 0.7, -1.5):
        found = rng.normal(shift, 1.0, count)
        assert ranks.p(list(found)) == pytest.approx(wilcoxon(found, method="exact").pvalue)
    tied = [1.0] * count
    assert ranks.p(tied) == pytest.approx(min(1.0, 2.0 ** (1 - count)))  # the sign test


def test_ranks_are_wrong_in_no_more_than_the_stated_share_of_equal_arms():
    rng = np.random.default_rng(0)
    pairs = rng.standard_cauchy((4000, ranks.PAIRS)) - rng.standard_cauchy((4000, ranks.PAIRS))
    wrong = np.mean([ranks.p(list(differences)) <= 0.05 for differences in pairs])
    assert 0.02 < wrong < 0.055  # 0.039 is what nine pairs can come to


def confirmation(loss_of, judging, seeds, floor=-math.inf):
    run = running(loss_of)

    def trial(of, on, stop_early):
        assert stop_early == (judging == "effect")
        return run(1, [of], on)

    return confirm.confirmed(treatment("a"), judging, seeds, "OPT001", trial, floor)


def test_failed_runs_are_judged_by_rank_and_reported_with_their_counts():
    def loss(arm, seed):
        return "loss is nan" if arm == "baseline" else 0.1 + seed / 1e5

    found = confirmation(loss, "ranks", range(1001, 1010), floor=-2.0)
    assert found.word == "helped"
    assert (found.ranks.better, found.ranks.worse, found.ranks.same) == (9, 0, 0)
    assert found.ranks.p == 2.0**-8
    assert math.isnan(found.ranks.median)  # nothing to compare a number with
    useless = confirmation(
        lambda arm, seed: "loss is nan" if arm == "baseline" else 1e9,
        "ranks", range(1001, 1010), floor=-2.0,
    )  # fmt: skip
    assert useless.word == "undecided" and useless.ranks.same == 9
    worse = confirmation(
        lambda arm, seed: 0.5 if arm == "baseline" else "crashed", "ranks", range(6), floor=-2.0
    )
    assert worse.word == "harmed"


def test_a_finding_that_stays_is_not_gone():
    found = confirmation(lambda arm, seed: 1.0, "finding", range(9))
    assert found.word == "undecided" and found.ranks.same == 9


def test_numbers_that_lie_far_apart_or_diverge_are_ranked_and_others_are_not():
    by = Yardstick("loss", False, "training loss", "")

    def race(*untreated):
        return Race(
            (Standing(treatment("a"), {s: u - 0.1 for s, u in enumerate(untreated)}),),
            ((0, 1),),
            dict(enumerate(untreated)),
        )

    assert confirm.judging_of(race(1.0, 2.5), by) == "effect"
    assert confirm.judging_of(race(1.0, 3.5), by) == "ranks"
    rising = Yardstick("loss", False, "training loss", "", start=2.0)
    assert confirm.judging_of(race(1.0, 1.9), rising) == "effect"
    assert confirm.judging_of(race(1.0, 2.1), rising) == "ranks"
    assert confirm.judging_of(race(1.0, math.nan), by) == "ranks"
    assert confirm.judging_of(race(1.0, 2.0), Yardstick("loss", False, "none", "")) == "finding"


def test_a_budget_gives_up_candidates_before_pairs_and_says_when_it_is_too_small():
    whole = Cost(6, 12, seconds=2.0, workers=2)
    assert (whole.race, whole.confirmation) == (runs_of(6), 24)
    assert fitted(whole, None, None) == whole
    assert (fitted(whole, 40, None).candidates, fitted(whole, 40, None).pairs) == (4, 12)
    assert (fitted(whole, 24, None).candidates, fitted(whole, 24, None).pairs) == (2, 9)
    assert fitted(whole, 16, None).candidates == 1
    assert fitted(whole, None, 40.0).runs <= 40
    with pytest.raises(ValueError, match="one candidate takes 16 runs, about 16 s"):
        fitted(whole, 15, None)


def test_a_pair_in_which_nothing_was_changed_says_nothing_about_the_change():
    def loss(arm, seed):
        missed = arm == "a" and seed > 1003
        return "not carried out: no lr/a in the run (it has: -)" if missed else 1.0 + (arm == "a")

    found = confirmation(loss, "ranks", range(1001, 1010), floor=-2.0)
    assert (found.ranks.better, found.ranks.worse, found.ranks.same) == (0, 3, 0)
    assert found.word == "undecided"


def test_networks_that_overfit_are_told_apart_though_both_end_above_where_they_began():
    worse_than_at_first = {"baseline": 4.7, "a": 2.6}
    found = confirmation(
        lambda arm, seed: worse_than_at_first[arm] + seed / 1e5, "ranks", range(9), floor=-2.3
    )
    assert found.word == "helped" and found.ranks.better == 9
    both_diverged = confirmation(
        lambda arm, seed: 1e8 if arm == "a" else 1e9, "ranks", range(9), floor=-2.3
    )
    assert both_diverged.word == "undecided" and both_diverged.ranks.same == 9
