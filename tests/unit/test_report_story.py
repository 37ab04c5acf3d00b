import doctest
from dataclasses import replace

import pytest
import report_sample as sample

from unstuck import catalog
from unstuck.records import Diagnosis, Finding, Run, Treatment, Unchecked, Verdict
from unstuck.report import story, text


@pytest.mark.parametrize("module", [story, text])
def test_the_examples_in_the_docstrings_are_true(module):
    result = doctest.testmod(module)
    assert result.attempted and not result.failed


def verdict(effect: float, low: float, high: float) -> Verdict:
    return Verdict(sample.treatments()[0], "undecided", effect, low, high, 0.95, 0.1, 3)


@pytest.mark.parametrize(
    ("numbers", "told"),
    [
        ((3.6249, 3.1, 4.14), ("+3.6 dB", "3.1 to 4.1")),
        ((0.02, -0.05, 0.09), ("+0.02 dB", "-0.05 to 0.09")),
        ((-1234.5, -2000.0, -469.0), ("-1,200 dB", "-2,000 to -500")),
        ((0.0, 0.0, 0.0), ("0 dB", "0 to 0")),
        ((1.0, float("-inf"), float("inf")), ("1 dB", "-inf to inf")),
        ((1.0, float("nan"), float("nan")), ("1 dB", "NaN to NaN")),
    ],
)
def test_an_effect_is_told_as_precisely_as_its_interval_allows(numbers, told):
    it = verdict(*numbers)
    assert (story.effect(it, "dB"), story.interval(it)) == told


def test_names_and_leads_come_from_the_detectors():
    for detector in catalog.detectors():
        assert story.name_of(detector.code) == detector.name
        assert story.lead_of(detector.code)
    assert story.name_of("XXX999") == story.lead_of("XXX999") == ""


def test_looked_for_and_not_checked_add_up_to_all_detectors():
    codes = [d.code for d in catalog.detectors()]
    missed = tuple(Unchecked(code, ("loss/*",)) for code in codes[:3])
    told = story.checked(Diagnosis(sample.run(), (), missed))
    assert told == f"{len(codes) - 3} pathologies looked for, 3 not checked"


@pytest.mark.parametrize(
    ("where", "told"),
    [("conv1", "conv1 is dead"), ("", "conv1 is dead"), ("G", "conv1 is dead (G)")],
)
def test_a_message_names_its_place_once(where, told):
    assert story.message(Finding("ACT001", where, "conv1 is dead", ())) == told


def test_changes_say_from_what_to_what():
    it = Treatment("t", "r", {"lr": 1e-4, "weight/loss/a": "x0.1", "lr/adam": 0.5, "new": True}, "")
    assert story.changes(it, {"lr": 1e-3}) == [
        "lr 0.001 → 0.0001",
        "weight/loss/a \N{MULTIPLICATION SIGN} 0.1",
        "lr/adam → 0.5",
        "new → True",
    ]


def test_the_proven_treatment_removed_the_finding_and_helped_most():
    trial = sample.trial()
    assert story.proven(trial).treatment.name == "lower-content-weight"
    assert story.proven(None) is None
    first, *rest = trial.verdicts
    kept = replace(trial, verdicts=(replace(first, lost_finding=4), *rest))
    assert story.proven(kept).treatment.name == rest[1].treatment.name  # less effect, but cured
    nobody = tuple(replace(v, lost_finding=None, had_finding=None) for v in trial.verdicts)
    assert story.proven(replace(trial, verdicts=nobody)).treatment.name == "lower-content-weight"


def test_what_no_log_can_hold_is_one_lack_of_a_log():
    log = Run({}, facts={"source/format": "csv-table"})
    missed = (
        Unchecked("ACT001", ("activation/*/dead_fraction",)),
        Unchecked("GRD001", ("grad_norm/*/*",)),
        Unchecked("OPT006", ("lr/*",)),
    )
    told = story.unchecked_groups(Diagnosis(log, (), missed))
    assert told == [((story.WATCHED,), ["ACT001", "GRD001"]), (("lr/*",), ["OPT006"])]
    watched = story.unchecked_groups(Diagnosis(Run({}), (), missed))
    assert len(watched) == 3
