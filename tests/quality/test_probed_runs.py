"""What probes find in healthy trainings (scripts/probe_runs.py): nobody raises an alarm over it."""

from dataclasses import replace
from pathlib import Path

import pytest
from recorded import read, run_of

from unstuck import Run, diagnose

FOLDER = Path(__file__).resolve().parent.parent / "runs"
PROBED = read(FOLDER / "probed" / "healthy.json.gz")
LARGEST = 150_000  # bytes
CLIPPED = {"probed_at_a_rate_that_clipping_holds"}  # no probe knows; the run's own loss does
MOST_LEFT_OUT = 0.1  # of the trainings: what cannot be taped, such as steps inside of steps


def recorded(name):
    """The run as it was recorded; of an item of the course nothing beside what was probed."""
    if name.startswith("course."):
        return Run({})
    kept = read(FOLDER / f"{name}.json.gz")
    assert kept["expected"] is None
    return run_of(kept)


@pytest.mark.parametrize("name", PROBED)
def test_what_probes_find_in_a_healthy_run_raises_no_alarm(name):
    run = recorded(name)
    joined = replace(run, facts={**run.facts, **PROBED[name]})
    alone = [] if name in CLIPPED else [Run({}, facts=PROBED[name])]
    for seen in (joined, *alone):
        alarms = diagnose(seen).at_least("warning")
        assert not alarms, [f"{f.code} {f.message}" for f in alarms]


def test_nearly_all_healthy_trainings_can_be_probed():
    left_out = [
        name
        for name, facts in PROBED.items()
        if not any(str(v).startswith("probed") for n, v in facts.items() if n.startswith("probed/"))
    ]
    assert len(left_out) <= MOST_LEFT_OUT * len(PROBED), left_out


def test_every_part_of_them_is_there_and_small():
    assert len(PROBED) >= 100
    assert (FOLDER / "probed" / "healthy.json.gz").stat().st_size < LARGEST
