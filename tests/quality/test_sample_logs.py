"""The samples of the log formats are small sound trainings, too: no alarm, young or done."""

from pathlib import Path

import pytest
from recorded import until

from unstuck import diagnose
from unstuck.load import load_all

LOGS = Path(__file__).resolve().parent.parent / "logs"
SAMPLES = sorted(sample for source in LOGS.iterdir() for sample in source.iterdir())
SICK = {"signs/fast~2"}  # run of a sweep whose rate is too high


@pytest.mark.parametrize("share", [0.25, 0.5, 1.0])
@pytest.mark.parametrize("sample", SAMPLES, ids=lambda p: f"{p.parent.name}/{p.name}")
def test_samples_of_sound_trainings_raise_no_alarm(sample, share):
    for run in load_all(sample):
        alarms = diagnose(until(run, share)).at_least("warning")
        sick = any(run.name.endswith(name) for name in SICK)
        assert sick or not alarms, [f"{run.name}: {f.code} {f.message}" for f in alarms]


def test_the_sick_sample_is_told():
    found = [
        run.name
        for sample in SAMPLES
        for run in load_all(sample)
        if diagnose(run).at_least("error")
    ]
    assert found and all(any(name.endswith(s) for s in SICK) for name in found)
