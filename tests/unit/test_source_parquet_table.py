"""Parquet tables of pandas and of pyarrow; damaged, foreign, and without pyarrow."""

import sys
from pathlib import Path

import numpy as np
import pytest
from log_samples.regression import training

from unstuck.load import load, load_all
from unstuck.source import UnreadableRunError
from unstuck.sources.parquet_table import parquet_table

LOGS = Path(__file__).resolve().parents[1] / "logs" / "parquet-table"
arrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")


def written(tmp_path, columns, **options):
    path = tmp_path / "log.parquet"
    parquet.write_table(arrow.table(columns), path, **options)
    return path


def test_every_number_of_a_table_of_pandas():
    run, wanted = load(LOGS / "pandas.parquet"), list(training(120))
    assert np.allclose(run.series["loss/loss"].value, [r.loss for r in wanted], rtol=1e-9)
    assert run.series["metric/val/loss"].step.tolist() == list(range(120))


def test_a_history_of_several_groups_of_rows():
    run, wanted = load(LOGS / "wandb-history.parquet"), list(training(100))
    assert np.allclose(run.series["loss/loss"].value, [r.loss for r in wanted], rtol=1e-9)
    val = run.series["metric/val/loss"]
    assert val.step.tolist() == list(range(0, 100, 10))  # null is no reading
    assert run.series["loss/loss"].wall[0] == 1.7e9


def test_types_of_columns(tmp_path):
    columns = {
        "step": arrow.array([0, 1, 2], arrow.int32()),
        "loss": arrow.array([1.5, None, float("nan")], arrow.float16()),
        "done": arrow.array([False, True, None]),
        "words": ["a", "b", "c"],
        "parts": [[1.0], [2.0], [3.0]],
    }
    run = load(written(tmp_path, columns))
    assert np.array_equal(run.series["loss/loss"].value, [1.5, np.nan], equal_nan=True)
    assert run.series["loss/loss"].step.tolist() == [0, 2]
    assert run.series["other/done"].value.tolist() == [0, 1] and len(run.series) == 2


def test_words_that_name_runs(tmp_path):
    columns = {"run": ["a", "a", "b", "b"], "step": [0, 1, 0, 1], "loss": [1.0, 2.0, 3.0, 4.0]}
    runs = load_all(written(tmp_path, columns))
    assert {r.name: r.series["loss/loss"].value.tolist() for r in runs} == {
        "a": [1, 2],
        "b": [3, 4],
    }


def test_a_data_set_is_no_log(tmp_path):
    assert not parquet_table.knows(written(tmp_path, {"image": [b"x"], "label": [3]}))


def test_a_table_too_large_to_hold_is_refused(tmp_path):
    many = 30_000_000
    column = arrow.array(np.zeros(many, dtype=np.int8))
    path = written(tmp_path, {"step": column, "loss": column})
    with pytest.raises(UnreadableRunError, match="more than are read"):
        parquet_table.read(path)


def test_damaged_files_end_in_one_line(tmp_path):
    whole = (LOGS / "pandas.parquet").read_bytes()
    path = tmp_path / "cut.parquet"
    for damaged in (whole[: len(whole) // 2], b"PAR1", b"PAR1" * 9, whole[:-20] + whole[-12:]):
        path.write_bytes(damaged)
        with pytest.raises(UnreadableRunError) as error:
            parquet_table.read(path)
        assert len(str(error.value).splitlines()) == 1


def test_without_pyarrow_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert parquet_table.knows(LOGS / "pandas.parquet")
    with pytest.raises(UnreadableRunError, match=r"pip install 'unstuck\[parquet\]'"):
        load(LOGS / "pandas.parquet")
