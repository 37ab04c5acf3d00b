"""Diagnoses of the course's recorded runs (`make course`, `make corpus`): five seeds of every item,
healthy and with each fault. `pytest -s` prints what is found where.

Alarms on healthy runs are worse than misses: the bars are shares over all runs, and every run that
misses them is printed.
"""

from collections import Counter
from pathlib import Path

import pytest
from recorded import read, run_of, until

from unstuck import catalog, diagnose

FOLDER = Path(__file__).resolve().parent.parent / "runs" / "course"
FILES = sorted(FOLDER.glob("*.json.gz"))
LARGEST = 350_000  # bytes of one item's file
LARGEST_ALL = 4_000_000
MOST_WARNED = 0.03  # of the healthy runs
LEAST_NAMED = 0.80  # of the sick runs whose code has a detector
KNOWN = {d.code for d in catalog.detectors()}

KEPT = [(path.name.removesuffix(".json.gz"), kept) for path in FILES for kept in read(path)]
HEALTHY = [(item, kept) for item, kept in KEPT if kept["form"] == "healthy"]
SICK = [(item, kept) for item, kept in KEPT if KNOWN & set(kept["codes"])]


def label(item, kept):
    return f"{item} {kept['form']} {kept['seed']}"


def alarms(run):
    return [f"{f.code} {f.message}" for f in diagnose(run).at_least("warning")]


@pytest.mark.parametrize("share", [0.25, 0.5, 1.0])
def test_healthy_runs_raise_next_to_no_alarm(share):
    warned = {}
    for item, kept in HEALTHY:
        found = alarms(until(run_of(kept), share))
        if found:
            warned[label(item, kept)] = found
    print(f"\n{len(warned)} of {len(HEALTHY)} healthy runs warned at {share:.0%}: {warned}")
    assert len(HEALTHY) >= 150
    assert len(warned) <= MOST_WARNED * len(HEALTHY)


def test_sick_runs_name_their_code_first():
    missed, by_form = {}, Counter()
    for item, kept in SICK:
        found = [c.finding for c in diagnose(run_of(kept)).causes]
        causes = [finding.code for finding in found if finding.severity != "info"]
        right = bool(causes) and causes[0] in kept["codes"]
        by_form[item, kept["form"], right] += 1
        if not right:
            missed[label(item, kept)] = (kept["codes"], causes)
    print(f"\n{len(SICK) - len(missed)} of {len(SICK)} sick runs named; missed: {missed}")
    assert len(SICK) >= 50
    assert len(SICK) - len(missed) >= LEAST_NAMED * len(SICK)


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name.removesuffix(".json.gz"))
def test_all_evidence_holds(path):
    for kept in read(path):
        findings = diagnose(run_of(kept)).findings
        assert all(e.holds() for f in findings for e in f.evidence)


def test_every_run_has_the_command_that_made_it():
    for item, kept in KEPT:
        words = f"unstuck case run course/{item} --seed {kept['seed']}"
        fault = "" if kept["form"] == "healthy" else f" --fault {kept['form']}"
        assert kept["command"] == words + fault


def test_recorded_runs_stay_small():
    assert sum(path.stat().st_size for path in FILES) < LARGEST_ALL
    assert all(path.stat().st_size < LARGEST for path in FILES)
