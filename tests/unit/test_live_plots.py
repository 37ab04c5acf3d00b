"""Heat maps of layers, areas of shares, comparisons: that what is drawn is what was read."""

import re
import time

import numpy as np
import pytest

from unstuck.live import pages
from unstuck.live.compare import compared
from unstuck.live.heat_map import COLUMNS, LEVELS, NOT_FINITE, ZERO, binned, heat_maps, levels_of
from unstuck.live.pages import key_of, series_plot
from unstuck.live.share_plot import COLUMNS as SHARE_COLUMNS
from unstuck.live.share_plot import share_plots, stacked
from unstuck.records import Cause, Diagnosis, Evidence, Finding, Run, Series


def series(name, values, step=None):
    values = np.asarray(values, dtype=float)
    return Series(name, np.arange(values.size) if step is None else np.asarray(step), values)


def run_of(*all_of_them, **recipe):
    return Run({s.name: s for s in all_of_them}, recipe)


def test_a_reading_stands_until_the_next_one_and_not_beyond_the_last():
    cells, first, last = binned(
        [series("a", [1.0, 5.0], [0, 80]), series("b", [2.0, 3.0], [0, 160])]
    )
    assert (first, last) == (0.0, 160.0)
    assert set(cells[0][:80]) == {1.0} and cells[0][80] == 5.0 and np.isnan(cells[0][81:]).all()
    assert set(cells[1][:-1]) == {2.0} and cells[1][-1] == 3.0


def test_no_spike_and_no_hole_is_lost_in_a_long_series():
    values = np.ones(200_000)
    values[123_456], values[77_777], values[150_000] = 1e6, 1e-9, np.nan
    (cells,), _, _ = binned([series("a", values)])
    width = 200_000 / COLUMNS
    assert cells[int(123_456 / width)] == 1e6 and cells[int(77_777 / width)] == 1e-9
    assert np.isinf(cells[int(150_000 / width)])
    assert (cells == 1.0).sum() == COLUMNS - 3


def test_colours_are_even_in_decades_and_zero_is_told_apart():
    levels, low, high = levels_of(np.array([[1e-8, 1e-4, 1.0, 0.0, np.inf, np.nan]]))
    assert (low, high) == (1e-8, 1.0)
    assert levels[0].tolist() == [0, LEVELS // 2, LEVELS - 1, ZERO, NOT_FINITE, -1]


def test_layers_are_shown_in_order_of_depth_with_their_names():
    names = ["net.stem", "net.a.conv", "net.head"]
    layers = [series(f"grad_norm/adam/{n}", [10.0**-i] * 4) for i, n in enumerate(names)]
    rest = [series(f"update_ratio/adam/{n}", [1e-3] * 4) for n in names]
    gradient, update = heat_maps(run_of(*layers, *rest, series("grad_norm/adam", [1.0] * 4)))
    assert (gradient.kind, gradient.model) == ("Gradient norm", "net")
    assert update.kind == "Update over weight"
    assert 'data-rows="stem\na.conv\nhead"' in gradient.plot
    used = [int(n) for n in re.findall(r'class="heat h(\d+)"', gradient.plot.split("</desc>")[1])]
    assert {0, LEVELS - 1} <= set(used)


def test_very_many_layers_leave_out_some_between_the_ends_and_say_so():
    layers = [series(f"grad_norm/adam/net.{i}", [1.0, 2.0]) for i in range(500)]
    (shown,) = heat_maps(run_of(*layers))
    rows = re.search(r'data-rows="([^"]*)"', shown.plot)[1].split("\n")
    assert rows[0] == "0" and rows[-1] == "499" and len(rows) + shown.left_out == 500


@pytest.mark.parametrize("values", [[0.0] * 5, [np.nan] * 5, [1e300, 1e-300, 1, 2, 3], [-1.0] * 5])
def test_strange_values_make_a_map_all_the_same(values):
    layers = [series(f"activation/net.{i}/std", values) for i in range(3)]
    (shown,) = heat_maps(run_of(*layers))
    assert "nan" not in shown.plot.split("</desc>")[1]


def test_shares_are_stacked_to_one_and_a_column_is_the_mean_of_its_readings():
    a = np.linspace(0, 1, 10_000)
    steps, values = stacked([series("share/l/a", a), series("share/l/b", 1 - a)])
    assert steps.size == values.shape[1] <= SHARE_COLUMNS
    assert np.allclose(values.sum(axis=0), 1.0)
    assert values[0].mean() == pytest.approx(0.5, abs=0.01)


def test_a_term_has_one_colour_in_the_share_of_value_and_of_gradient():
    run = run_of(
        series("share/g_loss/l1", [0.9, 0.9]),
        series("share/g_loss/adversarial", [0.1, 0.1]),
        series("gradient_share/g_loss/adversarial", [0.8, 0.7]),
        series("gradient_share/g_loss/l1", [0.2, 0.3]),
    )
    value, gradient = share_plots(run)
    assert value.legend == [("l1", "90 %"), ("adversarial", "10 %")]
    assert gradient.legend == [("l1", "30 %"), ("adversarial", "70 %")]


def test_many_terms_are_taken_together_and_holes_stay_holes():
    terms = [series(f"share/l/{i}", [2.0**-i, np.nan, 2.0**-i]) for i in range(9)]
    (shown,) = share_plots(run_of(*terms))
    assert len(shown.legend) == 6 and shown.legend[-1][0] == "4 smaller terms"
    assert shown.plot.count("<polygon") == 12  # two pieces of each


def test_a_million_readings_are_drawn_small_and_soon_with_their_spike():
    values = np.ones(1_000_000)
    values[654_321] = 9.0
    run = run_of(series("loss/x", values))
    began = time.process_time()
    plot = series_plot(run, key_of("loss/x"))
    assert time.process_time() - began < 2
    assert len(plot) < 30_000
    heights = [float(y) for y in re.findall(r"[ML][\d.]+ ([\d.]+)", plot.split("</desc>")[1])]
    assert min(heights) < 60 < 150 < np.median(heights)


def test_layer_ten_is_listed_after_layer_nine():
    names = [f"activation/net.{i}/std" for i in (10, 9, 1, 100)]
    run = Run({n: series(n, [1.0]) for n in names})
    listed = [name for name, _ in pages._series(run)]
    assert listed == [f"activation/net.{i}/std" for i in (1, 9, 10, 100)]


def test_a_comparison_shows_what_both_have_and_where_they_differ():
    sick = series("loss/x", [3.0, 2.0])
    finding = Finding(
        "OPT003", "loss/x", "it rises 2", (Evidence(sick, ">", 1.0, (0, 1)),), "error"
    )
    a = Diagnosis(run_of(sick, series("lr/adam", [1, 1]), lr=1e-3, batch=8), (Cause(finding),))
    b = Diagnosis(run_of(series("loss/x", [1.0, 0.5]), lr=1e-2, batch=8), ())
    told = compared(a, b)
    assert [(name, last) for name, _, last in told.curves] == [("loss/x", ("2", "0.5"))]
    assert told.only == (1, 0)
    assert told.recipe == [("lr", "0.001", "0.01")] and told.same == 1
    assert told.findings == [("OPT003", "diverging-loss", finding, None)]
