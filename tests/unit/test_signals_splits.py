"""Metrics of two splits, their direction, and how far their readings scatter."""

import numpy as np
import pytest

from unstuck import Run
from unstuck.signals.scatter import scatter
from unstuck.signals.splits import both_splits, direction


@pytest.mark.parametrize(
    ("name", "way"),
    [
        ("metric/val/loss", 1),
        ("metric/val/WER", 1),
        ("metric/val/accuracy", -1),
        ("metric/val/psnr", -1),
        ("metric/val/temperature", 0),
    ],
)
def test_the_direction_of_a_metric_is_known_or_not_claimed(name, way):
    assert direction(name) == way


def test_metrics_of_both_splits_are_paired_by_name():
    run = Run.of(
        loss__total=[1.0],
        metric__train__accuracy=[0.5],
        metric__train__train_f1=[0.4],
        metric__val__accuracy=[0.4],
        metric__val__f1=[0.3],
        metric__val__total=[1.2],
        metric__val__other=[1.0],
    )
    pairs = {(train.name, val.name) for train, val in both_splits(run)}
    assert pairs == {
        ("metric/train/accuracy", "metric/val/accuracy"),
        ("metric/train/train_f1", "metric/val/f1"),
        ("loss/total", "metric/val/total"),
    }


def test_an_empty_metric_has_no_partner():
    run = Run.of(metric__train__loss=[1.0, 0.5], metric__val__loss=[np.nan, np.nan])
    assert both_splits(run) == []


@pytest.mark.parametrize("spread", [0.01, 0.5])
def test_scatter_is_the_spread_whatever_the_trend(spread):
    noise = spread * np.random.default_rng(0).standard_normal(4000)
    assert scatter(noise) == pytest.approx(spread, rel=0.05)
    assert scatter(np.linspace(0, 4000 * spread / 100, 4000) + noise) == pytest.approx(
        spread, rel=0.05
    )


def test_one_odd_evaluation_is_no_scatter():
    value = 0.01 * np.random.default_rng(1).standard_normal(40)
    odd = value.copy()
    odd[20] = 5.0
    assert scatter(odd) < 2 * scatter(value)


def test_an_accuracy_of_three_values_scatters():
    coin = np.random.default_rng(2).integers(0, 3, 400) / 2
    assert scatter(coin) == pytest.approx(0.41, rel=0.2)
    assert np.isnan(scatter(np.array([1.0, 2.0])))
