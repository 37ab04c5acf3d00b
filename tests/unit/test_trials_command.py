"""`unstuck trial` with a command line: braces make arms, and each bad word is one clear line."""

import json
import subprocess
import sys
import textwrap

import pytest
from click.testing import CliRunner

from unstuck.cli import main
from unstuck.trials import PlanError, load_trial, read_spec
from unstuck.trials.command_line import plan_of, read_words, script_of
from unstuck.trials.subject import filled

FIT = """
    import argparse, random

    parser = argparse.ArgumentParser()
    parser.add_argument("--lr", type=float)
    parser.add_argument("--amp", action="store_true")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--log")
    given = parser.parse_args()
    random.seed(given.seed)
    loss = (given.lr - 0.3) ** 2 + random.random() / 50
    loss += random.Random(f"{given.seed} {given.lr}").random() / 500 + 0.1 * given.amp
    if given.log:
        with open(given.log, "w") as log:
            log.write(f"epoch,train_loss,val_loss\\n1,4.0,{loss + 1}\\n2,3.0,{loss}\\n")
    else:
        print("val_loss:", loss)
"""
PYTHON = ["python", "fit.py"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    (tmp_path / "fit.py").write_text(textwrap.dedent(FIT))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def arms_of(*words, **options):
    line = read_words(words, **options)
    return line, {t.name: dict(t.changes) for t in line.treatments}


def test_each_alternative_changes_one_thing_against_the_first_ones():
    line, arms = arms_of(*PYTHON, "--lr", "{1e-3,2e-4,5e-5}", "--width={32,64}", "--seed", "{seed}")
    assert line.baseline == {"lr": "1e-3", "width": "32"}
    assert arms == {
        "lr=2e-4": {"lr": "2e-4"},
        "lr=5e-5": {"lr": "5e-5"},
        "width=64": {"width": "64"},
    }
    words = filled(line.command, {**line.baseline, "lr": "2e-4"}, 7)
    assert words == [sys.executable, "fit.py", "--lr", "2e-4", "--width=32", "--seed", "7"]
    assert line.seeded


def test_crossed_alternatives_are_every_combination():
    _, arms = arms_of(*PYTHON, "--lr", "{1,2}", "--width", "{32,64}", "{seed}", cross=True)
    assert arms == {
        "width=64": {"width": "64"},
        "lr=2": {"lr": "2"},
        "lr=2, width=64": {"lr": "2", "width": "64"},
    }


@pytest.mark.parametrize(
    ("words", "command", "names"),
    [
        (["--learning-rate", "{1,2}"], "--learning-rate '{learning_rate}'", ["learning-rate=2"]),
        (["optim.lr={1,2}"], "'optim.lr={optim_lr}'", ["optim.lr=2"]),
        (["{a,b}", "{c,d}"], "'{arg}' '{arg_2}'", ["b", "d"]),
        (["--n", "{3..1}"], "--n '{n}'", ["n=2", "n=1"]),
        (["--size", "{1,2}x{3,4}"], "--size '{size}x{size_2}'", ["size=2", "size=4"]),
        (["--seed", "{1,2}"], "--seed '{arg_seed}'", ["seed=2"]),
        (["{,--amp}"], "'{arg?}'", ["--amp"]),
        (["{--amp,}"], "'{arg?}'", ["without"]),
        (["--x", "{1,2}", "--json", '{"a": 1, "b": 2}'], "--x '{x}' --json '{word}'", ["x=2"]),
        (["--x", "{1,2}", "{}"], "--x '{x}' '{word}'", ["x=2"]),
        (["--lr", "{1,2}", "--LR", "{3,4}", "--lr", "{5,6}"], None, ["lr=2", "LR=4", "lr=6"]),
    ],
)
def test_what_a_brace_is_called_comes_from_before_it(words, command, names):
    line, arms = arms_of(*PYTHON, *words)
    assert list(arms) == names
    assert command is None or line.command == f"python fit.py {command}"
    for treatment in line.treatments:
        assert len(filled(line.command, {**line.baseline, **treatment.changes}, 0)) >= 2


def test_words_that_are_no_alternatives_reach_the_command_as_they_are():
    line, _ = arms_of(*PYTHON, "--x", "{1,2}", '{"a": 1, "b": 2}', "{}", "a b", "{seed}", "{out}")
    words = filled(line.command, line.baseline, 3, "/tmp/x")
    assert words[2:] == ["--x", "1", '{"a": 1, "b": 2}', "{}", "a b", "3", "/tmp/x"]


def test_a_word_may_be_missing_in_one_arm():
    line, arms = arms_of(*PYTHON, "{,--amp}", "{seed}")
    assert filled(line.command, line.baseline, 3)[2:] == ["3"]
    assert filled(line.command, {**line.baseline, **arms["--amp"]}, 3)[2:] == ["--amp", "3"]


def test_live_changes_are_arms_and_have_the_runs_watched(here):
    changes = ["lr/optimizer=x0.1", "clip/optimizer=1,warmup/optimizer=50"]
    plan, subject = plan_of([*PYTHON, "{seed}"], "loss", 4, changes=changes)
    assert [dict(t.changes) for t in plan.treatments] == [
        {"lr/optimizer": "x0.1"},
        {"clip/optimizer": "1", "warmup/optimizer": "50"},
    ]
    assert subject.watch and not subject.reseed
    assert not plan.higher_is_better and plan.name == "fit"


def test_a_script_without_a_seed_is_seeded_from_outside(here):
    plan, subject = plan_of(["fit.py", "--lr", "{1,2}"], "psnr", [5, 6])
    assert (subject.reseed, subject.watch, subject.command) == (
        True,
        True,
        "python fit.py --lr '{lr}'",
    )
    assert plan.higher_is_better and plan.seeds == (5, 6)
    assert script_of(["-m", "package.train", "{1,2}"]) == "train"


WRONG = {
    "--metric is missing": ["--", *PYTHON, "{1,2}"],
    "give a SPEC.toml, or a command": ["--metric", "loss"],
    "nothing to compare: give alternatives in braces": ["--metric", "loss", "--", *PYTHON],
    "quote them, as in '{1e-3,2e-4}'": ["--metric", "a", "--", *PYTHON, "--lr", "1e-3", "2e-4"],
    "{1,1} offers '1' twice": ["--metric", "loss", "--", *PYTHON, "{1,1}"],
    "makes 999 arms, at most 100": ["--metric", "loss", "--", *PYTHON, "{1..999}"],
    "is empty, which only a whole word can be": ["--metric", "loss", "--", *PYTHON, "--x={,1}"],
    "the command uses {lr}, which": ["--metric", "loss", "--", *PYTHON, "{1,2}", "{lr}"],
    "does not start with a program": ["--metric", "loss", "--", "no-such", "{1,2}", "{seed}"],
    "the command needs {seed}": ["--metric", "loss", "--", "ls", "{1,2}"],
    "give a count, or seeds": ["--metric", "a", "--seeds", "five", "--", *PYTHON, "{1,2}"],
    "a count of at least 1": ["--metric", "a", "--seeds", "0", "--", *PYTHON, "{1,2}"],
    "give NAME=VALUE, as in lr/opt": ["--metric", "a", "--change", "lr", "--", *PYTHON],
    "'x2': give a count of steps": ["--metric", "a", "--change", "warmup/o=x2", "--", *PYTHON],
    "must lie in {out}": ["--metric", "a", "--log", "log.csv", "--", *PYTHON, "{1,2}"],
    "the command must have {out}": ["--metric", "a", "--log", "{out}/x", "--", *PYTHON, "{1,2}"],
    "confidence must be at least 0.5": [
        *("--metric", "a", "--confidence", "95", "--", *PYTHON, "{1,2}"),
    ],
    "margin must be at least 0": ["--metric", "a", "--margin", "-1", "--", *PYTHON, "{1,2}"],
    "workers must be at least 1, not 0": ["--workers", "0", "spec.toml"],
    "runs must be at least 1, not 0": ["--runs", "0", "spec.toml"],
    "seconds must be above 0, not 0": ["--seconds", "0", "spec.toml"],
    "gpus shares out the GPUs of a Ray": ["--gpus", "0.5", "spec.toml"],
    "--metric is for a command: spec.toml says it": ["spec.toml", "--metric", "loss"],
    "--change is for a command": ["--change", "lr/o=1", "spec.toml"],
    "--all-pairs is for a command": ["spec.toml", "--all-pairs"],
    "one spec at a time: 'b.toml' follows spec.toml": ["spec.toml", "b.toml"],
    "spec.toml does not exist": ["spec.toml"],
    "No such option": ["--metrik", "loss", "--", *PYTHON],
}


@pytest.mark.parametrize("message", WRONG)
def test_what_is_wrong_with_a_command_is_said_in_one_line(here, message):
    result = CliRunner().invoke(main, ["trial", *WRONG[message]], standalone_mode=False)
    said = getattr(result.exception, "format_message", lambda: str(result.exception))()
    assert message in said and "\n" not in said
    assert not (here / "runs").exists()


def unstuck(*words):
    return subprocess.run(
        [sys.executable, "-c", "from unstuck.cli import entry; entry()", "trial", *words],
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_bad_input_ends_with_status_2_and_one_line(here):
    done = unstuck("--metric", "loss", "--", *PYTHON, "--lr", "1")
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("unstuck: nothing to compare") and done.stderr.count("\n") == 1


def test_a_command_line_from_braces_to_verdicts(here):
    done = unstuck(
        "--metric", "val_loss", "--seeds", "3..10", "--out", "t", "--json", "t.json", "--unit", "x",
        "--", *PYTHON, "--lr", "{0.9,0.3}", "{,--amp}", "--seed", "{seed}",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    trial = load_trial("t")
    assert {v.treatment.name: v.word for v in trial.verdicts} == {
        "lr=0.3": "helped",
        "--amp": "harmed",
    }
    better, worse = trial.verdicts
    assert better.effect == pytest.approx(0.36, abs=0.01)
    assert worse.effect == pytest.approx(-0.1, abs=1e-6) or "tested by sign" in worse.note
    assert min(o.seed for o in trial.outcomes) == 3
    assert "helped" in done.stdout and "fit: 3 arms x 8 seeds = 24 runs" in done.stderr
    told = json.loads((here / "t.json").read_text())
    assert [v["word"] for v in told["verdicts"]] == ["helped", "harmed"]
    assert len(trial.outcomes) < 24
    again = unstuck(
        "--metric", "val_loss", "--seeds", "3..10", "--out", "t", "--unit", "x",
        "--", *PYTHON, "--lr", "{0.9,0.3}", "{,--amp}", "--seed", "{seed}",
    )  # fmt: skip
    assert again.stdout == done.stdout and again.stderr == ""


LOGGED = """
[trial]
command = "python fit.py --lr {lr} --seed {seed} --log {out}/epochs.csv"
metric = "val_loss"
seeds = 2
log = "{out}/epochs.csv"
[baseline]
lr = 0.9
[treatments.low]
lr = 0.3
"""


def test_a_metric_may_be_read_from_the_log_each_run_leaves(here):
    (here / "spec.toml").write_text(LOGGED)
    done = unstuck("spec.toml", "--out", "t", "--workers", "2")
    assert done.returncode == 0, done.stderr
    for outcome in load_trial("t").outcomes:
        expected = (0.36 if outcome.arm == "baseline" else 0.0, 0.03)
        assert expected[0] <= outcome.metrics["val_loss"] <= sum(expected)


def test_a_dry_run_shows_the_arms_and_runs_nothing(here):
    done = unstuck(
        "--metric", "val_loss", "--dry-run", "--", *PYTHON, "--lr", "{0.9,0.3}", "{seed}"
    )
    assert done.stdout.splitlines()[0].startswith(
        "fit: val_loss, lower is better; 2 arms x 5 seeds"
    )
    assert done.stdout.splitlines()[1:] == ["  baseline: lr = 0.9", "  lr=0.3: lr = 0.3"]
    assert not (here / "runs").exists()


@pytest.mark.parametrize(
    ("added", "message"),
    [
        ("reseed = 1", "reseed must be true or false"),
        ("log = 3", "log must be text"),
        ('log = "x.csv"', "must lie in {out}"),
        ("stop_early = 3", "stop_early must be true or false"),
    ],
)
def test_new_keys_of_a_spec_are_checked(here, added, message):
    spec = here / "spec.toml"
    spec.write_text(LOGGED.replace('log = "{out}/epochs.csv"', added))
    with pytest.raises(PlanError) as caught:
        read_spec(spec)
    assert message in str(caught.value)


def test_a_spec_without_a_seed_may_be_reseeded(here):
    (here / "spec.toml").write_text(
        LOGGED.replace("--seed {seed} ", "").replace("seeds = 2", "seeds = 2\nreseed = true")
    )
    plan, subject = read_spec("spec.toml")
    assert subject.reseed and subject.watch and plan.stop_early
