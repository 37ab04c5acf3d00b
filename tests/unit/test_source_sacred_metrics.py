"""Sacred's metrics: what was logged, where from, and what is left of a damaged file."""

import json
from pathlib import Path

import numpy as np
import pytest
from log_samples.regression import training

from unstuck.load import load
from unstuck.source import UnreadableRunError
from unstuck.sources.sacred_metrics import sacred_metrics

LOGS = Path(__file__).resolve().parents[1] / "logs" / "sacred-metrics"


def written(tmp_path, text, name="metrics.json"):
    path = tmp_path / name
    path.write_text(text if isinstance(text, str) else json.dumps(text))
    return path


def metric(values, steps=None):
    steps = list(range(len(values))) if steps is None else steps
    return {"steps": steps, "timestamps": ["2026-01-05T10:00:00"] * len(steps), "values": values}


@pytest.mark.parametrize(("name", "every"), [("every-second", 2), ("every-fifth", 5)])
def test_values_read_are_those_the_training_logged(name, every):
    run = load(LOGS / name)
    wanted = list(training(60 * every))[::every]
    loss = run.series["loss/loss"]
    assert loss.step.tolist() == [r.step for r in wanted]
    assert np.allclose(loss.value, [r.loss for r in wanted], rtol=1e-12)
    val = run.series["metric/val/loss"]
    assert np.allclose(val.value, [r.val_loss for r in wanted[::5]], rtol=1e-12)
    assert run.roles["lr/all"] == "learning-rate" and run.roles[val.name] == "validation"
    assert np.all(np.diff(loss.wall) >= 0) and loss.wall[0] > 1.7e9


def test_settings_beside_the_metrics_are_the_recipe():
    assert load(LOGS / "every-second").recipe == {
        "steps": 120, "optimizer.name": "sgd", "optimizer.lr": 0.5, "seed": 0
    }  # fmt: skip


def test_a_file_that_was_cut_off_keeps_its_whole_metrics(tmp_path):
    text = json.dumps({"loss": metric([3, 2, 1]), "val_loss": metric([4, 3, 2])}, indent=1)
    (run,) = sacred_metrics.read(written(tmp_path, text[:-40]))
    assert run.series["loss/loss"].value.tolist() == [3, 2, 1]
    assert set(run.series) == {"loss/loss"}
    assert run.facts["source/remark"] == "the file is damaged; read are its first 1 metrics"


def test_a_restart_words_and_infinite_numbers(tmp_path):
    values = [5, 4, "nan", 2, None, 1.5]
    path = written(
        tmp_path, {"loss": metric(values, [0, 10, 20, 10, 20, 30]), "note": metric(["x"])}
    )
    (run,) = sacred_metrics.read(path)
    assert run.series["loss/loss"].step.tolist() == [0, 10, 30]
    assert run.series["loss/loss"].value.tolist() == [5, 2, 1.5]


def test_times_that_are_none_cost_only_the_times(tmp_path):
    entry = metric([3, 2, 1]) | {"timestamps": ["yesterday"] * 3}
    (run,) = sacred_metrics.read(written(tmp_path, {"loss": entry}))
    assert run.series["loss/loss"].wall is None and len(run.series["loss/loss"]) == 3


@pytest.mark.parametrize(
    "value",
    [
        {"loss": {"steps": [], "timestamps": [], "values": []}},
        {"loss": {"steps": [0, 1], "values": ["a", "b"]}},
        {"loss": {"steps": [10**30], "values": [1]}},
        '{"loss": {"steps": [' + "[" * 5_000,
    ],
    ids=["empty", "words", "huge", "deep"],
)
def test_without_a_number_it_ends_in_one_line(tmp_path, value):
    path = written(tmp_path, value)
    assert sacred_metrics.knows(path)
    with pytest.raises(UnreadableRunError, match="no metric with steps") as error:
        sacred_metrics.read(path)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(
    "value", [{"loss": [1, 2]}, {"loss": {"0": 1}}, [{"steps": [1]}], {"steps": [1], "values": [2]}]
)
def test_other_json_is_not_taken(tmp_path, value):
    assert not sacred_metrics.knows(written(tmp_path, value))
