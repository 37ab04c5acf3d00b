import json
import math

import jsonschema
import numpy as np
import pytest
import report_sample as sample

from unstuck.records import Cause, Diagnosis, Evidence, Finding, Outcome, Run, Series, Trial
from unstuck.report import as_json


def validator():
    jsonschema.Draft202012Validator.check_schema(as_json.schema())
    return jsonschema.Draft202012Validator(as_json.schema())


def with_bad_numbers() -> tuple[Diagnosis, Trial]:
    value = np.array([1.0, math.nan, math.inf, -math.inf])
    series = Series("loss/loss", np.arange(4), value)
    evidence = Evidence(series, "not finite", math.inf, (1, 3))
    finding = Finding("NUM001", "loss", "loss is not finite since step 1", (evidence,), "error")
    run = Run({series.name: series}, recipe={"lr": math.nan, "amp": True}, facts={"n": 3})
    trial = sample.trial()
    lost = Outcome("baseline", 9, {"psnr": math.nan}, None, error="killed")
    return Diagnosis(run, (Cause(finding),)), Trial(trial.plan, (lost,), ())


@pytest.mark.parametrize(
    "told",
    [
        (sample.diagnosis(), sample.trial()),
        (sample.diagnosis(), None),
        (Diagnosis(Run({}), ()), None),
        with_bad_numbers(),
    ],
)
def test_output_obeys_the_schema_and_is_strict_json(told):
    text = as_json.dumps(*told)
    loaded = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    validator().validate(loaded)
    assert loaded["schema"] == "unstuck.report/1"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda it: it.pop("unchecked"),
        lambda it: it.update(schema="unstuck.report/2"),
        lambda it: it["causes"][0].update(severity="awful"),
        lambda it: it["causes"][0].pop("symptoms"),
        lambda it: it["causes"][0]["evidence"][0].update(span=[1]),
        lambda it: it["trial"]["verdicts"][0].update(word="cured"),
        lambda it: it["trial"]["verdicts"][0].update(effect="big"),
        lambda it: it["run"].update(surprise=1),
    ],
)
def test_the_schema_rejects_what_is_broken(spoil):
    told = as_json.to_dict(sample.diagnosis(), sample.trial())
    spoil(told)
    assert not validator().is_valid(told)


def test_numbers_survive_the_round_trip():
    told = json.loads(as_json.dumps(sample.diagnosis(), sample.trial()))
    run, trial = sample.run(), sample.trial()
    for series in told["run"]["series"]:
        value = run.series[series["name"]].value
        assert (series["first"], series["last"], series["count"]) == (
            value[0],
            value[-1],
            len(value),
        )
    psnr = [o["metrics"]["psnr"] for o in told["trial"]["outcomes"]]
    assert psnr == [o.metrics["psnr"] for o in trial.outcomes]
    cause = told["causes"][0]
    assert (cause["code"], cause["since"]) == ("COL004", 74)
    assert [s["code"] for s in cause["symptoms"]] == ["OPT004", "SKP001"]
    assert cause["evidence"][0] == {
        "series": sample.LATENT,
        "op": "<",
        "limit": 0.001,
        "span": [74, 249],
    }


def test_the_series_alone_are_those_of_the_report():
    told = json.loads(as_json.series_dumps(sample.run()))
    assert told == as_json.to_dict(sample.diagnosis())["run"]
    assert {s["name"] for s in told["series"]} == set(sample.run().series)


def test_what_is_not_finite_is_told_in_words():
    told = as_json.to_dict(*with_bad_numbers())
    assert told["run"]["recipe"] == {"lr": "NaN", "amp": True}
    assert told["run"]["series"][0]["last"] == "-Infinity"
    assert told["causes"][0]["evidence"][0]["limit"] == "Infinity"
    assert told["trial"]["outcomes"][0]["metrics"]["psnr"] == "NaN"


def test_long_and_odd_text_is_bounded_and_writable(tmp_path):
    name = "\ud800\x1b[2J" + "a" * 1_000_000
    run = Run({name: Series(name, [0], [1.0])}, recipe={name: name})
    path = as_json.write(tmp_path / "deep" / "report.json", Diagnosis(run, ()))
    assert path.stat().st_size < 20_000
    validator().validate(json.loads(path.read_text()))


def test_writing_replaces_the_old_file_whole_and_leaves_no_draft(tmp_path):
    path = tmp_path / "report.json"
    path.write_text("old")
    as_json.write(path, sample.diagnosis(), sample.trial())
    json.loads(path.read_text())
    assert [p.name for p in tmp_path.iterdir()] == ["report.json"]


def test_a_failed_write_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "report.json"
    path.write_text("old")
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        as_json.write(path, sample.diagnosis())
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["report.json"]
