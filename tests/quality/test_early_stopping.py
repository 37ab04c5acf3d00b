"""How good the verdicts of trials that stop early are: 1,000 trials of the real judge each.

The rates of 20,000 trials are printed by scripts/simulate_trials.py and kept in LOG.md.
"""

import functools
import importlib.util
import math
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import special

from unstuck.trials import sequential
from unstuck.trials.power import expected_pairs, power

SCRIPT = Path(__file__).parents[2] / "scripts" / "simulate_trials.py"
spec = importlib.util.spec_from_file_location("simulate_trials", SCRIPT)
simulate = importlib.util.module_from_spec(spec)
sys.modules["simulate_trials"] = simulate
spec.loader.exec_module(simulate)
World = simulate.World

TRIALS, PAIRS = 1000, 12
BY_CHANCE = 2 * math.sqrt(0.05 * 0.95 / TRIALS)  # two standard errors of a rate of .05


@functools.cache
def trials(d, early=True):
    """The verdicts on the same simulated runs, whether judged early or at the end."""
    world = World(PAIRS, (d,), early=early)
    return [verdicts[0] for verdicts in world.verdicts(TRIALS, seed=0)]


def called(verdicts):
    return np.mean([v.word in simulate.CALLED for v in verdicts])


def stopped_by_a_call(verdict):
    return verdict.word in simulate.CALLED and verdict.pairs < PAIRS


@pytest.mark.parametrize("pairs", [4, 5, 8, 12])
def test_equal_arms_are_not_called_more_often_for_the_looks(pairs):
    share, _ = simulate.called(World(pairs, early=True), TRIALS, seed=2)
    assert 0.05 - 2 * BY_CHANCE < share <= 0.05 + BY_CHANCE


@pytest.mark.parametrize("noise", ["heavy_tailed", "skewed", "in_steps"])
def test_noise_that_is_not_gaussian_does_not_raise_the_errors(noise):
    world = World(PAIRS, noise=getattr(simulate, noise), early=True)
    assert simulate.called(world, TRIALS, seed=1)[0] <= 0.05 + BY_CHANCE


def test_runs_that_crash_do_not_raise_the_errors():
    world = World(PAIRS, early=True, crashes=0.1)
    assert simulate.called(world, TRIALS, seed=1)[0] <= 0.05 + BY_CHANCE


@pytest.mark.parametrize("d", [0.5, 1.0, 2.0])
def test_power_is_within_five_points_of_all_pairs(d):
    assert called(trials(d, early=False)) == pytest.approx(power(PAIRS, d), abs=0.04)
    assert called(trials(d)) >= called(trials(d, early=False)) - 0.05


def test_a_strong_effect_takes_forty_percent_fewer_pairs():
    used = np.mean([v.pairs for v in trials(2.0)])
    assert used <= 0.6 * PAIRS
    assert all(v.word == "helped" for v in trials(2.0) if v.pairs < PAIRS)


@pytest.mark.parametrize("d", [0.0, 0.5, 1.0, 2.0])
def test_the_forecast_of_the_pairs_used_is_right(d):
    used = [v.pairs for v in trials(d)]
    assert np.mean(used) == pytest.approx(expected_pairs(PAIRS, d), abs=0.25)


@pytest.mark.parametrize("d", [0.0, 0.5, 1.0, 2.0])
def test_intervals_cover_the_truth_also_after_stopping(d):
    held = np.array([v.low <= d <= v.high for v in trials(d)])
    assert 0.93 <= held.mean() <= 0.97
    stopped = np.array([v.pairs < PAIRS for v in trials(d)])
    assert stopped.sum() > TRIALS / 2  # by a call, or given up
    error = math.sqrt(0.05 * 0.95 / stopped.sum())
    assert 0.93 - error <= held[stopped].mean() <= 0.97 + error


def test_an_interval_that_forgets_the_looks_would_be_caught(monkeypatch):
    def plain(look, t, share):
        return (t + special.stdtrit(look.pairs - 1, share)) / math.sqrt(look.pairs)

    monkeypatch.setattr(sequential.Look, "effect", plain)
    rows = [verdicts[0] for verdicts in World(PAIRS, (0.5,), early=True).verdicts(TRIALS, seed=0)]
    share, found = (
        np.mean([v.low <= 0.5 <= v.high for v in some if stopped_by_a_call(v)])
        for some in (rows, trials(0.5))
    )
    assert share < 0.89 < found


@pytest.mark.parametrize("d", [1.0, 2.0])
def test_estimates_are_not_too_large_for_having_stopped(d):
    error = 1.25 / math.sqrt(TRIALS)  # of a median at spread about 1; the mean at 12 pairs has .29
    assert np.median([v.effect for v in trials(d)]) == pytest.approx(d, abs=2 * error)


@pytest.mark.parametrize("effects", [(0.0,) * 4, (0.0, 0.0, 0.0, 4.0)])
def test_four_treatments_keep_their_errors_together(effects):
    world, wrong, held = World(PAIRS, effects, early=True), [], []
    for verdicts in world.verdicts(300, seed=4):
        pairs = list(zip(verdicts, effects, strict=True))
        wrong.append(any(v.word in simulate.CALLED and not d for v, d in pairs))
        held.append(all(v.low <= d <= v.high for v, d in pairs))
    error = math.sqrt(0.05 * 0.95 / 300)
    assert np.mean(wrong) <= 0.05 + 2 * error
    assert np.mean(held) >= 0.95 - 2 * error


def test_an_effect_on_the_margin_is_seldom_called_no_difference():
    world = World(PAIRS, (1.0,), margin=1.0, early=True)
    share, _ = simulate.wrong_equivalence(world, TRIALS, seed=7)
    assert share <= 0.025 + 2 * math.sqrt(0.025 * 0.975 / TRIALS)
    near = World(PAIRS, (0.0,), margin=1.5, early=True)
    words = [verdicts[0] for verdicts in near.verdicts(200, seed=7)]
    assert np.mean([v.word == "no difference" for v in words]) > 0.9
    assert np.mean([v.pairs for v in words]) < 0.85 * PAIRS


def test_undecided_says_how_many_more_pairs_and_they_would_do():
    for verdict in trials(0.5):
        if verdict.word == "undecided":
            said = verdict.more_pairs or "more than 1000 further pairs" in verdict.note
            assert said, verdict
