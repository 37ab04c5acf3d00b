"""`unstuck export`: what lies there already becomes a run more of a dashboard."""

import importlib
import importlib.util
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import unstuck
from unstuck.cli_export import NEEDS, _file_name, export_command

LOGS = Path(__file__).parents[1] / "logs"

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "train.csv"
    losses = [2.0 / (1 + i) for i in range(20)] + [float("nan")] * 20
    rows = [f"{i},{value}" for i, value in enumerate(losses)]
    path.write_text("\n".join(["step,loss", *rows]) + "\n")
    return path


def export(*words):
    done = CliRunner().invoke(export_command, [str(word) for word in words])
    return done.exit_code, done.output


@pytest.mark.parametrize("kind", NEEDS)
def test_a_log_becomes_a_run_more(kind, log, tmp_path, monkeypatch):
    if importlib.util.find_spec(kind) is None:
        pytest.skip(f"{kind} is not installed")
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("WANDB_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path))
    status, told = export(log, "--to", kind, "--out", tmp_path / "out")
    assert status == 0, told
    assert "1 series and 1 finding written to" in told
    if kind == "wandb":
        importlib.import_module(kind).teardown()  # waits for what its process has to write
    found = unstuck.load(tmp_path / "out")
    values = next(s for n, s in found.series.items() if n.endswith("loss")).value
    assert len(values) == 40
    before = {path for path in (tmp_path / "out").rglob("*") if path.is_file()}
    status, _ = export(log, "--to", kind, "--out", tmp_path / "out")
    assert status == (1 if kind == "tensorboard" else 0)  # its runs have their names from folders
    assert before <= set((tmp_path / "out").rglob("*"))


def test_several_runs_become_several(tmp_path):
    pytest.importorskip("tensorboard")
    for name in ("one", "two"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "log.csv").write_text("step,loss\n0,2\n1,1\n2,0.5\n")
    status, told = export(tmp_path / "runs", "--to", "tensorboard", "--out", tmp_path / "out")
    assert status == 0 and len(told.splitlines()) == 2
    assert len(unstuck.load(tmp_path / "out")) == 2


@pytest.mark.parametrize("kind", NEEDS)
def test_a_missing_library_is_said_in_one_line(kind, log, tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, f"unstuck.integrations.{kind}", raising=False)
    missing = "tensorboard.compat" if kind == "tensorboard" else kind
    monkeypatch.setitem(sys.modules, missing, None)
    monkeypatch.delitem(sys.modules, "torch.utils.tensorboard", raising=False)
    monkeypatch.delitem(sys.modules, "torch.utils.tensorboard.writer", raising=False)
    if kind == "tensorboard":
        monkeypatch.setitem(sys.modules, "tensorboard", None)
    status, told = export(log, "--to", kind, "--out", tmp_path / "out")
    assert status == 1
    assert told == f"Error: --to {kind} needs {kind}, which is not installed: " + (
        f"pip install {NEEDS[kind]}\n"
    )
    assert not (tmp_path / "out").exists()


def test_a_runs_name_leads_nowhere_else():
    assert _file_name("../../etc/passwd") == "etc_passwd"
    assert _file_name("/..") == "run"
    assert _file_name("lr 0.1/seed=3") == "lr_0.1_seed_3"
