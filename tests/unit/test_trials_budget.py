"""When a trial ends: settled early, out of runs or time, and gone on with later."""

import random
import time

import pytest
from executed_here import Here

import unstuck
from unstuck.trials import PlanError, load_trial
from unstuck.trials.budget import Budget, Resources
from unstuck.trials.judge import settled
from unstuck.trials.plan import planned
from unstuck.trials.schedule import jobs_of, needed

BASE = {"gain": 0.0}


def train(recipe, seed):
    """A score that its seed moves by about 1 in both runs of a pair, and by 0.1 in each alone."""
    shared, own = random.Random(seed), random.Random(f"{seed} {recipe['gain']}")
    return {"score": shared.gauss(recipe["gain"], 1.0) + own.gauss(0.0, 0.1)}


def sleep(recipe, seed):
    time.sleep(60)
    return {"score": 0.0}


def trial(out, treatments, places=1, at_once=100, latest=False, **fields):
    fields = {"metric": "score", "higher_is_better": True, "seeds": 12, "progress": False, **fields}
    made = []

    def executor(subject, metric):
        made.append(Here(train, metric, places, at_once, latest))
        return made[-1]

    result = unstuck.trial(
        train, BASE, treatments, out=out, cache=False, executor=executor, **fields
    )
    return result, made[0]


def test_a_clear_trial_ends_before_its_last_pair_and_says_the_same(tmp_path):
    early, here = trial(tmp_path / "early", {"better": {"gain": 1.0}})
    all_pairs, there = trial(tmp_path / "all", {"better": {"gain": 1.0}}, stop_early=False)
    assert [v.word for v in (*early.verdicts, *all_pairs.verdicts)] == ["helped", "helped"]
    assert len(there.started) == 24
    assert len(here.started) <= 12 and here.stopped
    assert len(early.outcomes) == 2 * early.verdicts[0].pairs
    assert early.verdicts[0].planned_pairs == 12
    assert load_trial(tmp_path / "early") == early


def test_arms_end_one_by_one_and_the_baseline_with_the_last(tmp_path):
    arms = {"better": {"gain": 1.0}, "worse": {"gain": -1.0}, "same": {"gain": 1e-9}}
    result, here = trial(tmp_path, arms)
    words = {v.treatment.name: v.word for v in result.verdicts}
    assert (words["better"], words["worse"]) == ("helped", "harmed")
    runs = {arm: sum(a == arm for a, _ in here.started) for arm in ("baseline", *arms)}
    assert runs["better"] < 12 and runs["worse"] < 12
    assert runs["baseline"] == runs["same"] > runs["better"]


def test_runs_of_a_settled_arm_that_are_under_way_are_ended(tmp_path):
    arms = {"better": {"gain": 1.0}, "same": {"gain": 1e-9}}
    result, here = trial(tmp_path, arms, places=12, at_once=1)
    ended = {arm for arm, _ in here.cancelled}
    assert "better" in ended
    assert {(o.arm, o.seed) for o in result.outcomes}.isdisjoint(here.cancelled)
    assert result.verdicts[0].word == "helped"


def test_the_order_in_which_runs_end_does_not_change_the_verdict(tmp_path):
    arms = {"better": {"gain": 0.15}, "worse": {"gain": -1.0}}
    one, _ = trial(tmp_path / "one", arms)
    many, _ = trial(tmp_path / "many", arms, places=9, at_once=2, latest=True)
    for a, b in zip(one.verdicts, many.verdicts, strict=True):
        assert (a.word, a.effect, a.low, a.high, a.pairs) == (
            b.word,
            b.effect,
            b.low,
            b.high,
            b.pairs,
        )


def test_what_is_needed_is_seed_by_seed_until_each_verdict_is_settled(tmp_path):
    plan = planned("score", BASE, {"a": {"gain": 1.0}, "b": {"gain": 2.0}}, 2, stop_early=True)
    jobs = jobs_of(plan, tmp_path)
    order = [(job.arm, job.seed) for job in needed(plan, jobs, (), {})]
    assert order == [(arm, seed) for seed in (0, 1) for arm in ("baseline", "a", "b")]
    left = [(job.arm, job.seed) for job in needed(plan, jobs, (), {"a": 1})]
    assert left == [("baseline", 0), ("b", 0), ("baseline", 1), ("b", 1)]
    assert needed(plan, jobs, (), {"a": 1, "b": 2}) == []


def test_a_budget_of_runs_ends_in_order_and_more_may_be_spent_later(tmp_path):
    arms = {"better": {"gain": 1.0}}
    first, here = trial(tmp_path, arms, runs=5, stop_early=False, seeds=4)
    assert len(here.started) == len(first.outcomes) == 5
    (verdict,) = first.verdicts
    assert (verdict.word, verdict.more_pairs) == ("undecided", 2)
    assert "2 of 4 planned pairs are done" in verdict.note
    again, there = trial(tmp_path, arms, runs=100, stop_early=False, seeds=4)
    assert set(there.started).isdisjoint(here.started)
    assert len(again.outcomes) == 8 and again.verdicts[0].word == "helped"
    assert settled(again.plan, again.outcomes) == {"better": 4}


def test_a_budget_that_is_spent_is_said(tmp_path, capsys):
    trial(tmp_path, {"better": {"gain": 1.0}}, runs=1, progress=True)
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("the budget of 1 run is spent after 1 of 24 runs; to resume, run the ")


def test_when_the_time_is_up_what_runs_is_ended(tmp_path):
    begun = time.monotonic()
    result = unstuck.trial(
        sleep, BASE, {"a": {"gain": 1.0}}, metric="score", seeds=2, out=tmp_path, seconds=0.5,
        cache=False, progress=False,
    )  # fmt: skip
    assert time.monotonic() - begun < 50
    assert result.outcomes == () and result.verdicts[0].word == "undecided"


def test_no_run_is_begun_that_would_not_end_in_time():
    now = [0.0]
    budget = Budget(seconds=10.0, clock=lambda: now[0])
    assert not budget.spent() and not budget.over
    budget.begin()
    now[0] = 6.0
    budget.took(6.0)
    assert budget.spent() == "10 s" and not budget.over  # another one would take 6 of 4 seconds
    now[0] = 10.0
    assert budget.over
    few = Budget(runs=1)
    assert not few.spent()
    few.begin()
    assert few.spent() == "1 run" and not few.over


WRONG = {
    "workers must be at least 1, not 0": {"workers": 0},
    "workers must be a whole number, not 1.5": {"workers": 1.5},
    "workers must be a whole number, not True": {"workers": True},
    "runs must be at least 1, not -3": {"runs": -3},
    "seconds must be above 0, not 0": {"seconds": 0},
    "seconds must be above 0, not nan": {"seconds": float("nan")},
    "seconds must be a number, not '3'": {"seconds": "3"},
    "gpus must be 0 or more, not -1": {"gpus": -1, "ray": "auto"},
    "gpus shares out the GPUs of a Ray cluster": {"gpus": 0.5},
}


@pytest.mark.parametrize("message", WRONG)
def test_what_a_trial_cannot_use_is_said_in_one_line(tmp_path, message):
    with pytest.raises(PlanError) as caught:
        Resources(**WRONG[message])
    assert message in str(caught.value) and "\n" not in str(caught.value)
    with pytest.raises(PlanError):
        unstuck.trial(
            train, BASE, {"a": {}}, metric="score", seeds=2, out=tmp_path / "t", **WRONG[message]
        )
    assert not (tmp_path / "t").exists()
