"""Signals against slow obvious twins, and their behaviour at the edges."""

import doctest
import math
from importlib import import_module
from pkgutil import iter_modules

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from unstuck import Run, signals
from unstuck.records import Series, beyond
from unstuck.signals.align import over, together
from unstuck.signals.levels import end_level, share_left, start_level
from unstuck.signals.noise import clear_margin, noise_scale
from unstuck.signals.spans import (
    between,
    finite,
    from_step,
    last_span_beyond,
    length,
    longest_span_beyond,
)
from unstuck.signals.trends import trend
from unstuck.signals.windows import WINDOWS, in_windows

NAN = float("nan")
values = st.lists(st.sampled_from([0.0, 1.0, 2.0, NAN, math.inf]), max_size=30)


def series(value, step=None, name="loss/train"):
    value = np.array(value, dtype=float)
    return Series(name, np.arange(len(value)) if step is None else np.array(step), value)


def spans_by_hand(s, limit):
    """Every stretch of readings above the limit, as (first, last) step."""
    found, current = [], []
    for step, value in zip(s.step.tolist(), s.value.tolist(), strict=True):
        if value > limit:
            current.append(step)
        elif current:
            found.append((current[0], current[-1]))
            current = []
    return found + ([(current[0], current[-1])] if current else [])


@given(values, st.integers(0, 5))
def test_spans_match_a_walk_over_the_readings(value, at_least):
    s = series(value)
    spans = [(a, b) for a, b in spans_by_hand(s, 0.5) if b > a and b - a >= at_least]
    longest = longest_span_beyond(s, ">", 0.5, at_least=at_least)
    assert (longest is None) == (not spans)
    assert longest is None or longest[1] - longest[0] == max(b - a for a, b in spans)
    last = last_span_beyond(s, ">", 0.5, at_least=at_least)
    ends = [span for span in spans if span[1] == len(value) - 1]
    assert last == (ends[0] if ends else None)


@given(values)
def test_every_span_found_is_beyond_the_limit_throughout(value):
    s = series(value)
    span = last_span_beyond(s, "not finite", 0.0)
    if span:
        assert beyond(between(s, *span).value, "not finite", 0.0).all()


def test_parts_of_a_series_keep_both_ends():
    s = series([1, 2, 3, 4], step=[0, 10, 20, 40])
    assert between(s, 10, 20).value.tolist() == [2, 3]
    assert from_step(s, 11).step.tolist() == [20, 40]
    assert (length(s), length(from_step(s, 40))) == (40, 0)
    assert finite(series([1, NAN, math.inf, 2])).value.tolist() == [1, 2]


def test_levels_are_medians_of_the_ends_and_ignore_odd_readings():
    s = series([9, 1, 1, 1, 1] + [5] * 90 + [0, 0, 0, 0, 0, 0, 77])
    assert (start_level(s), end_level(s)) == (1, 0)
    assert end_level(series([5.0] * 990 + [1.0] * 60)) == 1  # a tenth of the readings, 105
    assert end_level(series([5.0] * 990 + [1.0] * 50)) == 5
    assert share_left(series([4, 4, 4, 2, 2, 2, 3, 3, 3])) == pytest.approx(0.75)
    assert math.isnan(share_left(series([-1, -1]))) and math.isnan(start_level(series([NAN])))


def test_windows_are_medians_at_the_steps_of_true_readings():
    step = np.arange(0, 4000, 4)
    calm = in_windows(series(np.arange(1000), step=step), 10)
    assert len(calm) == 10 and set(calm.step.tolist()) <= set(step.tolist())
    assert calm.value.tolist() == pytest.approx([49.5 + 100 * i for i in range(10)])


@given(values, st.integers(1, 50))
def test_windows_hold_every_finite_reading_once(value, count):
    s = series(value)
    calm = in_windows(s, count)
    assert len(calm) <= min(count, max(1, len(finite(s))))
    assert np.isfinite(calm.value).all()
    assert not len(finite(s)) or calm.step[-1] == finite(s).step[-1]


def test_a_gap_in_the_log_leaves_its_windows_out():
    calm = in_windows(series([1, 1, 1, 5], step=[0, 1, 2, 1000]), 10)
    assert calm.value.tolist() == [1, 5]
    assert len(in_windows(series(range(10_000)))) <= WINDOWS


def test_noise_is_that_of_the_readings_and_not_of_their_trend():
    random = np.random.default_rng(0)
    for scale in (0.01, 1.0):
        noisy = 5 - 3 * np.linspace(0, 1, 2000) + scale * random.standard_normal(2000)
        noisy[::100] += 50 * scale  # spikes
        assert noise_scale(series(noisy)) == pytest.approx(scale, rel=0.15)
    assert noise_scale(series(np.linspace(5, 2, 50))) == pytest.approx(0, abs=1e-12)
    assert math.isnan(noise_scale(series([1, 2])))


def test_a_clear_margin_is_not_crossed_by_chance():
    random = np.random.default_rng(1)
    starts = [series(random.standard_normal(200)) for _ in range(500)]
    off = [abs(start_level(s)) / clear_margin(s) for s in starts]
    assert max(off) < 1  # no false difference in 500
    assert np.median(off) > 0.1  # and no margin that nothing could cross


@pytest.mark.parametrize("seed", range(5))
def test_trend_agrees_with_its_twin_in_scipy(seed):
    random = np.random.default_rng(seed)
    value = np.round(random.standard_normal(200) + np.linspace(0, seed, 200), 1)  # with ties
    calm, found = in_windows(series(value)), trend(series(value))
    twin = stats.theilslopes(calm.value, calm.step, alpha=0.95)
    expected = [x * length(calm) for x in (twin.slope, twin.low_slope, twin.high_slope)]
    assert [found.change, found.low, found.high] == pytest.approx(expected)


def test_trend_of_a_noisy_line_is_found_and_that_of_noise_is_not():
    random = np.random.default_rng(2)
    noise = random.standard_normal(400)
    falling = trend(series(noise - 4 * np.linspace(0, 1, 400)))
    assert falling.falls and falling.change == pytest.approx(-4, abs=0.5)
    assert falling.low < falling.change < falling.high
    flat = [trend(series(random.standard_normal(400))) for _ in range(100)]
    assert sum(t.falls or t.rises for t in flat) <= 12  # 5 in 100 on average
    assert trend(series([1, 2, 3])) is None


def test_series_are_joined_at_common_steps():
    a, b = series([1, 2, 3], step=[0, 2, 4]), series([2, 0, 4], step=[2, 4, 5])
    steps, joined = together([a, b])
    assert steps.tolist() == [2, 4] and joined.tolist() == [[2, 3], [2, 0]]
    ratio = over(a, b, "a / b")
    assert ratio.value[0] == 1 and math.isnan(ratio.value[1])


@pytest.mark.parametrize("module", [m.name for m in iter_modules(signals.__path__)])
def test_examples_in_signals_run(module):
    assert doctest.testmod(import_module(f"unstuck.signals.{module}")).failed == 0


def test_a_million_readings_are_no_burden():
    s = series(np.random.default_rng(3).standard_normal(1_000_000))
    assert len(in_windows(s)) == WINDOWS and trend(s) is not None
    assert Run({s.name: s}).last_step == 999_999
