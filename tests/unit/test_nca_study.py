"""The study's arms are recipes, its claims name them, and its verdicts follow from intervals."""

import pytest

from unstuck import Treatment, Verdict
from unstuck.cases.nca import study
from unstuck.cases.nca.faults import FAULTS, GROWING, TREATMENTS
from unstuck.cases.nca.recipe import made
from unstuck.cases.nca.study_arms import CLAIMS, REPAIRED, TRIALS


@pytest.mark.parametrize("trial", TRIALS)
def test_every_arm_is_a_recipe_that_differs_from_its_baseline(trial):
    base, arms = TRIALS[trial]
    found = {arm: made({**base, **changes}) for arm, changes in arms.items()}
    assert made(base) not in found.values()
    assert len(set(found.values())) == len(found)


def test_the_repaired_form_is_reached_from_the_reported_one_and_from_the_notes():
    for trial in ("alone", "advice"):
        base, arms = TRIALS[trial]
        assert made({**base, **arms["repaired"]}) == made(REPAIRED)


def test_every_claim_names_an_arm_that_is_run():
    for claim in CLAIMS:
        assert claim.arm in TRIALS[claim.trial][1]


def test_every_fault_is_a_recipe_and_every_treatment_answers_one():
    forms = {code: {**GROWING, **changes} for changes, (code, *_) in FAULTS.values()}
    assert len(forms) == len(FAULTS) == 6
    for treatment in TREATMENTS:
        (code,) = treatment.answers
        assert made({**forms[code], **treatment.changes}) != made(forms[code])


@pytest.mark.parametrize(
    ("says", "low", "high", "word"),
    [
        ("better", 0.01, 0.02, "supported"),
        ("better", -0.02, 0.02, "refuted"),
        ("better", -0.2, 0.2, "undecided"),
        ("worse", -0.2, -0.1, "supported"),
        ("worse", 0.1, 0.2, "refuted"),
        ("same", -0.04, 0.04, "supported"),
        ("same", 0.06, 0.2, "refuted"),
        ("same", -0.1, 0.2, "undecided"),
        ("cured", 0.31, 0.5, "supported"),
        ("cured", 0.1, 0.2, "refuted"),
        ("cured", 0.1, 0.4, "undecided"),
    ],
)
def test_verdicts(says, low, high, word):
    treatment = Treatment("a", "a", {"lr": 1.0}, "it helps", ())
    verdict = Verdict(treatment, "undecided", (low + high) / 2, low, high, 0.95, 0.5, 5)
    assert study.said(says, verdict) == word
