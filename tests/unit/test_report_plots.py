import math
import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unstuck.records import Evidence, Run, Series
from unstuck.report import svg
from unstuck.report.evidence_plot import evidence_plot
from unstuck.report.overview_plot import overview
from unstuck.report.scale import CHARACTER, Scale, fitted
from unstuck.report.thin import outline

NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


def elements(drawing: str, class_: str) -> list[dict[str, str]]:
    """Attributes of every element of a class."""
    found = re.findall(rf'<\w+ ([^>]*class="{class_}"[^>]*)', drawing)
    return [dict(re.findall(r'([\w-]+)="([^"]*)"', attributes)) for attributes in found]


def rise(last: float = 10.0, count: int = 101) -> Series:
    return Series("loss/loss", np.arange(count), np.linspace(0.0, last, count))


def test_the_limit_is_drawn_at_its_value_and_named():
    drawn = evidence_plot(Evidence(rise(), ">", 5.0, (50, 100)))
    (limit,) = elements(drawn, "limit")
    (line,) = elements(drawn, "line")
    ys = [float(y) for _, y in re.findall(r"([\d.]+) ([\d.]+)", line["d"])]
    assert float(limit["y1"]) == float(limit["y2"])
    assert float(limit["y1"]) == pytest.approx((ys[0] + ys[-1]) / 2, abs=0.11)
    assert "limit &gt; 5" in drawn


def test_the_span_is_shaded_from_its_first_to_its_last_step():
    drawn = evidence_plot(Evidence(rise(), ">", 2.0, (25, 75)))
    (span,) = elements(drawn, "span")
    (line,) = elements(drawn, "line")
    xs = [float(x) for x, _ in re.findall(r"([\d.]+) ([\d.]+)", line["d"])]
    width = xs[-1] - xs[0]
    assert float(span["x"]) == pytest.approx(xs[0] + width / 4, abs=0.2)
    assert float(span["width"]) == pytest.approx(width / 2, abs=0.2)


@pytest.mark.parametrize(
    ("low", "log"), [(0.0101, False), (0.0099, True), (0.0, False), (-0.001, False)]
)
def test_two_decades_of_positive_values_are_drawn_in_logarithm(low, log):
    assert fitted(np.array([low, 1.0]), 100.0, 0.0).log == log


def test_readings_that_are_not_finite_break_the_line_and_are_marked():
    value = np.ones(100)
    value[40:60] = math.nan
    value[80] = math.inf
    series = Series("loss/loss", np.arange(100), value)
    drawn = evidence_plot(Evidence(series, "not finite", 0.0, (40, 59)))
    assert len(elements(drawn, "line")) == 3
    assert len(elements(drawn, "hole")) == 2
    assert not elements(drawn, "limit")
    assert "nan" not in " ".join(re.findall(r' (?:d|x|y)="([^"]*)"', drawn))


@pytest.mark.parametrize(
    "value",
    [[], [math.nan], [math.nan, math.inf], [1e308, -1e308], [5e-324, 1e308], [0.0] * 3, [7.0] * 2],
)
@pytest.mark.parametrize("op", [">", "<", "not finite"])
def test_every_series_can_be_drawn(value, op):
    series = Series("loss/loss", np.arange(len(value)), np.array(value))
    drawn = evidence_plot(Evidence(series, op, 1.0, (0, max(0, len(value) - 1))))
    numbers = re.findall(r' (?:x|y|x1|y1|x2|y2|cx|cy|width|height)="([^"]*)"', drawn)
    assert all(math.isfinite(float(n)) for n in numbers)
    assert "Infinity" not in drawn and "NaN " not in " ".join(re.findall(r' d="([^"]*)"', drawn))


def test_a_single_reading_is_a_number_line_with_its_limit():
    drawn = evidence_plot(Evidence(Series("reliance/a/skips", [9], [3.2]), ">", 2.0, (9, 9)))
    (limit,), (point,), (span,) = (elements(drawn, c) for c in ("limit", "point", "span"))
    assert float(point["cx"]) > float(limit["x1"]) == float(span["x"])
    assert "3.2</text>" in drawn and "limit &gt; 2" in drawn and "dimensionless" in drawn


def test_a_huge_series_keeps_its_extremes_in_few_points():
    rng = np.random.default_rng(0)
    value = rng.standard_normal(1_000_000)
    value[123_456], value[765_432] = 40.0, -40.0
    drawn = outline(Series("loss/loss", np.arange(value.size), value), 400)
    points = np.concatenate([v for _, v in drawn.pieces])
    assert points.size <= 800
    assert (points.max(), points.min()) == (40.0, -40.0)
    assert (
        len(evidence_plot(Evidence(Series("l/l", range(value.size), value), ">", 0, (0, 9)))) < 2e4
    )


def test_a_million_gaps_stay_a_small_drawing():
    value = np.ones(1_000_000)
    value[::2] = math.nan
    series = Series("loss/loss", np.arange(value.size), value)
    assert len(evidence_plot(Evidence(series, "not finite", 0.0, (0, 999_999)))) < 60_000


@given(low=NUMBERS, high=NUMBERS, most=st.integers(2, 10))
@settings(max_examples=300, deadline=None)
def test_tick_labels_differ_and_do_not_overlap(low, high, most):
    scale = fitted(np.array([low, high]), 0.0, 600.0)
    ticks = scale.spaced_ticks(most)
    assert 1 <= len(ticks) <= max(most + 1, 5)
    assert len({label for _, label in ticks}) == len(ticks)
    for (x, label), (next_x, next_label) in pairwise(ticks):
        assert next_x - x > (len(label) + len(next_label)) / 2 * CHARACTER


@given(value=NUMBERS, other=NUMBERS)
@settings(max_examples=200, deadline=None)
def test_a_scale_keeps_every_value_between_its_ends(value, other):
    scale = fitted(np.array([value, other]), 600.0, 0.0)
    pixels = scale(np.array([value, other]))
    assert np.all((pixels >= -1e-6) & (pixels <= 600 + 1e-6))


def test_steps_are_labelled_with_whole_numbers():
    labels = [label for _, label in Scale(0, 3, 0, 600).spaced_ticks(8, whole=True)]
    assert labels == ["0", "1", "2", "3"]


def test_overview_groups_losses_terms_shares_and_metrics():
    names = [
        "loss/g",
        "loss/d",
        "term/g/adv",
        "share/g/adv",
        "share/g/l1",
        "metric/val/psnr",
        "metric/train/psnr",
        "lr/adam",
        "activation/m.a/std",
    ]
    run = Run({n: Series(n, [0, 1], [1.0, 0.5]) for n in names})
    plots, left = overview(run)
    assert left == 0
    assert [(title, sorted(legend)) for title, _, legend in plots] == [
        ("Losses", ["d", "g"]),
        ("Metric psnr", ["train", "val"]),
        ("Terms of g", ["adv"]),
        ("Shares of value of g", ["adv", "l1"]),
        ("Learning rates", ["adam"]),
    ]


def test_a_crowd_of_series_is_drawn_in_part_and_said_so():
    run = Run({n: Series(n, [0, 1], [1.0, 2.0]) for n in (f"loss/l{i:02}" for i in range(30))})
    ((_, drawing, legend),), left = overview(run)
    assert len(legend) == 30 and left == 0
    assert drawing.count("<path") == 6
    assert "24 more lines not drawn" in drawing


def test_text_in_a_drawing_is_escaped():
    assert svg.text(0, 0, "<b>&\"'") == (
        '<text x="0" y="0" class="tick" text-anchor="start">&lt;b&gt;&amp;&#34;&#39;</text>'
    )
