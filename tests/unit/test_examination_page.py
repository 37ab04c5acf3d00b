"""What probes found is shown as it is: every plot, every reason, nothing that a page would run."""

import json
import xml.etree.ElementTree as ET
from io import StringIO

import numpy as np
import pytest
from rich.console import Console

from unstuck.diagnose import diagnose
from unstuck.experiment import Bars, Curve, Examination, HeatMap, Listing, Result
from unstuck.preflight import decided
from unstuck.records import Run
from unstuck.report import examination as shown
from unstuck.report import probe_plot

HOSTILE = "<script>alert(1)</script>\x1b[2J"
SICK = {"reliance/net/skips": 3.2, "reliance/net/bottleneck": 1.0}
RATES = np.logspace(-5, 1, 13)


def curve(y=None, **more):
    y = np.linspace(2, 1, 13) if y is None else np.asarray(y, float)
    return Curve("Loss by rate", RATES, y, "learning rate", "loss", log_x=True, **more)


def examination(facts=None, left_out=None, **results):
    made = {name.replace("_", "-"): result for name, result in results.items()}
    run = Run({}, facts=facts or {}, name="net")
    return Examination(made, left_out or {}, dict.fromkeys(made, 0.5), diagnose(run))


def printed(it):
    out = StringIO()
    shown.print_examination(it, decided(it), Console(file=out, width=200))
    return out.getvalue()


PICTURES = {
    "curve": curve(span=(1e-3, 1e-1), marks={"now": 0.3, "best": 0.01}),
    "broken curve": curve([2, np.nan, np.inf, *[1] * 10]),
    "flat curve": curve([1] * 13),
    "one point": Curve("p", np.array([1.0]), np.array([2.0]), "x", "y"),
    "bars": Bars("Bars", {"a": {"zeros": 3.0, "mean": 1.0}, "b": {"zeros": 0.5}}, "x", limit=1.0),
    "stack": Bars("Stack", {"a": {"p": 3e9, "q": 1e9}}, "bytes", stacked=True, limit=15e9),
    "log bars": Bars("Log", {"a": {"": 1e-6}, "b": {"": 10.0}}, "ratio", log=True),
    "no bars": Bars("None", {}, "x"),
    "odd bars": Bars("Odd", {"a": {"x": float("nan")}, "b": {"x": float("inf"), "y": -2.0}}, "x"),
    "many bars": Bars("Many", {f"layer{i}": {"x": i} for i in range(500)}, "x"),
    "heat": HeatMap("Heat", np.outer(np.arange(20.0), np.arange(30.0)), "gradient"),
    "no heat": HeatMap("Zero", np.zeros((5, 5)), "gradient"),
    "large heat": HeatMap("Large", np.random.default_rng(0).random((1000, 700)), "gradient"),
    "odd heat": HeatMap("Odd", np.array([[np.nan, np.inf], [1e-300, 1e300]]), "gradient"),
    "table": Listing("Table", ("a", "b"), ((1, "x"), (2.5, True))),
    "hostile": Listing(HOSTILE, (HOSTILE,), ((HOSTILE,),)),
    "hostile bars": Bars(HOSTILE, {HOSTILE: {HOSTILE: 1.0, "b": 2.0}}, HOSTILE),
}


@pytest.mark.parametrize("name", PICTURES)
def test_every_picture_is_drawn(name):
    it = examination(horizon=Result({}, ("A sentence.",), (PICTURES[name],)))
    page = shown.page(it, decided(it))
    assert "A sentence." in page
    assert "<script>alert" not in page and "\x1b" not in page
    assert "nan" not in page.split("<main")[1].lower().replace("alert(1)", "") or "odd" in name
    assert len(page) < 2_000_000


@pytest.mark.parametrize("name", [n for n in PICTURES if "table" not in n and n != "hostile"])
def test_every_drawing_is_well_formed_and_within_its_frame(name):
    it = PICTURES[name]
    draw = {Curve: probe_plot.curve, Bars: probe_plot.bars, HeatMap: probe_plot.heat_map}[type(it)]
    root = ET.fromstring(str(draw(it)))
    width, height = (float(root.get(k)) for k in ("width", "height"))
    for element in root.iter():
        for key, most in (("x", width), ("y", height), ("cx", width), ("cy", height)):
            value = element.get(key)
            if value is not None:
                assert -1 <= float(value) <= most + 1, (element.tag, key, value)


def test_a_sick_model_is_no_go_or_warned_of_and_a_healthy_one_goes():
    warned = examination(SICK, path_reliance=Result(SICK))
    assert decided(warned).go and "SKP001" in decided(warned).warnings[0]
    leaking = examination({"reliance/net/leak": 5.0}, path_reliance=Result({}))
    assert decided(leaking).word == "no-go"
    assert decided(examination(start=Result({}))).word == "go"


def test_a_batch_that_does_not_fit_is_no_go():
    facts = {"memory_plan/net/share": 1.7, "memory_plan/net/largest_batch": 24}
    decision = decided(examination(facts, memory_plan=Result(facts)))
    assert decision.word == "no-go"
    assert "170 %" in decision.reasons[0] and "24" in decision.reasons[0]


def test_numbers_that_cannot_be_repeated_are_a_warning():
    facts = {"determinism/net/same": False, "determinism/net/first_op": "aten.rand"}
    decision = decided(examination(facts, determinism=Result(facts)))
    assert decision.go and "aten.rand" in decision.warnings[0]


def test_where_nothing_was_probed_there_is_no_answer():
    decision = decided(examination(left_out={"labels": "no labels here"}))
    assert decision.go is None and "labels: no labels here" in decision.reasons
    assert "No answer" in printed(examination(left_out={"labels": "no labels here"}))


def test_the_terminal_says_what_was_found_and_what_was_not_probed():
    it = examination(
        SICK,
        {"labels": f"no labels {HOSTILE}"},
        path_reliance=Result(SICK, ("The error is 3.2 times as large.",)),
        start=Result({"start/net/ratio": 1.25}),
    )
    text = printed(it)
    assert "The error is 3.2 times as large." in text and "start/net/ratio 1.25" in text
    assert "labels not probed" in text and "\x1b" not in text
    assert "SKP001" in text and "Go, with 1 warning" in text


def test_json_holds_the_same(tmp_path):
    it = examination(SICK, {"labels": "none"}, path_reliance=Result(SICK, ("Said.",)))
    told = json.loads(shown.write_json(tmp_path / "a.json", it, decided(it)).read_text())
    assert told["decision"] == "go" and told["left_out"] == {"labels": "none"}
    assert told["probes"]["path-reliance"]["facts"] == SICK
    assert told["diagnosis"]["causes"][0]["code"] == "SKP001"
