"""The sweep over the course: what makes a finished run stale, and what counts as harm."""

import math
from pathlib import Path
from types import SimpleNamespace

import course
import numpy as np
import pytest
from course_results import Form, Item

from unstuck.cases.course.item import Fault


def form(name, values, metric="accuracy", codes=(), **more):
    metrics = {seed: {metric: v, "baseline": 0.1, **more} for seed, v in enumerate(values)}
    return Form(name, metrics, dict.fromkeys(range(len(values)), codes), {}, {})


def one(healthy, sick, fault, higher=True):
    module = SimpleNamespace(
        METRIC="accuracy", HIGHER_IS_BETTER=higher, MARGIN=0.5, FAULTS={"f": fault}
    )
    return Item("x", module, healthy, {"f": sick})


WORSE = Fault({"lr": 9.0}, "it gets worse", ("OPT001", "CAP002"))


def test_a_fault_hurts_where_the_interval_of_the_paired_difference_excludes_zero():
    healthy = form("healthy", [0.9, 0.8, 0.85, 0.9, 0.8])
    effect, low, high = one(healthy, form("f", [0.7, 0.6, 0.66, 0.69, 0.6]), WORSE).harm("f")
    assert 0 < low < effect < high and effect == pytest.approx(0.2)
    assert one(healthy, form("f", [0.9, 0.7, 0.9, 0.85, 0.85]), WORSE).harm("f")[1] < 0
    better = one(healthy, form("f", [0.95, 0.86, 0.9, 0.96, 0.85]), WORSE).harm("f")
    assert better[2] < 0


def test_a_symptom_has_its_own_direction():
    healthy = form("healthy", [1.0, 1.1, 0.9], metric="gap")
    sick = form("f", [3.0, 3.2, 3.1], metric="gap")
    rising = Fault({}, "the gap rises", symptom="gap")
    falling = Fault({}, "the gap falls", symptom="gap", falls=True)
    assert one(healthy, sick, rising).harm("f")[1] > 0 > one(healthy, sick, falling).harm("f")[2]


def test_no_number_is_the_worst_number():
    healthy = form("healthy", [0.9, 0.8, 0.85])
    assert one(healthy, form("f", [math.nan] * 3), WORSE).harm("f")[1] == math.inf
    assert math.isnan(one(healthy, form("f", [math.nan, 0.8, 0.8]), WORSE).harm("f")[1])


def test_margin_is_counted_seed_by_seed():
    low = form("healthy", [0.9, 0.59, 0.7])
    assert one(low, low, WORSE).beats == 2
    assert one(low, low, WORSE, higher=False).beats == 0


def test_the_first_code_counts():
    healthy = form("healthy", [0.9, 0.9])
    assert (
        one(healthy, form("f", [0.1, 0.1], codes=("OPT001", "GEN001")), WORSE).named_first("f") == 2
    )
    assert (
        one(healthy, form("f", [0.1, 0.1], codes=("GEN001", "OPT001")), WORSE).named_first("f") == 0
    )
    assert one(healthy, form("f", [0.1]), WORSE).known_codes("f") == ["OPT001"]


def test_what_makes_a_finished_run_stale(tmp_path, monkeypatch):
    source = Path(course.SOURCES / "cnn.py").read_text()
    copy = tmp_path / "cnn.py"
    monkeypatch.setattr(course, "SOURCES", tmp_path)

    def key(text, form="healthy"):
        copy.write_text(text)
        course.key_of.cache_clear()  # as in a new process
        return course.key_of("cnn", form)

    first = key(source)
    assert key(source) == first
    assert key(source, "dead-relu") != first
    assert key(source.replace("A small convolutional", "Some convolutional")) == first
    assert key(source.replace("MARGIN = 0.6", "MARGIN = 0.5")) == first
    assert key(source.replace("2e-3", "3e-3")) != first


def test_what_a_run_depends_on():
    found = {p.stem for p in course._depends(course.SOURCES / "cnn.py", set())}
    assert {"cnn", "loop", "fashion"} <= found and not found & {"pictures", "digits", "knn"}


def test_spread_ignores_no_seed():
    assert np.isnan(form("healthy", [1.0]).values("absent")).all()
