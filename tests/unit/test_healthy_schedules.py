"""Usual schedules and heavy-tailed noise, drawn at random: none of them is called sick."""

import numpy as np
import pytest

from unstuck import Run, Series
from unstuck.detectors.collapsed_schedule import collapsed_schedule
from unstuck.detectors.learning_rate_too_high import learning_rate_too_high
from unstuck.detectors.learning_rate_too_low import learning_rate_too_low
from unstuck.detectors.loss_spikes import loss_spikes

DETECTORS = (collapsed_schedule, learning_rate_too_high, learning_rate_too_low, loss_spikes)
SHAPES = {
    "cosine": lambda x, g: (1 + np.cos(np.pi * x)) / 2,
    "linear": lambda x, g: 1 - x,
    "polynomial": lambda x, g: (1 - x) ** 2,
    "three drops": lambda x, g: 0.1 ** np.searchsorted(np.sort(g.uniform(0.3, 0.95, 3)), x),
    "exponential": lambda x, g: 10 ** (-g.uniform(1, 4) * x),
    "warm restarts": lambda x, g: (1 + np.cos(np.pi * ((x * g.integers(2, 9)) % 1))) / 2,
    "square root": lambda x, g: 1 / np.sqrt(1 + x * g.uniform(1, 100)),
    "stable, then cooled": lambda x, g: np.clip((1 - x) / g.uniform(0.1, 0.4), 0, 1),
    "drops on plateaus": lambda x, g: (
        0.1 ** np.searchsorted(np.sort(g.uniform(0.35, 1, g.integers(1, 6))), x)
    ),
}


def trained_under(shape, g):
    """A loss that falls as far as the summed rate takes it, noisy and logged now and then."""
    steps = int(10 ** g.uniform(1.5, 4))
    x = np.arange(steps) / steps
    warmed = np.minimum(1, (np.arange(steps) + 1) / max(1.0, g.uniform(0.01, 0.1) * steps))
    rate = warmed * shape(x, g) * 10 ** g.uniform(-5, -1)
    way = np.cumsum(rate)
    loss = g.uniform(0, 2) + g.uniform(0.5, 5) * np.exp(-way / (way[-1] * g.uniform(0.02, 0.3)))
    loss *= 1 + g.choice([0, 0.02, 0.1, 0.3]) * g.standard_normal(steps)
    logged = np.arange(0, steps, max(1, steps // int(g.choice([30, 100, 500, steps]))))
    columns = {"lr/sgd": rate, "loss/train": loss}
    return Run({n: Series(n, logged, v[logged]) for n, v in columns.items()})


@pytest.mark.parametrize("name", SHAPES)
def test_a_usual_schedule_is_no_finding(name):
    g = np.random.default_rng(list(SHAPES).index(name))
    for _ in range(30):
        run = trained_under(SHAPES[name], g)
        assert not [f.message for detector in DETECTORS for f in detector(run)]


TAILS = {
    "normal": lambda g, n: g.standard_normal(n),
    "exponential": lambda g, n: g.exponential(1, n),
    "Student, 3 degrees": lambda g, n: np.abs(g.standard_t(3, n)),
    "Student, 2 degrees": lambda g, n: np.abs(g.standard_t(2, n)),
    "log-normal": lambda g, n: np.exp(g.standard_normal(n)),
}


@pytest.mark.parametrize("name", TAILS)
@pytest.mark.parametrize("readings", [100, 500, 3000, 30000])
def test_heavy_tails_are_no_spikes(name, readings):
    g = np.random.default_rng(readings)
    course = 0.3 + 2 * np.exp(-6 * np.arange(readings) / readings)
    for _ in range(10):
        value = course + 0.1 * TAILS[name](g, readings)
        run = Run({"loss/train": Series("loss/train", np.arange(readings), value)})
        assert not [f.message for f in loss_spikes(run) if f.severity != "info"]


def test_the_schedules_are_long_enough_to_be_looked_at():
    g = np.random.default_rng(0)
    runs = [trained_under(shape, g) for shape in SHAPES.values() for _ in range(30)]
    assert sum(len(run.series["loss/train"]) >= 60 for run in runs) > len(runs) / 3


def test_the_same_rates_cut_off_at_a_tenth_are_a_finding():
    g = np.random.default_rng(1)
    for _ in range(20):
        run = trained_under(SHAPES["linear"], g)
        rate = run.series["lr/sgd"]
        cut = np.where(rate.step < 0.1 * rate.step[-1], rate.value, 0.0)
        broken = Run({"lr/sgd": Series("lr/sgd", rate.step, cut)})
        assert [f.severity for f in collapsed_schedule(broken)] == ["warning"]
