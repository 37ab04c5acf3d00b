"""Runs and findings written into TensorBoard, MLflow and W&B, read back with their own readers."""

import json
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import unstuck
from unstuck.integrations import findings
from unstuck.integrations.sink import Mirror, readings_of
from unstuck.records import Evidence, Finding, Run, Series

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


def train(steps=40, rate=20.0, pause=0.0):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(10, 16), nn.ReLU(), nn.Linear(16, 3))
    optimizer = torch.optim.SGD(net.parameters(), rate)
    for _ in range(steps):
        x = torch.randn(16, 10)
        loss = F.cross_entropy(net(x), x[:, :3].argmax(1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        time.sleep(pause)
    return net


@pytest.fixture(scope="module")
def diverged(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    with unstuck.watch(out=folder, name="diverged"):
        train()
    return unstuck.diagnose(unstuck.load(folder))


def same_curves(run, read):
    """Every series is there, every number the same to the seven digits dashboards keep."""
    assert read.keys() == run.series.keys()
    for name, series in run.series.items():
        steps, values = read[name]
        assert list(steps) == series.step.tolist(), name
        values = np.array(values)
        huge = np.abs(values) > 1e308  # what MLflow keeps of an infinite value
        values[huge] = np.copysign(np.inf, values[huge])
        np.testing.assert_allclose(values, series.value.astype(np.float32), rtol=1e-6)


def raw(run):
    """A dashboard's own record by unstuck's reader: values by the names they were logged under."""
    logged = {str(run.facts.get(f"logged/{n}", n)): s for n, s in run.series.items()}
    found = {n[8:]: s for n, s in logged.items() if n.startswith(("unstuck.", "unstuck/"))}
    found = {n: s for n, s in found.items() if not n.startswith("table.")}
    return {n: (s.step.tolist(), s.value) for n, s in found.items()}


class Board:
    """A dashboard in memory."""

    def __init__(self, breaks=False):
        self.got, self.told, self.closed, self.breaks = [], [], 0, breaks

    def readings(self, readings):
        if self.breaks:
            raise OSError("disk full")
        self.got += readings

    def findings(self, diagnosis):
        self.told.append([f.code for f in diagnosis.findings])

    def close(self):
        self.closed += 1


def test_tensorboard_has_every_number_and_the_findings(diverged, tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    from unstuck.integrations import tensorboard

    writer = torch.utils.tensorboard.SummaryWriter(str(tmp_path / "board"))
    writer.add_scalar("mine", 1.0, 0)
    tensorboard.write(diverged, writer)
    writer.add_scalar("mine", 2.0, 1)  # the user's own writer stays open
    writer.close()
    events = EventAccumulator(str(tmp_path / "board"), {"scalars": 0, "tensors": 0}).Reload()
    tags = [t for t in events.Tags()["scalars"] if t != "mine"]
    same_curves(
        diverged.run,
        {
            tag.removeprefix("unstuck."): (
                [e.step for e in events.Scalars(tag)],
                [e.value for e in events.Scalars(tag)],
            )
            for tag in tags
        },
    )
    (text,) = events.Tensors("unstuck.findings/text_summary")
    told = text.tensor_proto.string_val[0].decode()
    assert "error: OPT001 learning-rate-too-high" in told and "What to try" in told
    assert [e.value for e in events.Scalars("mine")] == [1.0, 2.0]
    read = raw(unstuck.load(tmp_path / "board"))
    same_curves(diverged.run, read)


def test_mlflow_has_every_number_and_the_findings(diverged, tmp_path):
    mlflow = pytest.importorskip("mlflow")
    pytest.importorskip("sqlalchemy")
    from unstuck.integrations import mlflow as board

    place = {
        "tracking_uri": f"sqlite:///{tmp_path / 'm.db'}",
        "artifacts": (tmp_path / "artifacts").as_uri(),
    }
    made = board.write(diverged, **place)
    assert board.write(diverged, **place) != made, "a run more, nothing is overwritten"
    client = mlflow.MlflowClient(place["tracking_uri"])
    stored = client.get_run(made)
    assert stored.info.status == "FINISHED"
    assert stored.data.tags["unstuck.worst"] == "error"
    assert stored.data.tags["unstuck.findings"].startswith("OPT001")
    assert "learning-rate-too-high" in stored.data.tags["unstuck.OPT001"]
    text = Path(tmp_path / "artifacts" / made / "artifacts" / board.ARTIFACT).read_text()
    assert text == findings.markdown(diverged)
    names = {n: board.MLflow(made, place["tracking_uri"])._name(n) for n in diverged.run.series}
    histories = {n: client.get_metric_history(made, key) for n, key in names.items()}
    same_curves(
        diverged.run,
        {n: ([m.step for m in h], [m.value for m in h]) for n, h in histories.items()},
    )
    runs = unstuck.load(tmp_path / "m.db")
    assert len(runs) == 2
    same_curves(diverged.run, raw(runs[0]))


def test_wandb_offline_has_every_number_and_the_findings(diverged, tmp_path, monkeypatch):
    wandb = pytest.importorskip("wandb")
    from unstuck.integrations import wandb as board

    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("WANDB_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path))
    run = board.write(diverged, folder=tmp_path)
    wandb.teardown()  # waits for what its own process still has to write
    (table,) = Path(run.dir).rglob("*.table.json")
    rows = json.loads(table.read_text())["data"]
    assert [row[1] for row in rows] == [f.code for f in diverged.findings]
    read = raw(unstuck.load(Path(run.dir).parent))
    at = dict(zip(read["step"][0], read.pop("step")[1].astype(int).tolist(), strict=True))
    same_curves(
        diverged.run,
        {n: ([at[row] for row in rows], values) for n, (rows, values) in read.items()},
    )


def test_wandb_loses_no_row_of_the_users_own_while_it_mirrors(tmp_path, monkeypatch):
    wandb = pytest.importorskip("wandb")
    from unstuck.integrations import wandb as board

    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path))
    settings = wandb.Settings(console="off", silent=True, x_disable_stats=True)
    with (
        wandb.init(mode="offline", dir=str(tmp_path), settings=settings) as mine,
    ):
        with unstuck.watch(out=tmp_path / "run") as run, board.mirror(run, mine, every=0.01):
            for step in range(5):
                train(4)
                mine.log({"mine": float(step)}, step=step)
        told = unstuck.diagnose(unstuck.load(run.path))
        assert mine.summary["unstuck/worst"] == findings.tags(told)["worst"]
    wandb.teardown()
    (folder,) = (tmp_path / "wandb").glob("offline-run-*")
    read = unstuck.load(folder)
    assert read.series["other/mine"].value.tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert len(raw(read)["loss/loss"][0]) == 20


def test_a_mirror_follows_the_run_and_tells_each_number_once(tmp_path):
    board = Board()
    with unstuck.watch(out=tmp_path / "run") as run, Mirror(run, board, every=0.1):
        train(60, pause=0.03)
        early = len(board.got)
    whole = list(readings_of(unstuck.load(tmp_path / "run")))
    assert 0 < early < len(board.got)
    assert sorted(map(repr, board.got)) == sorted(map(repr, whole))
    assert "OPT001" in board.told[-1] and board.closed == 1
    assert not [t for t in threading.enumerate() if t.name == "unstuck-mirror"]


def test_a_dashboard_that_fails_costs_one_line_and_nothing_else(tmp_path, capsys):
    with unstuck.watch(out=tmp_path / "run") as run, Mirror(run, Board(breaks=True), every=0.05):
        net = train(30, rate=0.1, pause=0.02)
    alone = train(30, rate=0.1)
    assert torch.equal(net[0].weight, alone[0].weight)
    assert capsys.readouterr().err.count("stopped writing into the dashboard") == 1
    assert len(unstuck.load(tmp_path / "run").series["loss/loss"]) == 30


def test_an_error_in_the_loop_is_in_the_record_under_a_mirror_too(tmp_path):
    board = Board()
    with (
        pytest.raises(ValueError, match="lost"),
        unstuck.watch(out=tmp_path / "run") as run,
        Mirror(run, board),
    ):
        train(8)
        raise ValueError("lost")
    assert unstuck.load(tmp_path / "run").facts["exit/exception"] == "ValueError: lost"
    assert board.closed == 1


def test_a_long_series_keeps_its_spike():
    value = np.linspace(2.0, 1.0, 40_000)
    value[31_007] = 50.0
    run = Run({"loss/train": Series("loss/train", np.arange(40_000), value)})
    sent = {}
    read = list(readings_of(run, sent))
    assert len(read) <= 5_000
    assert ("loss/train", 31_007, 50.0, None) in read
    assert sent == {"loss/train": 39_999} and not list(readings_of(run, sent))


def test_steps_of_a_resumed_run_are_those_of_its_trainer():
    run = Run.of(facts={"resumed/step": 100}, loss__train=[3.0, 2.0])
    assert [step for _, step, *_ in readings_of(run)] == [100, 101]


def test_names_from_a_log_cannot_write_into_the_page():
    name = "loss/<script>alert(1)</script>](javascript:x)`|*_"
    series = Series(name, np.arange(3), np.array([1.0, 2.0, 3.0]))
    run = Run({name: series}, name=f"# {name}")
    evidence = (Evidence(series, ">", 0.5, (0, 2)),)
    found = Finding("OPT003", name, f"{name} ends at 3", evidence, "error")
    diagnosis = unstuck.Diagnosis(run, (unstuck.Cause(found),))
    text = findings.markdown(diagnosis)
    assert "<script>" not in text and "](javascript" not in text
    assert text.splitlines()[0].startswith("# unstuck: \\# loss/&lt;script&gt;")
    assert findings.tags(diagnosis)["worst"] == "error"


def test_a_clean_run_says_what_was_looked_for(diverged):
    clean = unstuck.Diagnosis(diverged.run, ())
    assert "Nothing found: " in findings.markdown(clean)
    assert findings.tags(clean) == {"findings": "none", "worst": "none"}
