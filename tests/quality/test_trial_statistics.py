"""How good the verdicts of trials are: error rates, power and coverage of the real judge."""

import importlib.util
import sys
from pathlib import Path

import pytest

from unstuck.trials.judge import power

SCRIPT = Path(__file__).parents[2] / "scripts" / "simulate_trials.py"
spec = importlib.util.spec_from_file_location("simulate_trials", SCRIPT)
simulate = importlib.util.module_from_spec(spec)
sys.modules["simulate_trials"] = simulate
spec.loader.exec_module(simulate)
World = simulate.World

SOME = 4000  # standard error of a rate of .05: .0034; of .5: .008


@pytest.mark.parametrize("pairs", [3, 5, 10])
def test_no_more_than_five_percent_of_equal_arms_are_called(pairs):
    share, error = simulate.called(World(pairs), 10_000, seed=pairs)
    assert share <= 0.05 + 2 * error
    assert share >= 0.04  # a judge that calls nothing would pass the line above


def test_five_hundred_equal_arms_seldom_give_more_than_chance_allows():
    share, _ = simulate.called(World(5), 500, seed=0)
    assert 500 * share <= 35  # the 97.5 % point of a binomial of 500 at 5 %


@pytest.mark.parametrize("noise", ["heavy_tailed", "skewed", "in_steps"])
def test_noise_that_is_not_gaussian_does_not_raise_the_errors(noise):
    share, error = simulate.called(World(5, noise=getattr(simulate, noise)), SOME, seed=1)
    assert share <= 0.05 + 2 * error


@pytest.mark.parametrize(("pairs", "d", "known"), [(5, 1.0, 0.40), (5, 2.0, 0.91), (10, 1.0, 0.80)])
def test_power_is_that_of_the_paired_t_test(pairs, d, known):
    assert power(pairs, d) == pytest.approx(known, abs=0.005)
    share, _ = simulate.called(World(pairs, (d,)), SOME, seed=2)
    assert share == pytest.approx(known, abs=0.05)


@pytest.mark.parametrize("pairs", [3, 5, 10])
def test_intervals_cover_the_truth(pairs):
    share, _ = simulate.covered(World(pairs, (0.7,)), SOME, seed=3)
    assert 0.93 <= share <= 0.97


@pytest.mark.parametrize("effects", [(0.0,) * 4, (0.0, 0.0, 0.0, 4.0)])
def test_the_intervals_of_four_treatments_all_cover(effects):
    share, error = simulate.covered(World(5, effects), SOME, seed=4)
    assert share >= 0.95 - 2 * error


def test_four_equal_treatments_are_seldom_called():
    share, error = simulate.called(World(5, (0.0,) * 4), SOME, seed=5)
    assert share <= 0.05 + 2 * error


def test_an_uncorrected_judge_would_be_caught(monkeypatch):
    monkeypatch.setattr("unstuck.trials.reading.holm", lambda p, alpha: (list(p), [alpha] * len(p)))
    share, _ = simulate.called(World(5, (0.0,) * 4), 1000, seed=5)
    assert share > 0.10


def test_no_difference_is_only_said_within_the_margin():
    words = set()
    for (verdict,) in World(10, (0.3,), margin=1.0).verdicts(1000, seed=6):
        within = -1.0 <= verdict.low <= 0.0 <= verdict.high <= 1.0
        assert (verdict.word == "no difference") == within
        words.add(verdict.word)
    assert {"no difference", "undecided", "helped"} <= words


def test_an_effect_on_the_margin_is_seldom_called_no_difference():
    share, error = simulate.wrong_equivalence(World(10, (1.0,), margin=1.0), SOME, seed=7)
    assert share <= 0.025 + 2 * error


def test_the_further_pairs_asked_for_settle_it():
    """A new trial of the size asked for sees an effect of the size observed at power .8."""
    for (verdict,) in World(5, (0.8,)).verdicts(40, seed=8):
        if verdict.word == "undecided" and verdict.more_pairs and verdict.more_pairs < 60:
            reach = (verdict.high - verdict.low) / 2
            spread = reach * 5**0.5 / 2.7764451  # t at 4 degrees of freedom, 97.5 %
            d, needed = verdict.effect / spread, verdict.pairs + verdict.more_pairs
            assert power(needed, d) >= 0.8 > power(needed - 1, d)
