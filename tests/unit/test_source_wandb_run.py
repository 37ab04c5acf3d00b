"""Weights & Biases' runs as its own program wrote them, damaged, and without a history."""

import json
import shutil
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest

from unstuck.load import load, load_all
from unstuck.records import Run
from unstuck.source import UnreadableRunError
from unstuck.sources.wandb_run import MAGIC, wandb_run

LOGS = Path(__file__).resolve().parents[1] / "logs" / "wandb-run"
EXPECTED = json.loads((Path(__file__).parent / "wandb_expected.json").read_text())


def by_logged_name(run: Run) -> dict:
    return {str(run.facts[f"logged/{name}"]): series for name, series in run.series.items()}


def field(number: int, content: bytes) -> bytes:
    key = number << 3 | 2
    head = bytes([key]) if key < 128 else bytes([key & 0x7F | 0x80, key >> 7])
    return head + bytes([len(content)]) + content


def row(step: int, **values: str) -> bytes:
    items = [field(1, field(1, k.encode()) + field(16, v.encode())) for k, v in values.items()]
    return field(2, b"".join(items) + field(2, bytes([0x08, step])))


def file_of(folder: Path, *records: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    pieces = [
        struct.pack("<IHB", zlib.crc32(b"\x01" + record), len(record), 1) + record
        for record in records
    ]
    file = folder / "run-x.wandb"
    file.write_bytes(MAGIC + b"".join(pieces))
    return file


@pytest.mark.parametrize("sample", ["offline", "killed"])
def test_every_number_is_read_as_wandb_reads_it(sample):
    found = by_logged_name(load(LOGS / sample))
    wanted = {n: it for n, it in EXPECTED[f"run-{sample}"].items() if n != "_timestamp"}
    assert set(found) == set(wanted)
    for name, (steps, total) in wanted.items():
        assert found[name].step.tolist() == steps, name
        value = float(found[name].value.sum())
        assert value == pytest.approx(total, rel=1e-12, nan_ok=True)


def test_a_reading_has_its_time_of_day():
    run = load(LOGS / "offline")
    steps, total = EXPECTED["run-offline"]["_timestamp"]
    assert len(steps) == len(run.series["loss/loss"])
    assert float(run.series["loss/loss"].wall.sum()) == pytest.approx(total, rel=1e-12)


def test_what_was_skipped_and_what_is_no_number_is_absent():
    found = by_logged_name(load(LOGS / "offline"))
    assert found["train/loss"].step.tolist() == [*range(90), 120]
    assert found["odd"].step.tolist() == [7] and np.isnan(found["odd"].value[0])
    assert not any("note" in name or "weights" in name for name in found)


def test_the_configuration_is_the_recipe():
    assert load(LOGS / "offline").recipe == {
        "lr": 0.5,
        "optimizer.name": "sgd",
        "optimizer.momentum": 0.0,
        "seed": 0,
        "batch_size": 16,  # set after the run had begun
    }


def test_a_setting_beside_the_log_counts_where_the_log_tells_none(tmp_path):
    file_of(tmp_path / "run", row(0, loss="1.0"))
    (tmp_path / "run" / "files").mkdir()
    config = "_wandb:\n  value: {t: 1}\nlr:\n  desc: null\n  value: 0.25\n"
    (tmp_path / "run" / "files" / "config.yaml").write_text(config)
    assert load(tmp_path / "run").recipe == {"lr": 0.25}


def test_the_step_a_script_logs_itself_counts():
    found = by_logged_name(load(LOGS / "own-steps"))
    assert found["train/loss"].step.tolist() == list(range(0, 200, 5))
    assert found["val/loss"].step.tolist() == list(range(0, 200, 25))
    assert "trainer/global_step" not in found


def test_a_step_that_some_rows_lack_does_not_count(tmp_path):
    rows = [row(i, loss=str(9 - i), global_step=str(10 * i)) for i in range(4)]
    file_of(tmp_path / "run", *rows, row(9, loss="1"))
    run = load(tmp_path / "run")
    assert run.series["loss/loss"].step.tolist() == [0, 1, 2, 3, 9]


def test_numbers_of_all_spellings_are_read(tmp_path):
    cells = ["1", "2.5e-3", "NaN", '"Infinity"', "-Infinity", "true", "null", '"text"', "[1]"]
    file_of(tmp_path / "run", *(row(i, loss=cell) for i, cell in enumerate(cells)))
    series = load(tmp_path / "run").series["loss/loss"]
    assert series.step.tolist() == [0, 1, 2, 3, 4, 5]
    np.testing.assert_array_equal(series.value, [1, 2.5e-3, np.nan, np.inf, -np.inf, 1])


def test_nested_values_of_older_writers_are_taken_apart(tmp_path):
    value = '{"loss": 0.5, "more": {"acc": 0.75}, "name": "x"}'
    histogram = '{"_type": "histogram", "bins": [1], "total": 3}'
    file_of(tmp_path / "run", row(3, val=value, weights=histogram))
    run = load(tmp_path / "run")
    assert {name: float(s.value[0]) for name, s in run.series.items()} == {
        "metric/val/loss": 0.5,
        "metric/val/more_acc": 0.75,
    }


def test_a_record_that_is_cut_off_is_left_out_and_told():
    assert "cut off" in str(load(LOGS / "killed").facts["source/remark"])
    assert "source/remark" not in load(LOGS / "offline").facts


def test_reading_goes_on_at_the_block_after_a_damaged_one(tmp_path):
    shutil.copytree(LOGS / "offline", tmp_path / "run")
    (file,) = (tmp_path / "run").rglob("*.wandb")
    data = bytearray(file.read_bytes())
    assert len(data) > 32_768 + 4_000
    data[20_000] ^= 1
    file.write_bytes(data)
    run = load(tmp_path / "run")
    whole = load(LOGS / "offline").series["loss/loss"]
    left = run.series["loss/loss"]
    assert "damaged places" in str(run.facts["source/remark"])
    assert 10 < len(left) < len(whole)
    assert left.step[0] == 0 and left.step[-1] == 120
    assert np.isin(left.value, whole.value).all()


def test_a_folder_of_runs_gives_each_of_them():
    assert len(load_all(LOGS)) == 3


def test_a_run_that_has_only_its_last_values_says_where_the_history_is(tmp_path):
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "wandb-summary.json").write_text('{"loss": 0.5, "_step": 99}')
    with pytest.raises(UnreadableRunError, match="last values"):
        load(tmp_path)


@pytest.mark.parametrize("records", [(), (row(0, note='"text"'),), (b"\x12\xff",)])
def test_a_run_without_numbers_says_so(tmp_path, records):
    file_of(tmp_path / "run", *records)
    with pytest.raises(UnreadableRunError, match="no number"):
        load(tmp_path / "run")


def test_a_file_is_known_by_its_bytes_and_not_by_its_name(tmp_path):
    (tmp_path / "run-x.wandb").write_text("loss: 1\n" * 9)
    assert not wandb_run.knows(tmp_path) and not wandb_run.knows(tmp_path / "run-x.wandb")
    copy = tmp_path / "log.bin"
    shutil.copy(next(LOGS.rglob("run-own-steps.wandb")), copy)
    assert wandb_run.knows(copy)
