"""Tables that Lightning and Ultralytics themselves wrote, with the settings beside them."""

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest

from unstuck.load import load, load_all
from unstuck.source import UnreadableRunError
from unstuck.sources.lightning_csv import lightning_csv
from unstuck.sources.ultralytics_csv import ultralytics_csv

LOGS = Path(__file__).resolve().parents[1] / "logs"
VERSIONS = LOGS / "lightning-csv" / "classifier"
BOXES = LOGS / "ultralytics-csv" / "boxes"


def rows_of(file):
    """The rows of a table, as the csv module reads them."""
    with file.open() as text:
        rows = list(csv.reader(text))
    names = [name.strip() for name in rows[0]]
    return [dict(zip(names, row, strict=True)) for row in rows[1:]]


def column(file, name, axis):
    return [(int(r[axis]), float(r[name])) for r in rows_of(file) if r[name].strip()]


def pairs(series):
    return list(zip(series.step.tolist(), series.value.tolist(), strict=True))


@pytest.mark.parametrize(
    ("series", "name", "role"),
    [
        ("loss/loss_step", "train_loss_step", "loss"),
        ("metric/train/loss_epoch", "train_loss_epoch", "training"),
        ("metric/val/loss", "val_loss", "validation"),
        ("metric/val/acc", "val_acc", "validation"),
        ("lr/SGD", "lr-SGD", "learning-rate"),
    ],
)
def test_every_number_of_lightning(series, name, role):
    run = load(VERSIONS / "version_0")
    assert pairs(run.series[series]) == column(VERSIONS / "version_0" / "metrics.csv", name, "step")
    assert run.roles[series] == role and run.facts[f"logged/{series}"] == name


def test_versions_are_runs_with_their_settings():
    runs = load_all(VERSIONS)
    assert [r.name for r in runs] == ["version_0", "version_1"]
    assert runs[0].recipe == {"lr": 0.3, "width": 8}
    assert runs[1].series["loss/loss_step"].step[0] == 123  # begun from the checkpoint of step 120


def test_the_file_is_read_like_its_directory():
    whole, file = load(VERSIONS / "version_0"), load(VERSIONS / "version_0" / "metrics.csv")
    assert (whole.name, whole.series, whole.recipe) == (file.name, file.series, file.recipe)


def test_of_a_validation_only_what_was_taken_over_an_epoch_counts(tmp_path):
    text = "epoch,step,val_loss_epoch,val_loss_step,acc_epoch,acc_step\n"
    file = tmp_path / "metrics.csv"
    file.write_text(text + "0,4,,1.5,,0.5\n0,5,1.2,,0.6,\n1,9,1.1,,0.7,\n")
    run = load(tmp_path)
    assert run.facts["source/format"] == "lightning-csv"
    assert [n for n, role in run.roles.items() if role == "validation"] == ["metric/val/loss_epoch"]
    assert run.roles["metric/train/acc_step"] == "training"


def test_settings_that_would_run_code_are_passed_over(tmp_path):
    shutil.copytree(VERSIONS / "version_0", tmp_path / "v")
    settings = "lr: 0.1\nopt: !!python/object/apply:os.system ['touch owned']\na: &a [1]\nb: *a\n"
    (tmp_path / "v" / "hparams.yaml").write_text(settings)
    assert load(tmp_path / "v").recipe == {"lr": 0.1}
    (tmp_path / "v" / "hparams.yaml").write_text("[" * 20_000)
    assert load(tmp_path / "v").recipe == {}


def test_other_tables_are_not_taken_for_lightnings(tmp_path):
    (tmp_path / "metrics.csv").write_text("epoch,step,loss\n0,1,0.5\n0,2,0.4\n")
    assert not lightning_csv.knows(tmp_path / "metrics.csv")
    assert load(tmp_path / "metrics.csv").facts["source/format"] == "csv-table"


@pytest.mark.parametrize(
    ("series", "name", "role"),
    [
        ("loss/box_loss", "train/box_loss", "loss"),
        ("metric/val/metrics_mAP50(B)", "metrics/mAP50(B)", "validation"),
        ("metric/val/dfl_loss", "val/dfl_loss", "validation"),
        ("lr/pg0", "lr/pg0", "learning-rate"),
    ],
)
def test_every_number_of_ultralytics(series, name, role):
    run = load(BOXES)
    assert pairs(run.series[series]) == column(BOXES / "results.csv", name, "epoch")
    assert run.roles[series] == role and run.facts["step/unit"] == "epoch"
    assert run.recipe["lr0"] == 0.01 and run.recipe["epochs"] == 60


def test_the_padded_tables_of_older_versions():
    folder = LOGS / "ultralytics-csv" / "padded"
    run = load(folder / "results.csv")
    file = folder / "results.csv"
    assert pairs(run.series["loss/obj_loss"]) == column(file, "train/obj_loss", "epoch")
    assert [n for n, role in run.roles.items() if role == "learning-rate"] == [
        "lr/x_lr0",
        "lr/x_lr1",
    ]
    assert run.recipe["hyp.lr0"] == 0.5 and run.name == "padded"


def test_a_training_still_running_is_read_as_far_as_it_is(tmp_path):
    text = (BOXES / "results.csv").read_bytes()
    (tmp_path / "results.csv").write_bytes(text[:-40])
    run = load(tmp_path)
    assert run.last_step == 59 and run.facts["source/remark"] == "the last row was cut off"
    assert np.isfinite(run.series["loss/box_loss"].value).all()


@pytest.mark.parametrize("source", [lightning_csv, ultralytics_csv], ids=lambda s: s.name)
def test_other_places_are_not_known_and_end_in_one_line(tmp_path, source):
    for name in ("metrics.csv", "results.csv"):
        (tmp_path / name).write_text("epoch,step\n")
    assert not source.knows(tmp_path) and not source.knows(tmp_path / "absent")
    with pytest.raises(UnreadableRunError):
        source.read(tmp_path)
