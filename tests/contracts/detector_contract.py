"""What every detector promises. Each check takes a detector and raises AssertionError.

Used on the real detectors by test_every_detector.py and on deliberately broken ones by
test_contracts_bite.py.
"""

import doctest
import inspect
import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from unittest.mock import patch

import numpy as np

from unstuck import catalog
from unstuck.detector import Detector
from unstuck.records import SEVERITIES, Run, Series
from unstuck.vocabulary import FACTS, SERIES

SECTIONS = (
    "Why is this bad?",
    "How it is detected",
    "Example",
    "Look-alikes",
    "What to try",
    "References",
)
NAMES_A_CURE = re.compile(r"^(use|avoid|prefer|reduce|increase|check|detect)-|-(detector|check)$")
LONGEST_MESSAGE = 120
LONG = 1_000_000  # readings
SECONDS_FOR_LONG = 5.0  # a slow detector takes minutes; a busy machine takes some seconds


def sick_runs(detector: Detector) -> list[Run]:
    """Runs on which the detector fires: those of its own Example."""
    return [run for run in example_runs(detector) if detector(run)]


def example_runs(detector: Detector) -> list[Run]:
    """Every run that the page's examples hand to the detector."""
    seen: list[Run] = []
    spy = replace(detector, function=lambda run: (seen.append(run), detector(run))[1])
    run_examples(detector, spy)
    return seen


def run_examples(detector: Detector, stand_in: Detector) -> int:
    names = {detector.function.__name__: stand_in, "Run": Run}
    example = doctest.DocTestParser().get_doctest(detector.page, names, detector.code, None, 0)
    runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.NORMALIZE_WHITESPACE)
    return runner.run(example, out=lambda text: None).failed


def remade(run: Run, change: Callable[[Series], Series]) -> Run:
    return replace(run, series={name: change(s) for name, s in run.series.items()})


def verdict(detector: Detector, run: Run) -> list[tuple[str, str]]:
    return sorted((f.where, f.severity) for f in detector(run))


def first_reading(s: Series) -> Series:
    return replace(s, step=s.step[:1], value=s.value[:1])


def all_nan(s: Series) -> Series:
    return replace(s, value=np.full_like(s.value, np.nan))


def stretched(s: Series) -> Series:
    value = np.repeat(s.value, -(-LONG // len(s)))[:LONG]
    return replace(s, step=np.arange(value.size), value=value)


def constants(detector: Detector) -> Iterator[tuple[str, float]]:
    """The numbers the detector's own file names, not those it imports."""
    module = sys.modules[detector.function.__module__]
    for name in re.findall(r"^([A-Z_]+) = ", inspect.getsource(module), re.M):
        if isinstance(vars(module)[name], int | float):
            yield name, vars(module)[name]


# Checks --------------------------------------------------------------------------------


def check_code_and_name(detector):
    assert re.fullmatch(r"[A-Z]{3}\d{3}", detector.code)
    assert not NAMES_A_CURE.search(detector.name), "name the pathology, not the cure"


def check_page_opens_with_code_and_name(detector):
    assert re.match(rf"{detector.code} {detector.name}: .+[.]\n\n", detector.page)


def check_page_has_every_section_in_order(detector):
    assert tuple(re.findall(r"^## (.+)$", detector.page, re.M)) == SECTIONS


def check_examples_run(detector):
    assert run_examples(detector, detector) == 0


def check_examples_show_one_sick_and_one_healthy_run(detector):
    runs = example_runs(detector)
    assert any(detector(run) for run in runs) and any(not detector(run) for run in runs)


def check_says_what_it_reads_in_known_names(detector):
    assert detector.needs or detector.needs_facts
    known = [entry.pattern for entry in (*SERIES, *FACTS)]
    for run in example_runs(detector):
        assert not detector.missing(run)
    for pattern in (*detector.needs, *detector.needs_facts):
        head = pattern.split("/")[0]
        assert any(k.split("/")[0] == head for k in known), f"{pattern} is no known name"


def check_pure(detector):
    for run in example_runs(detector):
        assert detector(run) == detector(run)  # the arrays of a Series are read-only


def check_findings_carry_own_code_and_true_evidence(detector):
    for run in sick_runs(detector):
        for finding in detector(run):
            assert finding.code == detector.code
            assert finding.severity in SEVERITIES and finding.where
            assert finding.evidence and all(e.holds() for e in finding.evidence)


def check_message_is_short_and_has_a_number(detector):
    long_names = {"train": "t" * 90, "net": "n" * 90, "adam": "a" * 90}
    for run in sick_runs(detector):
        for finding in (*detector(run), *detector(renamed(run, long_names))):
            assert len(finding.message) <= LONGEST_MESSAGE, finding.message
            assert not finding.message.endswith(".") and re.search(r"\d", finding.message)


def renamed(run: Run, names: dict[str, str]) -> Run:
    """The run with some words in the names of its series and facts made very long."""

    def new(name: str) -> str:
        return re.sub(r"[a-z]+", lambda m: names.get(m[0], m[0]), name)

    series = {new(n): replace(s, name=new(n)) for n, s in run.series.items()}
    return replace(run, series=series, facts={new(n): v for n, v in run.facts.items()})


def with_series(detector):
    """The examples that are not of facts alone: a fact is a single number by nature."""
    return [run for run in example_runs(detector) if run.series]


def check_quiet_on_a_single_reading(detector):
    if detector.needs:
        for run in with_series(detector):
            assert not detector(remade(run, first_reading))


def check_quiet_on_an_empty_series(detector):
    if detector.needs:
        for run in with_series(detector):
            empty = remade(run, lambda s: replace(s, step=s.step[:0], value=s.value[:0]))
            assert not detector(empty)


def check_leaves_nan_to_its_own_code(detector):
    if detector.needs:
        for run in with_series(detector):
            assert bool(detector(remade(run, all_nan))) == detector.reads_nan


def check_survives_odd_values(detector):
    """Zeros, negative and enormous readings: no exception and no warning, which pytest raises."""
    for run in example_runs(detector):
        for factor in (0.0, -1.0, 1e300):
            with np.errstate(invalid="ignore"):  # infinity times zero, made here
                odd = remade(run, lambda s, factor=factor: replace(s, value=s.value * factor))
            detector(odd)
        detector(remade(run, lambda s: replace(s, value=np.full_like(s.value, np.inf))))


def check_survives_skipped_readings(detector):
    for run in sick_runs(detector):
        holed = remade(
            run, lambda s: replace(s, step=np.delete(s.step, 1), value=np.delete(s.value, 1))
        )
        assert len(detector(holed)) == len(detector(run))


def check_logging_less_often_does_not_change_the_diagnosis(detector):
    def thinned(s: Series) -> Series:
        return replace(s, step=s.step[::2], value=s.value[::2])

    for run in example_runs(detector):
        assert bool(detector(remade(run, thinned))) == bool(detector(run))


def check_a_million_readings_take_seconds(detector):
    if detector.needs:
        run = remade(sick_runs(detector)[0], stretched)
        began = time.perf_counter()
        detector(run)
        assert time.perf_counter() - began < SECONDS_FOR_LONG * max(1, len(run.series) / 4)


def check_every_threshold_is_pinned_from_both_sides(detector):
    """Half as much again, or a third less, must change the verdict on some example."""
    module = sys.modules[detector.function.__module__]
    runs = example_runs(detector)
    verdicts = [verdict(detector, run) for run in runs]
    for name, value in constants(detector):
        for factor in (1.5, 1 / 1.5):
            with patch.object(module, name, value * factor):
                changed = [verdict(detector, run) for run in runs] != verdicts
                assert changed, f"{name} * {factor:.2f} goes unnoticed"


def check_every_threshold_has_an_origin(detector):
    source = inspect.getsource(sys.modules[detector.function.__module__])
    for name, _ in constants(detector):
        assert re.search(rf"(#.*\n)?{name} = [^#\n]+  # \w+|#.*\n(#.*\n)*{name} = ", source), name


def check_what_to_try_exists(detector):
    advice = re.search(r"## What to try\n(.+?)\n##", detector.page, re.S)
    named = set(re.findall(r"`([a-z0-9-]+)`", advice[1] if advice else ""))
    answers = {r.name for r in catalog.remedies() if detector.code in r.answers}
    assert named and named <= answers, f"no remedy for {detector.code}: {named - answers}"


CHECKS = tuple(value for name, value in list(globals().items()) if name.startswith("check_"))
