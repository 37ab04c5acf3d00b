"""Records survive what happens to training: kill -9, exceptions, full queues, damage."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import unstuck
from unstuck.source import UnreadableRunError
from unstuck.sources.unstuck_run import FILE
from unstuck.watcher.store import Store

ENDLESS = """
import sys, time, torch, unstuck
model = torch.nn.Linear(3, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
with unstuck.watch(out=sys.argv[1]):
    while True:
        loss = model(torch.randn(4, 3)).square().mean()
        optimizer.zero_grad(); loss.backward(); optimizer.step()
        print("step", flush=True)
        time.sleep(0.01)
"""


def test_kill_9_loses_at_most_the_last_second(tmp_path):
    script = tmp_path / "endless.py"
    script.write_text(ENDLESS)
    with subprocess.Popen(
        [sys.executable, script, tmp_path / "run"], stdout=subprocess.PIPE, text=True
    ) as child:
        for _ in range(250):  # about three seconds of training
            assert child.stdout.readline() == "step\n"
        while_running = unstuck.load(tmp_path / "run")
        killed = time.time()
        os.kill(child.pid, signal.SIGKILL)
    assert len(while_running.series["loss/loss"]) > 50
    loss = unstuck.load(tmp_path / "run").series["loss/loss"]
    assert killed - loss.wall[-1] < 1.0
    assert np.array_equal(loss.step, np.arange(len(loss)))


def train(steps=3):
    model = nn.Linear(3, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    for _ in range(steps):
        loss = model(torch.randn(4, 3)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def test_an_exception_in_the_middle_is_noted_and_what_was_read_is_kept(tmp_path):
    with pytest.raises(ZeroDivisionError), unstuck.watch(out=tmp_path / "run"):
        train()
        _ = 1 / 0
    run = unstuck.load(tmp_path / "run")
    assert run.facts["exit/exception"] == "ZeroDivisionError: division by zero"
    assert len(run.series["loss/loss"]) == 3


def test_close_without_with_and_twice(tmp_path):
    run = unstuck.watch(out=tmp_path / "run")
    train()
    run.close()
    run.close()
    assert len(unstuck.load(run.path).series["loss/loss"]) == 3


def test_a_second_watch_and_a_used_directory_are_refused(tmp_path):
    with unstuck.watch(out=tmp_path / "run"), pytest.raises(RuntimeError, match="already"):
        unstuck.watch(out=tmp_path / "other")
    with pytest.raises(FileExistsError, match="already holds a run"):
        unstuck.watch(out=tmp_path / "run")


def test_nan_and_infinity_are_readings(tmp_path):
    store = Store(tmp_path / "run", name="x", recipe={})
    store.put(lambda: [("loss/a", i, v, 0.0) for i, v in enumerate([1.0, np.nan, np.inf])])
    store.close()
    value = unstuck.load(tmp_path / "run").series["loss/a"].value
    assert value[0] == 1.0 and np.isnan(value[1]) and np.isinf(value[2])


def test_the_watcher_gives_up_rather_than_disturb_training(tmp_path, monkeypatch, capsys):
    from unstuck.watcher import losses

    def broken(*args):
        raise RuntimeError("no terms today")

    monkeypatch.setattr(losses, "discover", broken)
    with unstuck.watch(out=tmp_path / "run"):
        train(5)
    assert capsys.readouterr().err.count("stopped watching") == 1
    assert "no terms today" in unstuck.load(tmp_path / "run").facts["exit/watcher"]


def test_forked_children_write_nothing(tmp_path):
    with unstuck.watch(out=tmp_path / "run"):
        train(3)
        child = os.fork()
        if child == 0:
            train(50)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
    assert len(unstuck.load(tmp_path / "run").series["loss/loss"]) == 3


def damaged(kind: str, directory: Path) -> Path:
    directory.mkdir()
    file = directory / FILE
    if kind == "empty file":
        file.touch()
    elif kind == "noise":
        file.write_bytes(os.urandom(8192))
    elif kind == "torn":
        store = Store(directory / "whole", name="x", recipe={})
        store.put(lambda: [("loss/a", i, 1.0, 0.0) for i in range(5000)])
        store.close()
        file.write_bytes((directory / "whole" / FILE).read_bytes()[:20_000])
    elif kind == "other database":
        connection = sqlite3.connect(file)
        connection.execute("CREATE TABLE people (name TEXT)")
        connection.commit()
        connection.close()
    elif kind in ("newer", "view"):
        Store(directory, name="x", recipe={}).close()
        connection = sqlite3.connect(file)
        if kind == "newer":
            connection.execute("UPDATE meta SET value = '99' WHERE key = 'version'")
        else:
            connection.execute("CREATE VIEW v AS SELECT * FROM reading")
        connection.commit()
        connection.close()
    return directory


@pytest.mark.parametrize(
    "kind, says",
    [
        ("empty directory", "holds no run"),
        ("empty file", "empty"),
        ("noise", "damaged"),
        ("torn", "damaged"),
        ("other database", "no run of unstuck's"),
        ("newer", "newer unstuck"),
        ("view", "views"),
    ],
)
def test_unreadable_runs_say_what_is_wrong_in_one_line(kind, says, tmp_path):
    directory = damaged(kind, tmp_path / "run")
    with pytest.raises(UnreadableRunError, match=says) as caught:
        unstuck.load(directory)
    assert "\n" not in str(caught.value)


def test_a_run_in_a_read_only_directory_is_read(tmp_path):
    Store(tmp_path / "run", name="x", recipe={"lr": 0.1}).close()
    (tmp_path / "run").chmod(0o500)
    try:
        assert unstuck.load(tmp_path / "run").recipe == {"lr": 0.1}
    finally:
        (tmp_path / "run").chmod(0o700)


def test_several_runs_in_one_folder(tmp_path):
    for name in ("a", "b"):
        Store(tmp_path / name, name=name, recipe={}).close()
    assert [run.name for run in unstuck.load(tmp_path)] == ["a", "b"]
