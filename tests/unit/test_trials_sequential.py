"""Courses of looks: against published limits, against simulation, and their own promises."""

import math

import numpy as np
import pytest
from scipy import special, stats

from unstuck.trials.power import detectable, expected_pairs, pairs_needed, power
from unstuck.trials.sequential import FIRST, MOST_LOOKS, course, spending, stopping

GROUP = 400  # pairs between two looks: Student's t is then all but normal
HALF = special.ndtri(1 - 0.05 / 4)  # each side spends .025
OBRIEN_FLEMING = [4 * special.ndtr(-HALF / math.sqrt(k / 5)) for k in range(1, 6)]
POCOCK = [0.05 * math.log(1 + (math.e - 1) * k / 5) for k in range(1, 6)]

# Lan & DeMets 1983 and every table since: five equal steps, two-sided .05, normal statistics
PUBLISHED = {
    "O'Brien-Fleming": (OBRIEN_FLEMING, [4.877, 3.357, 2.680, 2.290, 2.031]),
    "Pocock": (POCOCK, [2.438, 2.427, 2.410, 2.397, 2.386]),
}


@pytest.mark.parametrize("kind", PUBLISHED)
def test_limits_with_many_pairs_are_the_published_ones(kind):
    spent, known = PUBLISHED[kind]
    looks = spending(tuple(GROUP * k for k in range(1, 6)), tuple(spent))
    found = [-special.ndtri(look.level / 2) for look in looks]
    assert found == pytest.approx(known, abs=0.012)  # 2**16 courses: a limit is known to .01


def paths(pairs, trials, effect=0.0):
    """t statistics of every trial after each pair, from the second on."""
    x = np.random.default_rng(7).standard_normal((trials, pairs)) + effect
    n = np.arange(1, pairs + 1)
    mean = np.cumsum(x, axis=1) / n
    squares = np.cumsum(x * x, axis=1) - n * mean**2
    return (np.sqrt(n) * mean)[:, 1:] / np.sqrt(squares[:, 1:] / (n - 1)[1:])


@pytest.mark.parametrize("pairs", [4, 5, 12])
@pytest.mark.parametrize("level", [0.05, 0.0125])
def test_a_course_errs_as_often_as_it_says(pairs, level):
    looks = course(pairs, pairs, level)
    limits = [look.limit for look in looks]
    over = np.abs(paths(pairs, 100_000)[:, -len(looks) :]) > limits
    spent = np.cumsum(
        [
            first.mean()
            for first in np.diff(np.maximum.accumulate(over, axis=1).T, axis=0, prepend=0)
        ]
    )
    error = 4 * math.sqrt(level / 100_000)
    assert spent == pytest.approx([look.spent for look in looks], abs=error)


def test_limits_that_do_not_allow_for_the_looks_would_be_caught():
    every = np.abs(paths(12, 20_000)) > special.stdtrit(np.arange(1, 12), 0.975)
    assert every[:, FIRST - 2 :].any(axis=1).mean() > 0.15


def test_the_error_is_spent_as_planned_and_all_of_it():
    looks = course(12, 12, 0.05)
    assert [look.pairs for look in looks] == list(range(FIRST, 13))
    assert [look.spent for look in looks[:-1]] == pytest.approx(
        [0.05 * (look.pairs / 12) ** 4 for look in looks[:-1]]
    )
    assert looks[-1].spent == 0.05
    for look in looks:
        assert look.p(look.level) == pytest.approx(look.spent, rel=1e-9)


def test_a_course_that_ends_sooner_spends_the_rest_there():
    planned, sooner = course(12, 12, 0.05), course(12, 9, 0.05)
    assert [look.limit for look in sooner[:-1]] == [look.limit for look in planned[:6]]
    assert sooner[-1].pairs == 9
    assert sooner[-1].limit < planned[6].limit


def test_a_single_look_is_the_t_test():
    (look,) = course(3, 3, 0.05)
    assert look.level == pytest.approx(0.05)
    differences = np.array([0.5, 0.9, 1.6])
    reference = stats.ttest_1samp(differences, 0.0)
    assert look.p(reference.pvalue) == pytest.approx(reference.pvalue)
    ends = [look.effect(reference.statistic, share) for share in (0.025, 0.5, 0.975)]
    known = [*reference.confidence_interval(0.95), differences.mean()]
    assert np.multiply(ends, differences.std(ddof=1)) == pytest.approx(np.sort(known))


@pytest.mark.parametrize("at", [4, 6, 9, 12])
def test_the_interval_excludes_zero_from_the_limit_of_the_last_look_on(at):
    look = next(look for look in course(12, 12, 0.05) if look.pairs == at)
    assert look.effect(look.limit * (1 + 1e-6), 0.025) > 0
    if at == 12:
        assert look.effect(look.limit * (1 - 1e-6), 0.025) < 0
    low, middle, high = (look.effect(1.3 * look.limit, share) for share in (0.025, 0.5, 0.975))
    mean = 1.3 * look.limit / math.sqrt(at)
    assert low < middle <= mean < high  # a mean that was stopped at is never too small


def test_the_share_is_that_of_simulated_courses():
    """Of courses with this effect, so many stop sooner or see more; the spread is the seen one."""
    look = course(8, 8, 0.05)[3]  # at 6 pairs
    t, effect = 1.2 * look.limit, 1.1
    z = np.random.default_rng(3).standard_normal((100_000, look.pairs))
    x = effect + z / z.std(axis=1, ddof=1, keepdims=True)
    further = math.sqrt(look.pairs) * x.mean(axis=1) > t
    for earlier in course(8, 8, 0.05)[:3]:
        part = x[:, : earlier.pairs]
        scale = part.std(axis=1, ddof=1) / math.sqrt(earlier.pairs)
        further |= part.mean(axis=1) > earlier.limit * scale
    assert look.share(t, effect) == pytest.approx(further.mean(), abs=0.006)


def test_long_plans_are_looked_at_now_and_then_and_the_rarest_errors_at_no_look():
    looks = course(300, 300, 0.05)
    assert len(looks) <= MOST_LOOKS and looks[-1].pairs == 300
    forty = course(40, 40, 0.05)
    assert all(look.limit > 3 for look in forty[:20])
    assert 0.04 < stopping(40, 0.0)[0] <= 0.051  # giving up makes wrong calls rarer


@pytest.mark.parametrize(("planned", "d"), [(5, 2.0), (12, 2.0), (12, 3.0)])
def test_the_forecast_of_pairs_is_what_simulated_courses_use(planned, d):
    """With effects so clear that nothing is given up."""
    looks = course(planned, planned, 0.05)
    over = np.abs(paths(planned, 20_000, d)[:, -len(looks) :]) > [look.limit for look in looks]
    used = np.where(over.any(axis=1), over.argmax(axis=1) + FIRST, planned)
    chance, expected = stopping(planned, d)
    assert chance == pytest.approx(over.any(axis=1).mean(), abs=0.012)
    assert expected == pytest.approx(used.mean(), abs=0.08)
    assert expected_pairs(planned, d) == expected
    assert expected_pairs(1, d) == 1


@pytest.mark.parametrize("d", [0.5, 1.0, 1.7])
def test_the_pairs_asked_for_see_the_effect_with_early_stopping_too(d):
    once, early = pairs_needed(d, 0.0, 0.05), pairs_needed(d, 0.0, 0.05, stop_early=True)
    assert once < early <= math.ceil(1.2 * once)
    assert stopping(early, d)[0] >= 0.8 > stopping(once, d)[0]


def test_the_detectable_effect_has_the_power_it_says():
    assert power(12, detectable(12)) == pytest.approx(0.8, abs=1e-4)
    early = detectable(12, stop_early=True)
    assert detectable(12) < early < 1.1 * detectable(12)
    assert stopping(12, early)[0] == pytest.approx(0.8, abs=0.005)
    assert detectable(1) == math.inf
