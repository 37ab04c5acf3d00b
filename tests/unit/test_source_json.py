"""JSON of a training: lines of objects, histories of Keras, states of the Transformers Trainer."""

import json
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from log_samples.regression import training

from unstuck.load import load, load_all
from unstuck.source import UnreadableRunError
from unstuck.sources.json_lines import json_lines
from unstuck.sources.keras_history import keras_history
from unstuck.sources.trainer_state import trainer_state

LOGS = Path(__file__).resolve().parents[1] / "logs"
OUTPUT = LOGS / "trainer-state" / "output"


def written(tmp_path, text, name="log.jsonl"):
    path = tmp_path / name
    path.write_text(text)
    return path


@pytest.mark.parametrize("name", ["nested", "killed"])
def test_objects_within_objects(name):
    run, wanted = load(LOGS / "json-lines" / f"{name}.jsonl"), list(training(80))
    loss = run.series["loss/loss"]
    expected = np.array([r.loss if r.step != 40 else np.nan for r in wanted])[: len(loss)]
    assert len(loss) == (80 if name == "nested" else 79)
    assert np.allclose(loss.value, expected, equal_nan=True)
    assert run.series["metric/val/loss"].step.tolist()[:3] == [9, 19, 29]
    assert np.isinf(run.series["metric/val/worst"].value).all()
    assert np.allclose(run.series["lr/all"].value[:5], [r.lr for r in wanted[:5]])
    assert ("source/remark" in run.facts) == (name == "killed")


def test_numbers_in_quotes_and_steps_under_another_name():
    run = load(LOGS / "json-lines" / "quoted.json")
    assert run.series["loss/loss"].step.tolist() == list(range(60))
    assert np.allclose(run.series["loss/loss"].value, [r.loss for r in training(60)], atol=6e-4)


def test_a_list_of_objects_and_one_that_was_cut_off(tmp_path):
    whole = (LOGS / "json-lines" / "records.json").read_text()
    assert len(load(LOGS / "json-lines" / "records.json").series["loss/loss"]) == 120
    run = load(written(tmp_path, whole[: len(whole) // 2]))
    assert 55 < len(run.series["loss/loss"]) < 65 and "source/remark" in run.facts


def test_each_seed_is_a_run():
    runs = load_all(LOGS / "json-lines" / "seeds.jsonl")
    assert [r.name for r in runs] == ["seed 0", "seed 1", "seed 2"]
    assert np.allclose(runs[2].series["loss/loss"].value, [r.loss for r in training(50, 2)])


@pytest.mark.parametrize(
    "text",
    [
        '{"text": "a step", "score": 3}\n{"text": "the loss", "score": 4}\n',
        '{"lr": 0.1, "layers": [1, 2], "name": "x"}\n',
        '{"arm": "a", "seed": 1, "metrics": {"loss": 3}}\n' * 4,
        "[1, 2, 3]\n[4, 5, 6]\n",
        '{"id": 1, "bbox": [1, 2, 3, 4]}\n{"id": 2, "bbox": [1, 2, 3, 4]}\n',
        '{\n  "step": 1,\n  "loss": 2\n}\n',
    ],
)
def test_other_json_is_no_log(tmp_path, text):
    assert not json_lines.knows(written(tmp_path, text))


@pytest.mark.parametrize(
    "line",
    ["[" * 100_000, '{"a":' * 100_000, '{"step": 1' + "0" * 9_000 + "}", "{}", '"'],
    ids=["lists", "objects", "digits", "empty", "quote"],
)  # fmt: skip
def test_hostile_lines_are_passed_over(tmp_path, line):
    good = [f'{{"step": {i}, "loss": {i}.5}}\n' for i in range(9)]
    began = time.perf_counter()
    run = load(written(tmp_path, "".join(good) + f"{line}\n" + '{"step": 9, "loss": 9.5}\n'))
    assert run.series["loss/loss"].value[-1] == 9.5
    assert time.perf_counter() - began < 2


def test_a_history_of_keras():
    file = LOGS / "keras-history" / "history.json"
    run, history = load(file), json.loads(file.read_text())
    assert run.series["loss/loss"].value.tolist() == history["loss"]
    assert run.series["metric/val/accuracy"].value.tolist() == history["val_accuracy"]
    assert run.series["loss/loss"].step.tolist() == list(range(12))
    assert run.facts["step/unit"] == "epoch" and run.roles["lr/all"] == "learning-rate"


def test_histories_of_other_shapes(tmp_path):
    frame = '{"loss": {"0": 3, "1": 2, "2": null}, "val_loss": {"0": 4, "1": NaN, "2": 2}}'
    run = load(written(tmp_path, frame, "history.json"))
    assert run.series["loss/loss"].value.tolist() == [3, 2]
    assert np.array_equal(run.series["metric/val/loss"].value, [4, np.nan, 2], equal_nan=True)
    uneven = '{"loss": [3, 2, 1], "val_loss": [4], "epoch": [5, 6, 7], "note": "x", "sizes": [[1]]}'
    run = load(written(tmp_path, uneven, "uneven.json"))
    assert run.series["loss/loss"].step.tolist() == [5, 6, 7]
    assert run.series["metric/val/loss"].step.tolist() == [5]


@pytest.mark.parametrize(
    "text",
    ['{"width": [1, 2], "height": [3, 4]}', '{"loss": "mse", "lr": 1}', '{"loss": [3, 2', "[]"],
)  # fmt: skip
def test_other_json_is_no_history(tmp_path, text):
    path = written(tmp_path, text, "x.json")
    assert not keras_history.knows(path)
    if "width" not in text:
        with pytest.raises(UnreadableRunError):
            keras_history.read(path)


def test_an_output_directory_of_the_trainer_is_its_newest_state():
    run = load(OUTPUT)
    state = json.loads((OUTPUT / "checkpoint-96" / "trainer_state.json").read_text())
    losses = {e["step"]: e["loss"] for e in state["log_history"] if "loss" in e}
    assert dict(zip(run.series["loss/loss"].step.tolist(), run.series["loss/loss"].value,
                    strict=True)) == losses  # fmt: skip
    evals = [e["eval_loss"] for e in state["log_history"] if "eval_loss" in e]
    assert run.series["metric/val/loss"].value.tolist() == evals
    assert run.roles["grad_norm/all"] == "gradient-norm" and run.roles["lr/all"] == "learning-rate"
    assert run.recipe["max_steps"] == 96 and run.name == "output"


def test_the_summary_at_the_end_is_no_reading(tmp_path):
    state = json.loads((OUTPUT / "checkpoint-96" / "trainer_state.json").read_text())
    state["log_history"].append({"train_runtime": 3.2, "train_loss": 0.2, "epoch": 3, "step": 96})
    run = load(written(tmp_path, json.dumps(state), "trainer_state.json"))
    assert run.series == load(OUTPUT).series


def test_a_newer_state_beside_the_checkpoints_counts(tmp_path):
    shutil.copytree(OUTPUT / "checkpoint-50", tmp_path / "checkpoint-50")
    shutil.copy(OUTPUT / "checkpoint-96" / "trainer_state.json", tmp_path / "trainer_state.json")
    assert load(tmp_path).series == load(OUTPUT).series


def test_a_state_that_a_kill_left_half_written_gives_way_to_the_one_before(tmp_path):
    shutil.copytree(OUTPUT, tmp_path / "out")
    newest = tmp_path / "out" / "checkpoint-96" / "trainer_state.json"
    newest.write_bytes(newest.read_bytes()[:3_000])
    run = load(tmp_path / "out")
    assert run.last_step == 50 and "checkpoint-96 is damaged" in str(run.facts["source/remark"])


def test_nothing_pickled_is_opened(tmp_path, monkeypatch):
    opened = []
    plain = Path.open
    monkeypatch.setattr(Path, "open", lambda *a, **k: opened.append(a[0].name) or plain(*a, **k))
    shutil.copytree(OUTPUT, tmp_path / "out")
    (tmp_path / "out" / "training_args.bin").write_bytes(b"cos\nsystem\n(S'touch owned'\ntR.")
    opened.clear()
    assert load(tmp_path / "out").series == load(OUTPUT).series
    assert "trainer_state.json" in opened and "training_args.bin" not in opened


def test_other_directories_are_no_output(tmp_path):
    assert not trainer_state.knows(tmp_path)
    (tmp_path / "trainer_state.json").write_text('{"a": 1}')
    assert not trainer_state.knows(tmp_path)
    for text in ('{"global_step": 1, "log_history": []}', '{"global_step": 1', "[]"):
        (tmp_path / "trainer_state.json").write_text(text)
        with pytest.raises(UnreadableRunError):
            trainer_state.read(tmp_path)
