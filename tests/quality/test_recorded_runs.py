"""Diagnoses of the small recorded trainings (scripts/record_runs.py), run by run.

Sick runs name the planted code first; healthy ones raise no alarm.
"""

from pathlib import Path

import pytest
from recorded import read, run_of, until

from unstuck import Run, Series, catalog, diagnose

FOLDER = Path(__file__).resolve().parent.parent / "runs"
FILES = sorted(FOLDER.glob("*.json.gz"))
LARGEST = 40_000  # bytes of one file
LARGEST_ALL = 4_500_000


def load(path):
    """A recorded run and the code planted in it (None: healthy)."""
    kept = read(path)
    return run_of(kept), kept["expected"]


RUNS = {path.name.removesuffix(".json.gz"): load(path) for path in FILES}
SICK = [name for name, (_, expected) in RUNS.items() if expected]
HEALTHY = [name for name, (_, expected) in RUNS.items() if not expected]


@pytest.mark.parametrize("name", SICK)
def test_a_sick_run_names_its_planted_code_first(name):
    run, expected = RUNS[name]
    causes = diagnose(run).causes
    assert causes and causes[0].finding.code == expected
    assert causes[0].finding.severity != "info"
    assert all(e.holds() for f in diagnose(run).findings for e in f.evidence)


@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_run_raises_no_alarm(name):
    alarms = diagnose(RUNS[name][0]).at_least("warning")
    assert not alarms, [f.message for f in alarms]


@pytest.mark.parametrize("name", SICK)
def test_half_the_losses_give_the_same_first_cause(name):
    run, expected = RUNS[name]
    half = {n: Series(n, s.step[::2], s.value[::2]) for n, s in run.series.items() if len(s) > 60}
    kept = {
        n: s for n, s in run.series.items() if n not in half
    }  # what the watcher samples sparsely
    causes = diagnose(Run({**kept, **half}, facts=run.facts)).causes
    assert causes and causes[0].finding.code == expected


@pytest.mark.parametrize("name", HEALTHY)
@pytest.mark.parametrize("share", [0.2, 0.5])
def test_a_healthy_run_raises_no_alarm_while_it_is_still_young(name, share):
    alarms = diagnose(until(RUNS[name][0], share)).at_least("warning")
    assert not alarms, [f.message for f in alarms]


def test_every_detector_has_its_sick_run():
    planted = {expected for _, expected in RUNS.values()} - {None}
    assert planted == {d.code for d in catalog.detectors()}


def test_every_detector_that_can_look_is_silent_on_healthy_runs_it_could_look_at():
    looked = {d.code: 0 for d in catalog.detectors()}
    for name in HEALTHY:
        for detector in catalog.detectors():
            looked[detector.code] += not detector.missing(RUNS[name][0])
    assert min(looked.values()) >= 1, looked


def test_recorded_runs_stay_small():
    assert sum(path.stat().st_size for path in FILES) < LARGEST_ALL
    assert all(path.stat().st_size < LARGEST for path in FILES)
