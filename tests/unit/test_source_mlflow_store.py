"""MLflow's stores as MLflow wrote them: directories and database, damaged and hostile ones too."""

import json
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from unstuck.load import load, load_all
from unstuck.records import Run
from unstuck.source import UnreadableRunError
from unstuck.sources.mlflow_store import mlflow_store

LOGS = Path(__file__).resolve().parents[1] / "logs" / "mlflow-store"
EXPECTED = json.loads((Path(__file__).parent / "mlflow_expected.json").read_text())
STORES = {"files": LOGS / "files" / "mlruns", "database": LOGS / "database" / "mlflow.db"}
RECIPE = {"lr": 0.5, "optimizer": "sgd", "nesterov": False, "model.width": 8}


def by_name(store: Path) -> dict[str, Run]:
    return {run.name: run for run in load_all(store)}


def by_logged_name(run: Run) -> dict:
    return {str(run.facts[f"logged/{name}"]): series for name, series in run.series.items()}


def database(path: Path, *, metrics: str = "", also: str = "") -> Path:
    """A database with the least a store needs, one run in it."""
    connection = sqlite3.connect(path)
    connection.executescript(
        "CREATE TABLE experiments (experiment_id, name);"
        "CREATE TABLE runs (run_uuid, name, experiment_id, lifecycle_stage);"
        "CREATE TABLE params (run_uuid, key, value);"
        + (metrics or "CREATE TABLE metrics (run_uuid, key, value, timestamp, step, is_nan);")
        + "INSERT INTO experiments VALUES (1, 'e'); INSERT INTO runs VALUES ('r', 'n', 1, 'a');"
        + also
    )
    connection.close()
    return path


def logged(step: object, value: object = 1.0) -> str:
    return f"INSERT INTO metrics VALUES ('r', 'loss', {value}, 1000, {step}, 0);"


@pytest.mark.parametrize("kind", STORES)
def test_every_metric_is_read_as_mlflow_reads_it(kind):
    runs = by_name(STORES[kind])
    assert set(runs) == {"signs/slow", "signs/fast~1", "signs/fast~2"}
    for name, told in (("slow", "slow 0.05"), ("fast~1", "fast 0.5")):
        found = by_logged_name(runs[f"signs/{name}"])
        assert set(found) == set(EXPECTED[kind][told])
        for key, (count, steps, values, times) in EXPECTED[kind][told].items():
            series = found[key]
            assert (len(series), series.step.sum()) == (count, steps)
            assert float(series.value.sum()) == pytest.approx(values, rel=1e-12, nan_ok=True)
            assert float(series.wall.sum()) * 1000 == pytest.approx(times, rel=1e-12)


@pytest.mark.parametrize("kind", STORES)
def test_nan_and_infinity_are_readings(kind):
    odd = by_logged_name(by_name(STORES[kind])["signs/fast~1"])["odd"]
    np.testing.assert_array_equal(odd.value, [np.nan, -np.inf])
    assert odd.step.tolist() == [1, 2]


@pytest.mark.parametrize("kind", STORES)
def test_parameters_are_the_recipe_in_their_own_types(kind):
    recipe = by_name(STORES[kind])["signs/fast~1"].recipe
    assert recipe == RECIPE and recipe["nesterov"] is False


@pytest.mark.parametrize("kind", STORES)
def test_of_a_run_that_went_on_from_an_earlier_step_the_later_readings_count(kind):
    loss = by_name(STORES[kind])["signs/fast~2"].series["loss/loss"]
    assert loss.step.tolist() == list(range(50))
    assert loss.value[20:].tolist() == pytest.approx([0.01 * step for step in range(20, 50)])


def test_a_single_run_and_an_experiment_can_be_given():
    (experiment,) = (p for p in STORES["files"].iterdir() if len(p.name) > 9)
    assert set(by_name(experiment)) == set(by_name(STORES["files"]))
    slow = next(p for p in experiment.iterdir() if (p / "params/lr").is_file()
                and (p / "params/lr").read_text() == "0.05")  # fmt: skip
    assert load(slow).name == "signs/slow"


def test_damaged_lines_of_a_metric_are_left_out_and_told(tmp_path):
    shutil.copytree(STORES["files"], tmp_path / "mlruns")
    for file in tmp_path.rglob("metrics/train/loss"):
        file.write_bytes(b"garbage\n" + file.read_bytes()[:-6])
    run = by_name(tmp_path / "mlruns")["signs/slow"]
    assert run.series["loss/loss"].step.tolist() == list(range(59))
    assert "left out: 2" in str(run.facts["source/remark"])


def test_metrics_that_were_never_given_a_step_are_numbered_by_themselves(tmp_path):
    folder = tmp_path / "r"
    (folder / "metrics").mkdir(parents=True)
    (folder / "meta.yaml").write_text("experiment_id: '0'\nlifecycle_stage: active\n")
    (folder / "metrics" / "loss").write_text("".join(f"{i}000 {9 - i} 0\n" for i in range(8)))
    run = load(folder)
    assert run.facts["step/unit"] == "row"
    assert run.series["loss/loss"].value.tolist() == [9 - i for i in range(8)]


def test_reading_leaves_nothing_beside_the_database(tmp_path):
    copy = Path(shutil.copy(STORES["database"], tmp_path))
    before = copy.read_bytes()
    load_all(copy)
    assert [p.name for p in tmp_path.iterdir()] == ["mlflow.db"]
    assert copy.read_bytes() == before


def test_a_database_may_have_any_name_and_other_databases_are_not_taken(tmp_path):
    copy = shutil.copy(STORES["database"], tmp_path / "tracking.bin")
    assert mlflow_store.knows(Path(copy))
    connection = sqlite3.connect(tmp_path / "other.db")
    connection.execute("CREATE TABLE metrics (key, value)")
    connection.close()
    assert not mlflow_store.knows(tmp_path / "other.db")


def test_a_small_database_is_read(tmp_path):
    path = database(tmp_path / "x.db", also=logged(3, 0.5) + logged(4, 0.25))
    run = load(path)
    assert run.name == "e/n"
    assert run.series["loss/loss"].value.tolist() == [0.5, 0.25]


VIEW = "CREATE VIEW metrics AS SELECT 'r' AS run_uuid, 'loss' AS key, 1.0 AS value, \
1 AS timestamp, 1 AS step, 0 AS is_nan;"
COMPUTED = "CREATE TABLE metrics (run_uuid, key, timestamp, step, is_nan, \
value AS (length(zeroblob(900000000))));"


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        ({"metrics": VIEW}, "no table metrics"),
        ({"metrics": COMPUTED}, "computes columns"),
        ({"metrics": "CREATE TABLE metrics (run_uuid, key);"}, "no table metrics with"),
        ({"also": logged("'x'")}, "damaged"),
        ({"also": logged("NULL")}, "damaged"),
        ({"also": logged(1, "NULL")}, "damaged"),
        ({"also": logged(2**62)}, "damaged"),
        ({}, "no run with metrics"),
    ],
)
def test_a_hostile_or_empty_database_ends_in_one_line(tmp_path, made, reason):
    path = database(tmp_path / "x.db", **made)
    with pytest.raises(UnreadableRunError, match=reason) as told:
        mlflow_store.read(path)
    assert "\n" not in str(told.value)


def test_a_store_without_metrics_says_so(tmp_path):
    (tmp_path / "0").mkdir()
    (tmp_path / "0" / "meta.yaml").write_text("experiment_id: '0'\nlifecycle_stage: active\n")
    assert mlflow_store.knows(tmp_path)
    with pytest.raises(UnreadableRunError, match="no run with metrics"):
        load(tmp_path)
