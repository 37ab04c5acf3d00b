"""When a rate is out of the range that was measured."""

import pytest

from unstuck import Run
from unstuck.signals.probed import told_of
from unstuck.signals.usable_rates import ABOVE, BELOW, FAR_ABOVE, too_high, too_low


def run(now, steps=0, *, model="net", losses=(), lr=(), **more):
    facts = {"now": now, "low": 0.003, "high": 0.1, **more}
    facts |= {} if steps is None else {"steps": steps}
    columns = {"loss__train": losses, "lr__adam": lr}
    return Run.of(
        facts={f"rate/{model}/{k}": v for k, v in facts.items()},
        **{name: list(values) for name, values in columns.items() if values},
    )


def factors(found):
    return [round(placed.factor, 3) for placed in found]


def test_a_rate_within_the_range_is_neither():
    for now in (0.003, 0.01, 0.1):
        assert not list(too_high(run(now))) and not list(too_low(run(now)))


@pytest.mark.parametrize(("steps", "limit"), [(0, ABOVE), (None, FAR_ABOVE)])
def test_above_counts_from_the_limit_on_which_is_larger_after_some_steps(steps, limit):
    assert not list(too_high(run(0.1 * limit * 0.95, steps)))
    assert factors(too_high(run(0.1 * limit * 1.05, steps))) == [round(limit * 1.05, 3)]
    assert all(p.evidence.holds() for p in too_high(run(0.1 * limit * 1.05, steps)))


def test_late_in_a_training_only_a_loss_that_is_recorded_tells():
    level, limit = [2.3] * 5, 0.1 * FAR_ABOVE
    assert not list(too_high(run(20 * limit, 500)))
    assert not list(too_high(run(0.95 * limit, 500, losses=level)))
    assert [p.told for p in too_high(run(1.05 * limit, 500, losses=level))] == [True]


def test_below_counts_from_the_limit_on_at_the_start_only():
    assert not list(too_low(run(0.003 / BELOW * 1.05)))
    found = list(too_low(run(0.003 / BELOW * 0.95)))
    assert len(found) == 1 and found[0].evidence.holds()
    assert not list(too_low(run(1e-9, steps=500))) and not list(too_low(run(1e-9, steps=None)))


def test_a_schedule_that_rises_is_no_low_rate():
    assert not list(too_low(run(1e-9, planned=1e-3)))
    assert not list(too_low(run(1e-9, lr=[1e-9, 1e-4, 1e-3])))
    assert len(list(too_low(run(1e-9, lr=[1e-9, 2e-9])))) == 1


def test_a_loss_that_falls_below_zero_has_no_lowest_rate():
    """A critic's or a policy's loss falls the faster the larger the rate, without end."""
    assert len(list(too_low(run(1e-9, progress=0.9)))) == 1
    assert not list(too_low(run(1e-9, progress=40.0)))


def test_a_loss_that_falls_all_the_same_is_believed():
    fallen, risen = [2.3, 2.0, 1.5, 1.0, 0.8], [2.3, 4.0, 3.0, 2.5, 2.4]
    assert not list(too_high(run(5.0, losses=fallen))) and not list(
        too_low(run(1e-9, losses=fallen))
    )
    assert [p.told for p in too_high(run(5.0, losses=risen))] == [True]
    assert [p.told for p in too_high(run(5.0))] == [False]


def test_odd_numbers_and_missing_ones_say_nothing():
    for odd in (0.0, float("nan"), -1.0):
        assert not list(too_high(run(odd))) and not list(too_low(run(odd)))
        assert not list(too_high(run(1.0, high=odd))) and not list(too_low(run(1e-9, low=odd)))
    assert not list(too_high(Run.of(facts={"rate/net/now": 1.0})))


def test_a_models_name_may_hold_slashes():
    assert list(told_of(run(1.0, model="a/b"), "rate")) == ["a/b"]
    assert [p.model for p in too_high(run(1.0, model="a/b"))] == ["a/b"]
