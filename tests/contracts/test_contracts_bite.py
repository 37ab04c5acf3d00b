"""A contract nobody can break protects nothing: each broken subject must fail its check."""

import sys
import time
from dataclasses import replace
from itertools import count
from types import ModuleType

import detector_contract as contract
import pytest
import remedy_contract

from unstuck import catalog
from unstuck.records import Finding, Treatment

GOOD = next(d for d in catalog.detectors() if d.code == "ACT001")
LIVE = next(r for r in catalog.remedies() if r.name == "lower-learning-rate")
ADVICE = next(r for r in catalog.remedies() if r.name == "use-leaky-activation")


def with_body(good, function):
    """A good one with another body but the same page and name."""
    function.__module__, function.__name__ = good.function.__module__, good.function.__name__
    return replace(good, function=function)


def with_page(good, change):
    """A good one whose file says something else."""
    original = sys.modules[good.function.__module__]
    module = ModuleType(f"{original.__name__}_{next(CALLS)}", change(original.__doc__))
    module.__dict__.update({k: v for k, v in vars(original).items() if k.isupper()})
    sys.modules[module.__name__] = module

    def body(*args):
        return good.function(*args)

    body.__module__, body.__name__ = module.__name__, good.function.__name__
    return replace(good, function=body)


CALLS = count()


def moody(run):
    return GOOD(run) * (next(CALLS) % 2)


def liar(run):
    return [replace(f, evidence=(replace(f.evidence[0], limit=2.0),)) for f in GOOD(run)]


def vague(run):
    return [replace(f, message="something is wrong") for f in GOOD(run)]


def chatty(run):
    return [replace(f, message=f.message + " and so on" * 20) for f in GOOD(run)]


def copies_names(run):
    name = next(iter(run.series))
    return [replace(f, message=f"{name} is at 1") for f in GOOD(run)]


def alarmist(run):
    evidence = GOOD(run)[0].evidence if GOOD(run) else ()
    return [Finding("ACT001", "everywhere", "something is wrong", evidence)]


def counts_rows(run):
    return [f for f in GOOD(run) if len(f.evidence[0].series) > 60]


def borrowed_code(run):
    return [replace(f, code="ACT002") for f in GOOD(run)]


def deaf(run):
    return []


def needs_every_reading(run):
    return [f for f in GOOD(run) if f.evidence[0].series.step[1] == 1]


def divides(run):
    return GOOD(run) if all(1 / s.value.tolist()[0] for s in run.series.values()) else []


def slow(run):
    time.sleep(6 if max((len(s) for s in run.series.values()), default=0) > 10_000 else 0)
    return GOOD(run)


def ignores_thresholds(run):
    series = [s for s in run.series.values() if s.name.endswith("dead_fraction")]
    return [
        Finding("ACT001", s.name, "", ())
        for s in series
        if len(s) > 1 and s.value[-1] > 0.95 and s.value[20] > 0.9
    ]


BROKEN = [
    (replace(GOOD, code="dead"), contract.check_code_and_name),
    (with_page(GOOD, str.upper), contract.check_page_opens_with_code_and_name),
    (
        with_page(GOOD, lambda page: page.replace("## Look-alikes", "")),
        contract.check_page_has_every_section_in_order,
    ),
    (with_body(GOOD, deaf), contract.check_examples_show_one_sick_and_one_healthy_run),
    (replace(GOOD, needs=("zero_share/*",)), contract.check_says_what_it_reads_in_known_names),
    (replace(GOOD, needs=()), contract.check_says_what_it_reads_in_known_names),
    (with_body(GOOD, moody), contract.check_pure),
    (with_body(GOOD, liar), contract.check_findings_carry_own_code_and_true_evidence),
    (with_body(GOOD, borrowed_code), contract.check_findings_carry_own_code_and_true_evidence),
    (with_body(GOOD, vague), contract.check_message_is_short_and_has_a_number),
    (with_body(GOOD, chatty), contract.check_message_is_short_and_has_a_number),
    (with_body(GOOD, copies_names), contract.check_message_is_short_and_has_a_number),
    (with_body(GOOD, alarmist), contract.check_quiet_on_a_single_reading),
    (with_body(GOOD, alarmist), contract.check_quiet_on_an_empty_series),
    (with_body(GOOD, alarmist), contract.check_examples_run),
    (replace(GOOD, reads_nan=True), contract.check_leaves_nan_to_its_own_code),
    (with_body(GOOD, divides), contract.check_survives_odd_values),
    (with_body(GOOD, needs_every_reading), contract.check_survives_skipped_readings),
    (with_body(GOOD, counts_rows), contract.check_logging_less_often_does_not_change_the_diagnosis),
    (with_body(GOOD, slow), contract.check_a_million_readings_take_seconds),
    (with_body(GOOD, ignores_thresholds), contract.check_every_threshold_is_pinned_from_both_sides),
    (
        with_page(GOOD, lambda page: page.replace("`lower-learning-rate`", "`pray`")),
        contract.check_what_to_try_exists,
    ),
]


@pytest.mark.parametrize(
    "detector, check", BROKEN, ids=lambda v: getattr(v, "__name__", None) or v.function.__name__
)
def test_broken_detector_is_caught(detector, check):
    with pytest.raises((AssertionError, ArithmeticError, RuntimeWarning)):
        check(detector)


def test_every_detector_check_but_one_has_a_broken_subject():
    bitten = {check for _, check in BROKEN}
    # a threshold without a comment is read from the source of a file, which is not made up here
    assert set(contract.CHECKS) - bitten == {contract.check_every_threshold_has_an_origin}


def treats_anything(run, finding):
    return [Treatment("x", LIVE.name, {"lr/adam": "x0.1"}, "better", (finding.code,))]


def treats_with_words(run, finding):
    return [replace(t, changes={"lr/optimizer_D": "less"}) for t in LIVE(run, finding)]


def treats_nothing(run, finding):
    return []


def acts(run, finding):
    return [Treatment("x", ADVICE.name, {"width": 2}, "better", (finding.code,))]


BROKEN_REMEDIES = [
    (
        with_body(LIVE, treats_anything),
        remedy_contract.check_treatments_are_live_changes_of_this_run,
    ),
    (
        with_body(LIVE, treats_anything),
        remedy_contract.check_silent_where_the_run_lacks_what_it_changes,
    ),
    (with_body(LIVE, treats_anything), remedy_contract.check_examples_run),
    (with_body(LIVE, treats_nothing), remedy_contract.check_acts_on_a_plausible_run),
    (with_body(ADVICE, acts), remedy_contract.check_advice_changes_nothing),
    (
        replace(LIVE, answers=("GEN001",)),
        remedy_contract.check_answers_known_codes_whose_pages_name_it,
    ),
    (replace(LIVE, answers=()), remedy_contract.check_answers_known_codes_whose_pages_name_it),
    (with_page(LIVE, str.upper), remedy_contract.check_page_opens_with_its_name),
    (
        with_page(LIVE, lambda page: page.replace("## Origin", "")),
        remedy_contract.check_page_has_every_section_in_order,
    ),
    (with_page(LIVE, lambda page: page), remedy_contract.check_file_is_named_after_it),
]


@pytest.mark.parametrize("remedy, check", BROKEN_REMEDIES, ids=lambda v: getattr(v, "__name__", ""))
def test_broken_remedy_is_caught(remedy, check):
    with pytest.raises(AssertionError):
        check(remedy)


def test_a_treatment_must_be_a_number_or_a_multiple():
    with pytest.raises((AssertionError, ValueError)):
        broken = with_body(LIVE, treats_with_words)
        remedy_contract.check_treatments_are_live_changes_of_this_run(broken)


def test_a_remedy_named_after_a_thing_is_caught():
    def learning_rate(run, finding):
        return []

    with pytest.raises(AssertionError):
        remedy_contract.check_name_is_an_order(replace(LIVE, function=learning_rate))
