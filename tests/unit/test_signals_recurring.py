"""Readings that come back at one place of the epoch."""

import numpy as np
import pytest
from scipy.ndimage import median_filter

from unstuck import Series
from unstuck.signals.recurring import (
    around,
    at_fixed_places,
    excess,
    in_each,
    onsets,
    running_median,
)


def spiky(count=300, every=30, first=7, high=5.0, seed=0):
    value = 1 + 0.05 * np.random.default_rng(seed).standard_normal(count)
    value[first::every] = high
    return Series("loss/train", np.arange(count), value)


def test_a_spike_stands_out_by_its_own_neighbourhood():
    falling = spiky()
    late = Series("loss/train", falling.step, falling.value * np.exp(-falling.step / 100))
    high = excess(late)
    assert onsets(high, 8.0).tolist() == list(range(7, 300, 30))
    assert around(late).value[277] == pytest.approx(np.exp(-2.77), rel=0.2)


@pytest.mark.parametrize("count", [1, 5, 100, 1234])
@pytest.mark.parametrize("width", [21, 101])
def test_running_median_agrees_with_its_twin_in_scipy(count, width, monkeypatch):
    monkeypatch.setattr("unstuck.signals.recurring.AT_A_TIME", 500)
    value = np.random.default_rng(count).standard_normal(count)
    twin = median_filter(value, width, mode="reflect")
    assert np.array_equal(running_median(value, width), twin)


def test_noise_alone_has_no_spikes():
    calm = Series("loss/train", np.arange(2000), np.random.default_rng(1).standard_normal(2000))
    assert excess(calm).value.max() < 8


def test_an_echo_is_no_second_spike():
    value = np.ones(60) + 0.01 * (np.arange(60) * 7 % 11)
    value[[20, 21, 22]] = [9.0, 6.0, 5.0]
    assert onsets(excess(Series("loss/train", np.arange(60), value)), 8.0).tolist() == [20]


def test_the_period_is_found_where_places_are_missed_and_others_stand_out():
    steps = np.sort(np.append(np.delete(np.arange(7, 600, 30), 4), [55, 333]))
    again = at_fixed_places(steps, shortest=20)
    assert again is not None
    assert (again.period, len(again.steps), again.places) == (30, 19, 20)


def test_no_period_in_odd_times_or_in_too_few():
    assert at_fixed_places(np.array([3, 40]), 20) is None
    assert at_fixed_places(np.array([3, 4, 5, 6]), 20) is None
    assert at_fixed_places(np.array([], dtype=np.int64), 20) is None
    odd = np.unique(np.random.default_rng(2).integers(0, 5000, 30))
    again = at_fixed_places(odd, 20)
    assert again is None or len(again.steps) < 5


def test_spikes_are_counted_by_whole_epochs():
    epoch = Series("epoch", np.arange(50), np.arange(50) // 10 * 1.0)
    assert in_each(np.array([3, 14, 15, 47]), epoch).tolist() == [1, 2, 0, 0]
    assert in_each(np.array([3]), Series("epoch", np.array([0]), np.array([0.0]))).size == 0


def test_odd_series_raise_nothing():
    for value in ([], [1.0], [np.nan] * 5, [np.inf, 1.0, 2.0], [0.0] * 50, [1e300, -1e300] * 40):
        series = Series("loss/train", np.arange(len(value)), np.array(value, float))
        assert np.isfinite(excess(series).value).all()
