"""Runs as processes of this machine: memory is respected, killed drivers leave nothing behind."""

import json
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from unstuck.trials import load_trial, local, orphans
from unstuck.trials.budget import Resources
from unstuck.trials.conduct import run_plan
from unstuck.trials.local import Local
from unstuck.trials.memory import free_bytes, resident_bytes
from unstuck.trials.plan import planned
from unstuck.trials.subject import Subject, reference

linux = pytest.mark.skipif(sys.platform != "linux", reason="what /proc tells")
LARGE = 200 * 2**20  # bytes


def hold(recipe, seed):
    """Take memory for a while, and tell from when to when."""
    begun = time.time()
    held = np.ones(LARGE // 8)
    while time.time() < begun + 1.5:
        time.sleep(0.05)
    return {"score": float(held[0]) * seed, "begun": begun, "ended": time.time()}


def most_at_once(outcomes):
    spans = [(o.metrics["begun"], o.metrics["ended"]) for o in outcomes]
    return max(sum(b <= begun < e for b, e in spans) for begun, _ in spans)


@linux
def test_no_run_is_begun_that_would_not_fit_beside_those_that_run(tmp_path):
    made = []

    def within(available):
        def executor_of(subject, metric):
            executor = Local(subject, metric, workers=3, free=lambda: available)
            executor.largest = LARGE  # as if one had been seen: the first ones are small yet
            made.append(executor)
            return executor

        return executor_of

    plan = planned("score", {"a": 1}, {"b": {"a": 2}}, 2)
    subject = Subject(train=reference(hold), path=tuple(sys.path))
    for available, at_once in ((LARGE // 2, 1), (100 * LARGE, 3)):
        trial = run_plan(
            plan,
            subject,
            out=tmp_path / str(available),
            resources=Resources(cache=False),
            progress=False,
            executor=within(available),
        )
        assert len(trial.outcomes) == 4
        assert most_at_once(trial.outcomes) <= at_once
    assert LARGE < made[0].largest < 3 * LARGE  # it was measured, and no multiple of it


def test_runs_take_turns_on_a_gpu_unless_said_otherwise(tmp_path, monkeypatch):
    (tmp_path / "network.py").write_text("def train(recipe, seed):\n    import torch\n")
    (tmp_path / "table.py").write_text("def train(recipe, seed):\n    import csv\n")
    network, table = (
        Subject(train=f"{tmp_path / name}:train") for name in ("network.py", "table.py")
    )
    monkeypatch.setattr(local, "GPU", (str(tmp_path),))
    monkeypatch.setattr(local, "cores", lambda: 8)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert (local.usual_workers(network), local.usual_workers(table)) == (1, 8)
    assert Local(network, "loss").places == 1 and Local(network, "loss", 3).places == 3
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert local.usual_workers(network) == 8
    monkeypatch.setattr(local, "GPU", (str(tmp_path / "none"),))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert local.usual_workers(network) == 8


@linux
def test_memory_that_forked_processes_share_counts_once():
    source = f"""
import os, sys
held = bytearray({LARGE})
for i in range(0, len(held), 4096): held[i] = 1
children = [os.fork() for _ in range(3)]
print("ready", flush=True)
sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", source],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        for _ in range(8):
            process.stdout.readline()
        held = resident_bytes({process.pid})[process.pid]
        process.stdin.close()
    assert LARGE < held < 2 * LARGE
    free = free_bytes()
    assert free is not None and free > 0


ORPHAN = """
    import os, sys, time
    from pathlib import Path

    def train(recipe, seed):
        if os.fork() == 0:  # as a loader's worker that does not see its parent end
            while True:
                Path(f"alive-{os.getpid()}").touch()
                time.sleep(0.05)
        time.sleep(recipe["seconds"])
        return {"score": 3.0 * recipe["gain"] + (seed * 37 % 11) / 10}
"""

DRIVE = """
    import sys
    import unstuck

    if __name__ == "__main__":
        trial = unstuck.trial(
            "subject:train", {"gain": 0, "seconds": 0.2}, {"new": {"gain": 1}}, metric="score",
            higher_is_better=True, seeds=6, workers=3, out="trial", cache=False,
        )
        print(trial.verdicts[0].word, trial.verdicts[0].effect, trial.verdicts[0].pairs)
"""


def drive(folder):
    return subprocess.Popen(
        [sys.executable, "drive.py"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def prepared(folder, subject):
    folder.mkdir()
    (folder / "subject.py").write_text(textwrap.dedent(subject))
    (folder / "drive.py").write_text(textwrap.dedent(DRIVE))
    return folder


def results(folder):
    file = folder / "trial" / "results.jsonl"
    return file.read_bytes().split(b"\n")[:-1] if file.exists() else []


@linux
def test_a_driver_killed_at_any_moment_loses_only_the_runs_in_flight(tmp_path):
    folder = prepared(tmp_path / "killed", ORPHAN)
    rng = random.Random(0)
    kills, kept = 0, 0
    while len(results(folder)) < 8:
        process = drive(folder)
        before = len(results(folder))
        deadline = time.monotonic() + 60
        while len(results(folder)) == before and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 0.3))
        process.kill()
        process.communicate()
        kills += 1
        lines = [json.loads(line) for line in results(folder)]
        assert len(lines) > kept  # what was finished before is still there
        kept = len(lines)
        assert len({(line["arm"], line["seed"]) for line in lines}) == len(lines)
    assert kills >= 2
    out, _ = drive(folder).communicate(timeout=120)
    undisturbed = prepared(tmp_path / "undisturbed", ORPHAN)
    expected, _ = drive(undisturbed).communicate(timeout=120)
    assert out == expected and out.startswith("helped 3.0")
    end_all(tmp_path)
    assert load_trial(folder / "trial").verdicts == load_trial(undisturbed / "trial").verdicts


def end_all(folder):
    for run in folder.rglob("seed-*"):
        orphans.end_processes_of(run)


@linux
def test_what_a_killed_driver_left_is_ended_before_its_folder_is_used_again(tmp_path):
    folder = prepared(tmp_path / "left", ORPHAN.replace('recipe["seconds"]', "0.5"))
    process = drive(folder)
    deadline = time.monotonic() + 60
    while not list(folder.glob("alive-*")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    process.communicate()
    pids = {int(file.name.partition("-")[2]) for file in folder.glob("alive-*")}
    assert pids
    out, _ = drive(folder).communicate(timeout=120)
    assert out.startswith("helped")
    left = [pid for pid in pids if Path(f"/proc/{pid}").exists()]
    end_all(folder)
    assert not left


@linux
def test_a_run_ends_with_its_driver():
    source = """
import subprocess, sys
from unstuck.trials.orphans import dies_with_us
child = subprocess.Popen(["sleep", "60"], preexec_fn=dies_with_us())
print(child.pid, flush=True)
sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", source], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as driver:
        pid = int(driver.stdout.readline())
        assert not ended(pid)
        os.kill(driver.pid, signal.SIGKILL)
        driver.stdin.close()
        deadline = time.monotonic() + 30
        while not ended(pid):
            assert time.monotonic() < deadline
            time.sleep(0.01)


def ended(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True
