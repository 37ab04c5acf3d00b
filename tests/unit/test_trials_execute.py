"""Trials as real processes: results, crashes, interrupts, resumption, commands."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

import unstuck
from unstuck.trials import PlanError, ledger, load_trial, run_spec
from unstuck.trials.budget import Resources
from unstuck.trials.local import cores

BASE = {"lr": 0.02, "steps": 40, "fails": ""}


def train(recipe, seed):
    """Least squares by gradient descent: a too small learning rate stops far from the answer."""
    rng = np.random.default_rng(seed)
    x, truth = rng.standard_normal((64, 6)), rng.standard_normal(6)
    y = x @ truth + 0.1 * rng.standard_normal(64)
    weight = np.zeros(6)
    for _ in range(int(recipe["steps"])):
        weight -= recipe["lr"] * x.T @ (x @ weight - y) / len(x)
    loss = float(np.mean((x @ weight - y) ** 2))
    return spoilt(recipe["fails"], seed, loss)


def spoilt(how, seed, loss):
    if how == "raises" or (how == "sometimes" and seed == 1):
        raise RuntimeError("out of luck\nsecond line")
    if how == "nan":
        return {"loss": float("nan"), "threads": 1}
    if how == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "exits":
        sys.exit(3)
    if how == "forgets":
        return {"other": 1.0}
    if how == "number":
        return loss
    return {"loss": np.float32(loss), "threads": float(os.environ["OMP_NUM_THREADS"]), "text": "a"}


def trial(out, treatments, **fields):
    fields = {"metric": "loss", "seeds": 3, "workers": 2, "progress": False, **fields}
    fields = {"stop_early": False, "cache": False, **fields}
    baseline = fields.pop("baseline", BASE)
    return unstuck.trial(train, baseline, treatments, out=out, **fields)


def test_a_real_trial_from_plan_to_verdict(tmp_path, capsys):
    out = tmp_path / "trial"
    result = trial(out, {"faster": {"lr": 0.3}}, seeds=5, progress=True)
    (verdict,) = result.verdicts
    assert (verdict.word, verdict.pairs) == ("helped", 5)
    for outcome in result.outcomes:
        recipe = {**BASE, "lr": 0.3} if outcome.arm == "faster" else BASE
        assert outcome.metrics["loss"] == pytest.approx(train_here(recipe, outcome.seed))
        assert outcome.metrics["threads"] == max(1, cores() // 2)
        assert "text" not in outcome.metrics
    assert [(o.arm, o.seed) for o in result.outcomes[:3]] == [
        ("baseline", 0),
        ("faster", 0),
        ("baseline", 1),
    ]
    assert load_trial(out) == result
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("trial: 2 arms x 5 seeds = 10 runs; effects from ")
    assert len(lines) == 11 and lines[-1].startswith("[10/10] ")


def train_here(recipe, seed):
    before = os.environ.setdefault("OMP_NUM_THREADS", "1")
    assert before
    return train(recipe, seed)["loss"]


def test_failing_arms_are_results(tmp_path):
    ways = ("raises", "sometimes", "nan", "killed", "exits", "forgets")
    treatments = {way: {"fails": way, "lr": 0.3} for way in ways}
    result = trial(tmp_path, treatments, seeds=2)
    errors = {o.arm: o.error for o in result.outcomes if o.error}
    assert errors == {
        "raises": "RuntimeError: out of luck",
        "sometimes": "RuntimeError: out of luck",
        "nan": "loss is nan",
        "killed": "ended by SIGKILL (killed, maybe out of memory)",
        "exits": "SystemExit: 3",
        "forgets": "no metric 'loss' (found: other)",
    }
    notes = {v.treatment.name: v.note for v in result.verdicts}
    assert {v.word for v in result.verdicts} == {"undecided"}
    assert "crashed in 2 of 2 runs (RuntimeError: out of luck)" in notes["raises"]
    assert "crashed in 1 of 2 runs" in notes["sometimes"]
    again = load_trial(tmp_path)
    assert [o.error for o in again.outcomes] == [o.error for o in result.outcomes]
    assert np.isnan(next(o for o in again.outcomes if o.arm == "nan").metrics["loss"])


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("forgets", r"the baseline ended well, but with no metric 'loss' \(found: other\)"),
        ("number", "train must return a mapping of metric names to numbers, not float"),
    ],
)
def test_a_trial_that_could_never_work_stops_at_once(tmp_path, how, message):
    started = time.monotonic()
    with pytest.raises(PlanError, match=message):
        trial(tmp_path, {"a": {"lr": 1}}, baseline={**BASE, "fails": how}, seeds=400)
    assert time.monotonic() - started < 30  # all its runs take minutes


def test_a_function_that_does_not_exist(tmp_path):
    for train_name in ("no_such_module:train", f"{__name__}:no_such_function"):
        with pytest.raises(PlanError, match=f"cannot import {train_name}: "):
            unstuck.trial(
                train_name, BASE, {"a": {}}, metric="loss", seeds=2, out=tmp_path, progress=False
            )


def test_results_of_another_plan_are_refused_and_torn_lines_redone(tmp_path):
    first = trial(tmp_path, {"faster": {"lr": 0.3}}, seeds=2)
    with pytest.raises(PlanError, match="holds another trial"):
        trial(tmp_path, {"faster": {"lr": 0.4}}, seeds=2)
    results = tmp_path / "results.jsonl"
    whole = results.read_bytes()
    results.write_bytes(whole[:-30])
    assert len(load_trial(tmp_path).outcomes) == 3
    assert load_trial(tmp_path).verdicts[0].word == "undecided"
    second = trial(tmp_path, {"faster": {"lr": 0.3}}, seeds=2)
    assert second.verdicts == first.verdicts
    assert results.read_bytes().startswith(whole[: whole[:-1].rfind(b"\n") + 1])
    assert len(results.read_text().splitlines()) == 4
    results.write_bytes(b"torn" + whole)
    with pytest.raises(PlanError, match=r"line 1 of .*results.jsonl is damaged"):
        load_trial(tmp_path)


def test_two_processes_do_not_share_a_folder(tmp_path):
    with (
        ledger.held(tmp_path),
        pytest.raises(PlanError, match="is being run by another process"),
    ):
        trial(tmp_path, {"faster": {"lr": 0.3}}, seeds=1)
    assert len(trial(tmp_path, {"faster": {"lr": 0.3}}, seeds=1).outcomes) == 2


SLOW = """
    import os, random, sys, time
    from pathlib import Path
    import unstuck

    def train(recipe, seed):
        with open("log", "a") as log:
            log.write(f"{recipe['kind']} {seed} {os.getpid()}\\n")
        time.sleep(0.6)
        while Path("hold").exists() and len(Path("log").read_text().splitlines()) > 3:
            time.sleep(0.05)
        return {"score": (1 + recipe["gain"]) * (3 + random.random())}

    GUARD:
        trial = unstuck.trial(
            train, {"kind": "old", "gain": 0.0}, {"new": {"kind": "new", "gain": 3.0}},
            metric="score", higher_is_better=True, seeds=4, workers=2, out="trial",
            stop_early=False, cache=False,
        )
        print(trial.verdicts[0].word, repr(trial.verdicts[0].effect))
"""


def driver(tmp_path, guard='if __name__ == "__main__"', source=SLOW):
    (tmp_path / "drive.py").write_text(textwrap.dedent(source).replace("GUARD", guard))
    return subprocess.Popen(
        [sys.executable, "drive.py"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # a job in the background of a script inherits that it cannot be interrupted
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def test_an_interrupted_trial_resumes_where_it_stopped(tmp_path):
    (tmp_path / "hold").touch()  # the trial must not end before it is interrupted
    process = driver(tmp_path)
    results = tmp_path / "trial" / "results.jsonl"
    wait_for(lambda: results.exists() and len(results.read_text().splitlines()) >= 2)
    wait_for(lambda: len(started(tmp_path)) >= 3)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode not in (0, None)
    assert "to resume, run the same trial again with out='trial'" in err
    finished = [json.loads(line) for line in results.read_text().splitlines()]
    assert 2 <= len(finished) < 8
    assert {(o["arm"], o["seed"]) for o in finished[:2]} == {("baseline", 0), ("new", 0)}
    for _, _, pid in started(tmp_path):
        assert not Path(f"/proc/{pid}").exists() or sys.platform != "linux"
    (tmp_path / "log").unlink()
    (tmp_path / "hold").unlink()

    out, _ = driver(tmp_path).communicate(timeout=60)
    names = {"baseline": "old", "new": "new"}
    redone = {(kind, int(seed)) for kind, seed, _ in started(tmp_path)}
    assert redone.isdisjoint({(names[o["arm"]], o["seed"]) for o in finished})
    assert len(redone) == 8 - len(finished)

    uninterrupted = tmp_path / "other"
    uninterrupted.mkdir()
    reference, _ = driver(uninterrupted).communicate(timeout=60)
    assert out == reference and out.startswith("helped ")


def started(folder):
    log = folder / "log"
    return [line.split() for line in log.read_text().splitlines()] if log.exists() else []


def wait_for(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.02)


def test_a_script_without_a_main_guard_is_told_so(tmp_path):
    out, err = driver(tmp_path, guard="if True").communicate(timeout=60)
    assert "put the call of trial() under `if __name__ == '__main__':`" in err
    assert not out and not started(tmp_path)


COMMAND = """
[trial]
command = "python fit.py --lr {lr} {seed}"
metric = "val.loss"
higher_is_better = false
seeds = [3, 4, 5, 6]
[baseline]
lr = 0.1
[treatments.faster]
lr = 0.9
[treatments.bad]
lr = -1
[treatments.json]
lr = 0.5
"""

FIT = """
    import json, random, sys
    lr, seed = float(sys.argv[2]), int(sys.argv[3])
    if lr < 0:
        print("val.loss: 0.5")
        sys.exit("fit.py: the learning rate must be \\33[31mpositive\\33[0m")
    random.seed(seed)
    for epoch in range(3):
        value = (1 - lr) ** epoch + 0.01 * lr * random.random()
        if lr == 0.5:
            print(json.dumps({"epoch": epoch, "val.loss": value}))
        else:
            print(f"epoch {epoch} val.loss={value:.6e} xval.loss=7 val.loss2: 8")
"""


def test_a_command_is_tried_as_a_spec_says(tmp_path, monkeypatch):
    (tmp_path / "fit.py").write_text(textwrap.dedent(FIT))
    (tmp_path / "spec.toml").write_text(COMMAND)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("UNSTUCK_RUNS", "mine")
    result = run_spec("spec.toml", resources=Resources(workers=2), progress=False)
    words = {v.treatment.name: v.word for v in result.verdicts}
    assert words == {"faster": "helped", "bad": "undecided", "json": "helped"}
    effects = {v.treatment.name: v.effect for v in result.verdicts}
    assert effects["faster"] == pytest.approx(0.9**2 - 0.1**2, abs=0.01)
    assert effects["json"] == pytest.approx(0.9**2 - 0.5**2, abs=0.01)
    errors = {o.error for o in result.outcomes if o.arm == "bad"}
    assert errors == {"fit.py: the learning rate must be  [31mpositive [0m"}
    (folder,) = (tmp_path / "mine").glob("trial-*")
    assert load_trial(folder) == result
    (tmp_path / "fit.py").unlink()
    resumed = run_spec("spec.toml", out=folder, progress=False)
    assert resumed.verdicts == result.verdicts


def test_a_spec_finds_the_module_beside_it(tmp_path):
    (tmp_path / "beside.py").write_text(
        "import random\n\ndef train(recipe, seed):\n"
        "    return {'score': random.gauss(recipe['gain'], 0.01)}\n"
    )
    (tmp_path / "spec.toml").write_text(
        '[trial]\ntrain = "beside:train"\nmetric = "score"\nhigher_is_better = true\nseeds = 2\n'
        "[baseline]\ngain = 0.0\n[treatments.worse]\ngain = -1.0\n"
    )
    result = run_spec(tmp_path / "spec.toml", out=tmp_path / "out", progress=False)
    assert result.verdicts[0].effect == pytest.approx(-1.0)
