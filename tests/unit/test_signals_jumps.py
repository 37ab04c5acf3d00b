"""Which readings stand far out of a series' own noise, and whether they come at intervals."""

import numpy as np
import pytest

from unstuck import Series
from unstuck.signals.jumps import Jump, course_of, jumps, period_of


def loss(steps=600, noise=0.05, jumps_at=(), height=3.0, seed=0):
    generator = np.random.default_rng(seed)
    value = 0.3 + 2 * np.exp(-4 * np.arange(steps) / steps)
    value += noise * generator.standard_normal(steps)
    value[list(jumps_at)] += height
    return Series("loss/train", np.arange(steps), value)


def found(series, noises=10.0):
    course = course_of(series)
    assert course is not None
    return jumps(course, noises)


def test_each_planted_jump_is_found_where_it_is():
    assert [j.at for j in found(loss(jumps_at=(200, 330, 510)))] == [200, 330, 510]
    assert [j.height for j in found(loss(jumps_at=(200,)))] == [pytest.approx(3.0, abs=0.3)]


def test_noise_alone_never_jumps():
    assert not any(found(loss(noise=0.2, seed=seed)) for seed in range(20))


def test_neighbouring_readings_are_one_jump():
    (jump,) = found(loss(jumps_at=(300, 301, 304)))
    assert jump.since == 300


def test_a_step_to_a_new_level_is_no_lasting_jump():
    value = np.concatenate([np.linspace(2.0, 1.0, 300), np.full(300, 1.5)])
    value += 0.02 * np.random.default_rng(0).standard_normal(600)
    assert len(found(Series("loss/train", np.arange(600), value))) <= 1


def test_the_beginning_is_left_out():
    assert found(loss(jumps_at=(20,))) == []


@pytest.mark.parametrize("steps", [0, 1, 59])
def test_a_short_series_has_no_course(steps):
    assert course_of(loss(steps=steps) if steps else Series("loss/x", [], [])) is None


def test_a_loss_that_never_fell_has_no_course():
    assert course_of(Series("loss/train", np.arange(100), np.linspace(1, 2, 100))) is None


def test_a_loss_that_is_zero_but_for_some_batches_does_not_jump():
    value = np.concatenate([np.linspace(1, 0, 100), np.zeros(500)])
    value[[200, 300, 400]] = 1.0
    assert found(Series("loss/train", np.arange(600), value)) == []


def at(*steps):
    return [Jump(step, step, 1.0, 20.0, 1.0) for step in steps]


def test_intervals_are_regular_even_where_one_is_left_out():
    assert period_of(at(100, 200, 401, 500)) == 99


def test_intervals_at_random_have_no_period():
    assert period_of(at(100, 170, 300, 555)) == 0
    assert period_of(at(100, 200)) == 0
