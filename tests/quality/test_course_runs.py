"""The course's recorded runs (`make course`, `make corpus`): five seeds of every item, healthy and
with each fault. What is found in them is test_corpus.py's.
"""

from pathlib import Path

import pytest
from recorded import read, run_of

from unstuck import diagnose

FOLDER = Path(__file__).resolve().parent.parent / "runs" / "course"
FILES = sorted(FOLDER.glob("*.json.gz"))
LARGEST = 350_000  # bytes of one item's file
LARGEST_ALL = 8_000_000
KEPT = [(path.name.removesuffix(".json.gz"), kept) for path in FILES for kept in read(path)]


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
