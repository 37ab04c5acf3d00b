"""How a trial that may stop early is shown: the pairs it used beside those it planned."""

import json
from io import StringIO

from rich.console import Console

from unstuck.records import Diagnosis, Outcome, Plan, Run, Treatment, Trial
from unstuck.report import as_json, sections, terminal
from unstuck.trials.judge import judge

SCORES = {
    "baseline": [1.0, 2.1, 3.2, 1.9, 2.2, 2.8, 1.2, 0.7],
    "strong": [9.1, 10.0, 11.3, 9.8, 10.4, 10.7, 9.0, 8.9],
    "idle": [1.1, 1.9, 3.4, 1.8, 2.1, 2.9, 1.0, 0.8],
}


def trial_of(stop_early):
    treatments = tuple(Treatment(name, "", {}, "") for name in list(SCORES)[1:])
    plan = Plan("score", {}, treatments, tuple(range(8)), stop_early=stop_early)
    outcomes = tuple(
        Outcome(arm, seed, {"score": value})
        for arm, column in SCORES.items()
        for seed, value in enumerate(column)
    )
    return Trial(plan, outcomes, judge(plan, outcomes))


def shown(trial):
    out = StringIO()
    terminal.print_trial(trial, Console(file=out, width=100, highlight=False))
    return out.getvalue()


def test_the_terminal_and_the_page_show_pairs_used_of_pairs_planned():
    trial = trial_of(stop_early=True)
    used = {v.treatment.name: v.pairs for v in trial.verdicts}
    assert used["strong"] < 8
    text = shown(trial)
    for name, pairs in used.items():
        (line,) = [row for row in text.splitlines() if row.startswith(f"{name} ")]
        assert f"{pairs} of 8" in line
    assert [row["pairs"] for row in sections.verdicts(trial)] == [
        f"{pairs} of 8" for pairs in used.values()
    ]


def test_a_trial_with_one_look_is_shown_as_ever():
    trial = trial_of(stop_early=False)
    assert "8 pairs each" in shown(trial)
    assert "of 8" not in shown(trial)
    assert [row["pairs"] for row in sections.verdicts(trial)] == ["8", "8"]


def test_json_has_the_plan_and_the_numbers_of_pairs():
    trial = trial_of(stop_early=True)
    written = json.loads(as_json.dumps(Diagnosis(Run({}), ()), trial))["trial"]
    assert written["plan"]["stop_early"] is True
    assert [v["planned_pairs"] for v in written["verdicts"]] == [8, 8]
    assert [v["pairs"] for v in written["verdicts"]] == [v.pairs for v in trial.verdicts]
