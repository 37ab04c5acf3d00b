"""Simulated logs of sound runs: noise, schedules, stages and evaluations of every sort raise next
to no alarm, and the faults planted in them are found whatever the logging interval."""

import numpy as np
import pytest

from unstuck import Run, Series, catalog
from unstuck.detector import Detector

LOOKED_AT = ("DAT009", "GEN001", "GEN003", "GEN004", "OPT003", "OPT004")
FAMILIES = ("exponential", "power", "restarts", "cyclic", "stages", "heavy", "last batch")
RUNS = 60  # of a family


def detectors() -> list[Detector]:
    return [d for d in catalog.detectors() if d.code in LOOKED_AT]


def course_of(family: str, random: np.random.Generator, count: int) -> np.ndarray:
    """The noiseless loss of a run that learns."""
    t = np.arange(count)
    start, share, slow = random.choice([0.69, 2.3, 50.0]), random.uniform(0, 0.5), 0.2 * count
    tau = count * random.uniform(0.02, 0.3)
    fall = 1 / (1 + 3 * t / tau) if family == "power" else np.exp(-t / tau)
    loss = start * (share + (1 - share) * fall)
    turn = t % max(20, count // int(random.integers(3, 9))) / max(20, count // 6)
    if family == "restarts":
        loss *= 1 + random.uniform(0.05, 0.5) * np.exp(-8 * turn)
    if family == "cyclic":
        loss *= 1 + random.uniform(0.05, 0.5) * np.abs(np.sin(turn))
    if family == "stages":
        for at in count * np.array([0.25, 0.5, 0.75]):
            loss += (t >= at) * 0.15 * start * np.exp(-np.maximum(t - at, 0) / slow)
    return loss


def sound(family: str, seed: int) -> Run:
    """A log of some interval, with evaluations, of a run in which nothing is wrong."""
    random = np.random.default_rng([FAMILIES.index(family), seed])
    count, every = int(random.choice([60, 200, 1000])), int(random.choice([1, 10, 50]))
    calm = course_of(family, random, count)
    noise = random.standard_normal(count)
    if family == "heavy":
        noise = random.standard_t(3, count)
    if family == "last batch":
        noise[39::40] *= 4  # a tenth of a batch of 32
    loss = calm * np.exp(random.uniform(0.005, 0.2) * noise)
    at = np.unique(np.linspace(0, count - 1, int(random.choice([5, 20, 60]))).astype(int))
    validation = calm[at] * random.uniform(0.8, 1.3)
    validation *= np.exp(random.choice([0.01, 0.05, 0.15]) * random.standard_normal(at.size))
    accuracy = 0.95 - 0.85 * calm[at] / calm[0] + 0.03 * random.standard_normal(at.size)
    columns = {
        "loss/train": (np.arange(count), loss),
        "metric/val/loss": (at, validation),
        "metric/val/accuracy": (at, np.clip(accuracy, 0, 1).round(2)),
    }
    return Run({name: Series(name, every * step, v) for name, (step, v) in columns.items()})


@pytest.mark.parametrize("family", FAMILIES)
def test_sound_runs_raise_next_to_no_alarm(family):
    warned = []
    for seed in range(RUNS):
        run = sound(family, seed)
        found = [f for d in detectors() if not d.missing(run) for f in d(run)]
        assert all(e.holds() for f in found for e in f.evidence)
        warned += [(seed, f.code, f.message) for f in found if f.severity != "info"]
    assert len(warned) <= 0.02 * RUNS, warned


@pytest.mark.parametrize("every", [1, 10])
@pytest.mark.parametrize("seed", range(3))
def test_a_batch_that_is_broken_in_every_epoch_is_found(every, seed):
    run = sound("exponential", seed)
    random = np.random.default_rng(seed)
    calm = 0.3 + 2 * np.exp(-np.arange(1200) / 200)
    loss = calm * np.exp(0.1 * random.standard_normal(1200))
    loss[17::60] *= 6
    broken = Series("loss/train", every * np.arange(1200), loss)
    found = [f for d in detectors() for f in d(Run({**run.series, "loss/train": broken}))]
    assert "DAT009" in {f.code for f in found if f.severity != "info"}


def test_a_plateau_and_a_loss_that_comes_back_are_found_in_a_log_of_epochs():
    random = np.random.default_rng(0)
    facts = {"step/unit": "epoch"}
    stuck = 2.303 + 0.004 * random.standard_normal(60)
    lost = np.where(np.arange(60) < 40, 2.3 * np.exp(-np.arange(60) / 10), 2.3)
    for values, code in ((stuck, "OPT004"), (lost, "OPT003")):
        run = Run({"loss/train": Series("loss/train", np.arange(60), values)}, facts=facts)
        found = [f for d in detectors() if not d.missing(run) for f in d(run)]
        assert [f.code for f in found if f.severity != "info"] == [code]
