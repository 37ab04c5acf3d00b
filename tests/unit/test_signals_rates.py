"""What is known of an optimizer's rates, and how far a run has come when counted in them."""

import math

import numpy as np
import pytest

from unstuck import Run, Series
from unstuck.signals.rates import most_gained_at_end, peak, rates, travelled


def falling(decay, steps=200, noise=0.0):
    value = 1 + np.exp(-decay * np.arange(steps) / steps)
    value += noise * np.random.default_rng(0).standard_normal(steps)
    return Series("loss/train", np.arange(steps), value)


def constant(steps=200):
    return Series("lr/sgd", np.arange(steps), np.full(steps, 0.1))


def test_an_optimizers_rate_is_the_largest_of_its_groups():
    run = Run.of(lr__adam=[0.0, 0.0, 0.1], lr__adam__1=[0.3, 0.2, 0.01], lr__sgd=[1.0] * 3)
    assert {r.name: r.value.tolist() for r in rates(run)} == {
        "lr/adam": [0.3, 0.2, 0.1],
        "lr/sgd": [1.0] * 3,
    }


def test_a_rate_that_was_never_read_has_no_peak():
    empty = Series("lr/sgd", np.arange(2), np.array([np.nan, np.inf]))
    assert rates(Run({"lr/sgd": empty})) == []
    assert peak(Series("lr/sgd", np.arange(0), np.zeros(0))) == 0.0


def test_half_the_way_is_where_half_the_summed_rate_is_spent():
    rate = Series("lr/sgd", np.arange(0, 100, 10), np.array([0.1] * 5 + [0.0] * 5))
    way = travelled(rate, constant(100))
    assert way[25] == pytest.approx(0.5)
    assert np.all(way[50:] == pytest.approx(1.0))


def test_a_rate_of_zero_goes_nowhere():
    still = Series("lr/sgd", np.arange(9), np.zeros(9))
    assert travelled(still, constant(9)).tolist() == [0.0] * 9


def test_a_loss_that_came_to_rest_gained_next_to_nothing_at_the_end():
    assert most_gained_at_end(constant(), falling(20)) < 0.01
    assert most_gained_at_end(constant(), falling(20, noise=0.05)) < 0.06


def test_a_loss_cut_off_in_its_fall_gained_much_at_the_end():
    assert most_gained_at_end(constant(), falling(1)) > 0.2


def test_noise_is_no_proof_of_rest():
    assert most_gained_at_end(constant(), falling(0, noise=0.3)) == math.inf


def test_a_few_readings_say_nothing():
    assert most_gained_at_end(constant(), falling(3, steps=5)) == math.inf
    assert most_gained_at_end(constant(), Series("loss/x", np.arange(0), np.zeros(0))) == math.inf
