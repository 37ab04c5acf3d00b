"""`unstuck fix` on real scripts: proven, healthy, nothing proven, killed and resumed, broken."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
import tomllib

import pytest

pytest.importorskip("torch")

SCRIPT = """
    import torch
    from torch import nn
    from torch.nn import functional as F

    torch.manual_seed(0)
    x = torch.randn(512, 16)
    y = (x[:, :2] * x[:, 2:4]).sum(1).gt(0).long()
    net = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 2))
    optimizer = torch.optim.SGD(net.parameters(), lr={rate}, momentum=0.9)
    for epoch in range(6):
        net.train()
        for i in torch.randperm(384).split(16):
            optimizer.zero_grad()
            loss = F.cross_entropy(net(x[i]), y[i])
            loss.backward()
            optimizer.step()
        net.eval()
        with torch.no_grad():
            F.cross_entropy(net(x[384:]), y[384:])
"""
HOSTILE = "train <b>&{seed} $(touch pwned).py"
FEW = ("--only", "lower-learning-rate", "--treatments", "1", "--seeds", "6", "--workers", "2")


def written(folder, name, rate):
    (folder / name).write_text(textwrap.dedent(SCRIPT).format(rate=rate))


def command(*words):
    return [sys.executable, "-m", "unstuck", "fix", *words]


def surroundings(folder):
    return {
        **os.environ,
        "COLUMNS": "120",
        "OMP_NUM_THREADS": "1",
        "UNSTUCK_CACHE": str(folder / "cache"),
        "UNSTUCK_RUNS": str(folder / "runs"),
    }


def fix(folder, *words):
    return subprocess.run(
        command(*words), cwd=folder, capture_output=True, text=True, env=surroundings(folder)
    )


def killed_once_some_runs_are_done(folder, results, *words):
    """kill -9 of the command as soon as its first trial has a result; that result's line."""
    with (folder / "log").open("wb") as log:
        driver = subprocess.Popen(
            command(*words),
            cwd=folder,
            stdout=log,
            stderr=log,
            env=surroundings(folder),
            start_new_session=True,
        )
        try:
            while not (results.exists() and results.read_bytes().endswith(b"\n")):
                assert driver.poll() is None, (folder / "log").read_text()
                time.sleep(0.05)
        finally:
            driver.send_signal(signal.SIGKILL)
            driver.wait()
    return results.read_bytes()


def test_a_rate_that_is_too_high_is_proven_on_fresh_seeds_though_the_driver_is_killed(tmp_path):
    written(tmp_path, HOSTILE, 1.0)
    words = (*FEW, "--out", "out", "--html", "page.html", "--json", "told.json", "--apply", HOSTILE)
    results = tmp_path / "out" / "race" / "round-1" / "results.jsonl"
    first = killed_once_some_runs_are_done(tmp_path, results, *words)
    done = fix(tmp_path, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert results.read_bytes().startswith(first)  # what was done is not done again
    told = json.loads((tmp_path / "told.json").read_text())
    assert told["word"] == "proven" and told["judged_by"]["metric"] == "metric/val/cross_entropy"
    raced = {seed for seeds in told["race"]["seeds"] for seed in seeds}
    trial = told["confirmation"]["trial"]
    fresh = {outcome["seed"] for outcome in trial["outcomes"]}
    assert len(fresh) >= 2 and not raced & fresh and min(fresh) > 1000
    assert trial["verdicts"][0]["low"] > 0 or told["confirmation"]["ranks"]["p"] < 0.05
    assert "Proven: learning rate of optimizer x0.01 helps" in done.stdout
    settings = tomllib.loads((tmp_path / "out" / "settings.toml").read_text())
    assert settings["changes"] == {"lr/optimizer": "x0.01"}
    assert "--change lr/optimizer=x0.01" in settings["command"]
    page = (tmp_path / "page.html").read_text()
    assert page == (tmp_path / "out" / "report.html").read_text()
    assert "train <b>" not in page and "train &lt;b&gt;" in page and "<svg" in page
    assert not (tmp_path / "pwned").exists()
    assert "lr=0.01," in (tmp_path / HOSTILE).read_text()  # --apply
    assert "lr=1.0," in (tmp_path / f"{HOSTILE}.orig").read_text()
    again = fix(tmp_path, *words)
    assert again.returncode == 2 and "the script has changed since" in again.stderr


def test_a_healthy_script_has_nothing_to_fix(tmp_path):
    written(tmp_path, "healthy.py", 0.05)
    done = fix(tmp_path, "--out", "out", "healthy.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Nothing to fix" in done.stdout and "Cost: 1 run" in done.stdout
    assert not (tmp_path / "out" / "race").exists()
    assert not (tmp_path / "out" / "settings.toml").exists()


def test_nothing_is_proven_where_no_candidate_trains(tmp_path):
    written(tmp_path, "mine.py", 3e4)  # a thousandth of it is far too high as well
    listed = fix(tmp_path, "--list", "--out", "out", "mine.py")
    assert listed.returncode == 0 and "At most" in listed.stdout, listed.stderr
    assert "learning rate of optimizer" in listed.stdout
    assert not (tmp_path / "out" / "race").exists()
    done = fix(tmp_path, *FEW, "--out", "out", "mine.py")  # the first run is used again
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Nothing proven: no candidate was better than the untreated script" in done.stdout
    assert "left after round 1: not better than" in done.stdout and "Cost: 5 runs" in done.stdout
    told = json.loads((tmp_path / "out" / "fix.json").read_text())
    assert told["confirmation"] is None and told["settings"] == [] and not told["patch"]


def test_a_script_that_never_trains_is_one_line_and_leaves_no_report(tmp_path):
    (tmp_path / "broken.py").write_text("raise SystemExit('no data')")
    done = fix(tmp_path, "--out", "out", "broken.py")
    assert done.returncode == 2
    assert done.stderr.strip().splitlines()[-1].startswith("unstuck: broken never trained")
    assert not (tmp_path / "out" / "report.html").exists()


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("nowhere.py",), "there is no script nowhere.py"),
        ((), "give a script"),
        (("--only", "pray", "train.py"), "there is no remedy called 'pray'"),
        (("--seeds", "1", "train.py"), "--seeds"),
        (("--gpus", "1", "train.py"), "Ray"),
        (("--against", "oracle", "train.py"), "--against"),
        (("--from", "nowhere", "train.py"), "nowhere"),
    ],
)
def test_bad_input_is_one_line(tmp_path, words, error):
    (tmp_path / "train.py").write_text("print('training')")
    done = fix(tmp_path, *words)
    assert done.returncode == 2 and error in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
