"""The study's arms are recipes, its claims name them, and its verdicts follow from intervals."""

import pytest

from unstuck.cases.zi2zi import study, study_tables
from unstuck.cases.zi2zi.faults import FAULTS, TREATMENTS
from unstuck.cases.zi2zi.recipe import PRESETS, made
from unstuck.cases.zi2zi.study_arms import BASES, CLAIMS, SMALL, TRIALS
from unstuck.cases.zi2zi.study_tables import Effect, verdict

UP, DOWN, WIDE = Effect(0.01, 0.005, 0.015), Effect(-0.01, -0.015, -0.005), Effect(0, -0.1, 0.1)
TINY_L1, TINY_FRECHET = Effect(0.0, -0.001, 0.001), Effect(0.0, -1.0, 1.0)


@pytest.mark.parametrize("trial", TRIALS)
def test_every_arm_is_a_recipe_that_differs_from_its_baseline(trial):
    preset, arms = TRIALS[trial]
    base = made(PRESETS[preset].flat() | dict(SMALL) | dict(BASES.get(trial, {})))
    found = {arm: made(base.flat() | dict(changes)) for arm, changes in arms.items()}
    assert base not in found.values()
    assert len(set(found.values())) == len(found)


def test_every_claim_names_arms_that_are_run():
    for claims in CLAIMS.values():
        for claim in claims:
            arms = TRIALS[claim.trial][1]
            assert claim.arm in arms
            assert claim.against == "baseline" or claim.against in arms


def test_every_fault_is_a_recipe_and_every_treatment_answers_one():
    for changes, _ in FAULTS.values():
        assert made(PRESETS["repaired"].flat() | dict(changes)) != PRESETS["repaired"]
    named = {code for _, codes in FAULTS.values() for code in codes}
    for treatment in TREATMENTS:
        assert named & set(treatment.answers)
        made(PRESETS["repaired"].flat() | dict(treatment.changes))


@pytest.mark.parametrize(
    ("says", "l1", "frechet", "said"),
    [
        ("better", DOWN, WIDE, "supported"),
        ("better", UP, WIDE, "refuted"),
        ("better", WIDE, WIDE, "undecided"),
        ("worse", UP, UP, "supported"),
        ("worse", WIDE, DOWN, "refuted"),
        ("better", DOWN, UP, "depends on the measure: L1 for, Frechet (MobileNetV2) against"),
        ("same", TINY_L1, TINY_FRECHET, "supported"),
        ("same", Effect(0.01, 0.005, 0.015), TINY_FRECHET, "refuted"),
        ("same", TINY_L1, Effect(0, -50.0, 50.0), "undecided"),
    ],
)
def test_verdicts(says, l1, frechet, said):
    assert verdict(says, {"l1": l1, "frechet": frechet}) == said


def test_differences_are_paired_by_seed():
    assert study_tables.Effect(0.01, 0.005, 0.015).shown(3) == "**+0.010 (+0.005 to +0.015)**"
    assert study_tables.Effect(0.01, -0.005, 0.025).shown(3) == "+0.010 (-0.005 to +0.025)"


def test_a_wrong_option_is_said_in_one_line(capsys):
    assert study.main(["--set", "lambda=1"]) == 2
    said = capsys.readouterr().err
    assert "unknown key 'lambda'" in said and said.count("\n") == 1
