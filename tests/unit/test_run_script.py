"""`unstuck run`: the script behaves as it does alone, and is watched."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

import unstuck

TRAIN = """
    import argparse, os, sys
    import torch

    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--lr", type=float, default=0.1)
    options = parser.parse_args()
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=options.lr)
    for epoch in range(options.epochs * 10):
        x = torch.randn(16, 3)
        loss = (model(x) - x.sum(1, keepdim=True)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(__name__, sys.argv, os.getcwd(), os.environ.get("PYTHONPATH"), float(loss.detach()))
"""


@pytest.fixture
def script(tmp_path):
    def write(text, name="train.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return path

    return write


def alone(*words, cwd, **extra):
    return subprocess.run(
        [sys.executable, *map(str, words)], cwd=cwd, capture_output=True, text=True, **extra
    )


def unstuck_command(*words, cwd, **extra):
    env = {**os.environ, "COLUMNS": "100", **extra.pop("env", {})}
    return alone("-m", "unstuck", *words, cwd=cwd, env=env, **extra)


def only_run(folder: Path) -> Path:
    (found,) = folder.iterdir()
    return found


def test_an_unchanged_script_prints_the_same_and_is_recorded(script, tmp_path):
    path = script(TRAIN)
    plain = alone(path.name, "--epochs", "3", cwd=tmp_path)
    run = unstuck_command("run", path.name, "--epochs", "3", cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert run.stdout == plain.stdout  # __name__, argv, cwd, environment, and the same loss
    assert "Nothing found" in run.stderr
    record = only_run(tmp_path / "runs")
    assert record.name.startswith("train-")
    recorded = unstuck.load(record)
    assert len(recorded.series["loss/loss"]) == 30
    assert recorded.recipe["epochs"] == 3
    assert recorded.recipe["command"] == "train.py --epochs 3"
    assert {"grad_norm/optimizer/model.0", "lr/optimizer"} <= recorded.series.keys()


def test_module_style_and_runs_folder_from_the_environment(script, tmp_path):
    script("", "package/__init__.py")
    script(TRAIN, "package/train.py")
    env = {"UNSTUCK_RUNS": str(tmp_path / "elsewhere")}
    run = unstuck_command("run", "-m", "package.train", "--lr", "0.05", cwd=tmp_path, env=env)
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("__main__ ")
    assert unstuck.load(only_run(tmp_path / "elsewhere")).recipe["lr"] == 0.05


def test_exit_status_and_exception_are_the_scripts_own(script, tmp_path):
    path = script(TRAIN + "\n    def deep():\n        raise KeyError('lost')\n    deep()\n")
    plain = alone(path.name, cwd=tmp_path)
    run = unstuck_command("run", path.name, cwd=tmp_path)
    assert run.returncode == plain.returncode == 1
    assert run.stderr.startswith(plain.stderr)  # the traceback, with no frame of ours
    recorded = unstuck.load(only_run(tmp_path / "runs"))
    assert recorded.facts["exit/exception"] == "KeyError: 'lost'"
    assert len(recorded.series["loss/loss"]) == 10
    path.write_text(path.read_text().replace("deep()\n", "sys.exit(7)\n"))
    run = unstuck_command("run", "--out", "second", path.name, cwd=tmp_path)
    assert run.returncode == 7


def test_a_killed_script_is_diagnosed_up_to_then(script, tmp_path):
    endless = TRAIN.replace("* 10)", "* 10**9)")
    path = script(endless.replace("optimizer.step()", "optimizer.step(); open('started', 'w')"))
    with subprocess.Popen(
        [sys.executable, "-m", "unstuck", "run", "--out", "run", path.name],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
    ) as parent:
        while not (tmp_path / "started").exists():
            time.sleep(0.05)
        time.sleep(1.5)
        children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()
        os.kill(int(children[0]), signal.SIGKILL)
        errors = parent.stderr.read()
    assert parent.returncode == 128 + signal.SIGKILL
    assert "exit status 137; up to then" in errors
    assert len(unstuck.load(tmp_path / "run").series["loss/loss"]) > 10


def test_data_workers_and_a_sitecustomize_of_the_users_own(script, tmp_path):
    script("print('my own sitecustomize')", "site/sitecustomize.py")
    path = script(
        """
        import torch
        from torch.utils.data import DataLoader, TensorDataset

        if __name__ == "__main__":
            model = torch.nn.Linear(3, 1)
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            data = TensorDataset(torch.randn(64, 3))
            for context in ("fork", "spawn"):
                for (x,) in DataLoader(data, 16, num_workers=2, multiprocessing_context=context):
                    loss = model(x).square().mean()
                    loss.backward()
                    optimizer.step()
            print("trained")
        """
    )
    env = {"PYTHONPATH": str(tmp_path / "site")}
    run = unstuck_command("run", "--out", "run", path.name, cwd=tmp_path, env=env)
    assert run.returncode == 0, run.stderr
    assert run.stdout.endswith("trained\n") and "my own sitecustomize" in run.stdout
    assert len(unstuck.load(tmp_path / "run").series["loss/loss"]) == 8


def test_live_change_of_an_unchanged_script(script, tmp_path):
    path = script(TRAIN)
    words = ("run", "--out", "run", "--change", "lr/optimizer=x0.1", path.name)
    assert unstuck_command(*words, cwd=tmp_path).returncode == 0
    rate = unstuck.load(tmp_path / "run").series["lr/optimizer"].value
    assert rate.tolist() == pytest.approx([0.01] * len(rate))


SICK = """
    import torch
    model = torch.nn.Linear(3, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for step in range(30):
        loss = model(torch.randn(4, 3)).square().mean()
        if step > 5:
            loss = loss * float("nan")
        optimizer.zero_grad(); loss.backward(); optimizer.step()
"""


def test_findings_fail_the_command_where_asked_and_reports_are_written(script, tmp_path):
    path = script(SICK)
    words = ("run", "--out", "run", "--fail-on", "error", "--html", "r.html", "--json", "r.json")
    run = unstuck_command(*words, path.name, cwd=tmp_path)
    assert run.returncode == 1
    assert "NUM001" in run.stderr and "step 6" in run.stderr
    findings = json.loads((tmp_path / "r.json").read_text())
    assert "NUM001" in json.dumps(findings)
    assert "NUM001" in (tmp_path / "r.html").read_text()
    again = unstuck_command("diagnose", "run", "--fail-on", "error", cwd=tmp_path)
    assert again.returncode == 1 and "NUM001" in again.stdout
    assert unstuck_command("diagnose", "run", cwd=tmp_path).returncode == 0
    listed = unstuck_command("series", "run", cwd=tmp_path)
    assert listed.returncode == 0 and "loss/loss" in listed.stdout
    as_json = unstuck_command("series", "run", "--json", cwd=tmp_path)
    names = [s["name"] for s in json.loads(as_json.stdout)["series"]]
    assert "loss/loss" in names


BAD = [
    (("run", "missing.py"), "no script missing.py"),
    (("run",), "give a script"),
    (("run", "-m"), "needs a module"),
    (("run", "--unknown", "train.py"), "--unknown"),
    (("run", "--change", "lr=1", "never.py"), "cannot change"),
    (("run", "never.py"), "never trained"),
    (("run", "torch_only.py"), "never trained"),
    (("diagnose", "nowhere"), "does not exist"),
    (("diagnose", "empty"), "holds no run"),
    (("diagnose", "never.py"), "no log"),
    (("diagnose", "empty", "--fail-on", "panic"), "panic"),
    (("explain", "XYZ999"), "XYZ999"),
    (("case", "run", "nobody"), "no case 'nobody'"),
    (("case", "prove", "contrast", "--preset", "odd"), "odd"),
    (("trial", "nowhere.toml"), "nowhere.toml"),
    (("unknown",), "unknown"),
]


@pytest.mark.parametrize("words, says", BAD, ids=lambda v: " ".join(v) if type(v) is tuple else "")
def test_bad_input_ends_in_one_clear_line_and_status_2(words, says, script, tmp_path):
    script("print('hello')", "never.py")
    script("import torch; torch.randn(3)", "torch_only.py")
    (tmp_path / "empty").mkdir()
    run = unstuck_command(*words, cwd=tmp_path)
    assert run.returncode == 2, run.stderr
    lines = run.stderr.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("unstuck: ") and says in lines[0]


def test_explain_shows_the_page():
    for word in ("COL004", "col004", "collapsed-embedding"):
        shown = unstuck_command("explain", word, cwd=".")
        assert shown.returncode == 0
        assert "collapsed-embedding" in shown.stdout and "Look-alikes" in shown.stdout


def test_starting_needs_no_torch():
    code = "import unstuck.cli, unstuck.watcher.launch, sys; sys.exit('torch' in sys.modules)"
    assert alone("-c", code, cwd=".").returncode == 0
