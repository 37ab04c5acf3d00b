"""Tables of text: what other programs wrote, read back to the last number."""

import csv
import time
from pathlib import Path

import numpy as np
import pytest
from log_samples.regression import training

from unstuck.load import load, load_all
from unstuck.source import UnreadableRunError
from unstuck.sources.csv_table import csv_table

LOGS = Path(__file__).resolve().parents[1] / "logs" / "csv-table"


def written(tmp_path, text, name="log.csv", encoding="utf-8"):
    path = tmp_path / name
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize("name", ["pandas.csv", "newest-first.tsv"])
def test_every_number_of_a_table_of_pandas(name):
    run, wanted = load(LOGS / name), list(training(120))
    for series, field in (("loss/loss", "loss"), ("metric/val/loss", "val_loss"), ("lr/all", "lr")):
        assert run.series[series].step.tolist() == list(range(120))
        values = [getattr(r, field) for r in wanted]
        assert np.allclose(run.series[series].value, values, rtol=1e-9)
    assert run.facts["step/unit"] == "step"


def test_decimal_commas_in_utf_16():
    run = load(LOGS / "german.csv")
    assert np.allclose(
        run.series["loss/loss"].value, [r.loss for r in training(120)][:40], rtol=1e-9
    )


def test_each_seed_is_a_run():
    runs = load_all(LOGS / "seeds.csv")
    assert [r.name for r in runs] == ["seed 0", "seed 1", "seed 2"]
    for seed, run in enumerate(runs):
        assert np.allclose(run.series["loss/loss"].value, [r.loss for r in training(50, seed)])


def test_each_metric_of_a_long_table_is_a_series():
    run = load(LOGS / "long.csv")
    assert np.allclose(run.series["loss/loss"].value, [r.loss for r in training(120)][:40])
    assert run.roles["metric/train/accuracy"] == "training"


def test_a_restart_of_keras_writes_its_epochs_anew():
    run = load(LOGS / "keras.csv")
    with (LOGS / "keras.csv").open() as file:
        rows = list(csv.DictReader(file))
    kept = {int(row["epoch"]): float(row["loss"]) for row in rows}  # later rows win
    assert run.facts["step/unit"] == "epoch" and len(rows) == 19
    assert dict(zip(run.series["loss/loss"].step.tolist(), run.series["loss/loss"].value,
                    strict=True)) == kept  # fmt: skip


def test_rows_of_another_length_are_left_out_and_said():
    run = load(LOGS / "keras-other-columns.csv")
    assert len(run.series["metric/val/loss"]) == 12
    assert run.facts["source/remark"].endswith("not as long as the header: 7")


@pytest.mark.parametrize("name", ["restarted.csv", "killed.csv"])
def test_tensors_quotes_and_a_second_header(name):
    run, wanted = load(LOGS / name), list(training(90))[:80] + list(training(120))[80:]
    loss = run.series["loss/loss"]
    wanted = [r.loss for r in wanted][: len(loss)]
    assert len(loss) == 120 - 2 * (name == "killed.csv")
    assert np.allclose(loss.value, wanted, atol=6e-5)
    assert run.series["grad_norm/all"].step[0] == 80
    assert ("source/remark" in run.facts) == (name == "killed.csv")


def test_a_chart_of_wandb_holds_one_run_for_each_of_its_lines():
    fast, wide = load_all(LOGS / "wandb-chart.csv")
    assert (fast.name, wide.name) == ("fast", "wide - 2")
    assert np.allclose(fast.series["loss/loss"].value, [r.loss for r in training(60)])
    assert len(wide.series["loss/loss"]) == 40 and set(fast.series) == {"loss/loss"}


def test_a_history_of_wandb_has_wall_times():
    run = load(LOGS / "wandb-history.csv")
    assert run.series["metric/val/loss"].step.tolist() == list(range(0, 100, 10))
    assert run.series["loss/loss"].wall[:3].tolist() == [1.7e9, 1.7e9 + 0.25, 1.7e9 + 0.5]


def test_the_download_of_a_tensorboard_chart_is_named_after_its_file():
    run = load(LOGS / "run-first-tag-train_loss.csv")
    assert np.allclose(run.series["loss/loss"].value, [r.loss for r in training(50)])


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("loss\n0.5\n0.4\n", [0.5, 0.4]),
        ("# a remark\n# step,loss\n0,0.5\n1,0.4\n", [0.5, 0.4]),
        ("sep=;\nstep;loss\n0;0,5\n1;0,4\n", [0.5, 0.4]),
        ("step|loss\n0|99%\n1|1e2%\n", [0.99, 1.0]),
        ('step,loss\n0,"1,234.5"\n1,0.5±0.1\n', [1234.5, 0.5]),
        ("step,loss\n0,nan\n1,-inf\n", [np.nan, -np.inf]),
        ("\ufeffstep,loss\r\n0,[0.5]\r\n1,np.float32(0.4)\r\n", [0.5, 0.4]),
        (" step ,   loss \n0 ,   0.5\n1 ,   0.4\n", [0.5, 0.4]),
        (f'step,loss,weights\n0,0.5,"{"1 " * 100_000}"\n1,0.4,x\n', [0.5, 0.4]),
    ],
    ids=["one column", "comments", "sep", "percent", "quoted", "nan", "bom", "padded", "wide cell"],
)
def test_cells(tmp_path, text, values):
    run = load(written(tmp_path, text))
    assert np.array_equal(run.series["loss/loss"].value, values, equal_nan=True)


@pytest.mark.parametrize(
    "text",
    [
        "sepal,petal,species\n1,2,a\n2,3,b\n",
        "date,open,close\n2024-01-02,3,4\n2024-01-03,4,5\n",
        "name,notes\nloss,it falls\nstep,by step\n",
        "The loss, however, fell\nIn step 3, it rose, again\nand then, it fell, at last\n",
        "Epoch 1, loss 0.5, acc 0.1\nEpoch 2, loss 0.4, acc 0.2\n",
        "step,loss\n",
        "from x import step, loss\nf(step, 1)\ng(loss, 2)\n",
    ],
)
def test_what_only_looks_like_a_log_is_none(tmp_path, text):
    path = written(tmp_path, text)
    assert not csv_table.knows(path)
    with pytest.raises(UnreadableRunError, match="no table"):
        csv_table.read(path)


def test_names_may_be_hostile(tmp_path):
    names = ["<script>", "\x1b[31mred", "a" * 1_500, "loss", "", "loss", "../../etc", "步"]
    text = "step," + ",".join(names) + "\n" + "".join(f"{i}" + ",1.5" * 8 + "\n" for i in range(4))
    run = load(written(tmp_path, text))
    assert len(run.series) == len(names)
    assert max(map(len, run.series)) < 1_100 and "\x1b" not in "".join(run.series)


def test_a_table_of_very_many_columns_takes_no_time(tmp_path):
    text = "step," + "loss," * 8_000 + "\n" + ("1," * 8_001 + "\n") * 2 + "2\n"
    began = time.perf_counter()
    assert len(load(written(tmp_path, text)).series) == 8_000
    assert time.perf_counter() - began < 5


def test_a_table_of_too_many_cells_is_refused(tmp_path):
    text = "step,loss," + "a,b,c,d,e,f,g,h,i,j," * 800 + "\n"
    path = written(tmp_path, text + ("0,1" + "," * 8_001 + "\n") * 7_000)
    with pytest.raises(UnreadableRunError, match="more than 50,000,000 cells"):
        csv_table.read(path)


def test_other_files_end_in_one_line(tmp_path):
    with pytest.raises(UnreadableRunError, match="cannot be read"):
        csv_table.read(tmp_path / "absent.csv")
    with pytest.raises(UnreadableRunError, match="no table"):
        csv_table.read(written(tmp_path, "\x00\x01\x02" * 99))
