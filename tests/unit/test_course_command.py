"""`unstuck case ... course`: listing, running, and words it cannot use."""

import json
import os
import re
import subprocess
import sys

import click
import pytest

from unstuck import casework
from unstuck.cases.course import item
from unstuck.cli_case import case_group


def unstuck_command(*words, cwd, cache):
    environment = {**os.environ, "COLUMNS": "120", "UNSTUCK_CACHE": str(cache)}
    command = [sys.executable, "-m", "unstuck", *words]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, env=environment)


def test_an_item_runs_watched_and_a_fault_is_diagnosed(tmp_path):
    words = ("--fault", "dead-relu", "--sample", "--steps", "80", "--train=500")
    done = unstuck_command(
        "case", "run", "--record", "here", "course/cnn", *words, cwd=tmp_path, cache=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert "GRD005" in done.stdout and "ACT001" in done.stdout
    kept = tmp_path / "here" / "output"
    assert json.loads((kept / "recipe.json").read_text())["bias"] == -8.0
    assert json.loads((kept / "metrics.json").read_text())["baseline"] < 0.2
    assert (kept / "picture.png").read_bytes().startswith(b"\x89PNG")


def test_an_item_without_gradients_runs_and_says_that_nothing_was_diagnosed(tmp_path):
    done = unstuck_command("case", "run", "course/knn", "--sample", cwd=tmp_path, cache=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "baseline" in done.stdout and "nothing to diagnose" in done.stderr


def test_items_are_listed_with_their_titles():
    found = casework.items("course")
    assert found["cnn"].startswith("A small convolutional network")
    assert casework.items("contrast") == {}


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ("course", "course holds .* models: name one"),
        ("course/nobody", "course has no item 'nobody'; there are: .*cnn"),
        ("contrast/cnn", "contrast is one model by itself"),
        ("nobody/cnn", "there is no case 'nobody'"),
    ],
)
def test_a_case_that_is_none_is_refused(case, said):
    with pytest.raises(casework.UnknownCaseError, match=said):
        casework.program(case)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "give an item: .*cnn"),
        (["nobody"], "the course has no item 'nobody'"),
        (["cnn", "--fault", "hubris"], "no fault 'hubris'; there are: dead-relu"),
        (["cnn", "--lr", "fast"], "lr: Input should be a valid number"),
        (["cnn", "--steps", "0"], "steps: Input should be greater than or equal to 1"),
        (["cnn", "--normalise", "perhaps"], "normalise: Input should be a valid boolean"),
    ],
)
def test_words_that_cannot_be_used_get_one_line(words, said, capsys):
    assert item.main(words) == 2
    printed = capsys.readouterr().err
    assert len(printed.splitlines()) == 1
    assert re.search(said, printed)


def test_an_unknown_knob_is_refused(capsys):
    with pytest.raises(SystemExit, match="2"):
        item.main(["cnn", "--colour", "red"])
    assert "--colour" in capsys.readouterr().err
    with pytest.raises(ValueError, match="unknown key 'colour'; known keys: sample, steps"):
        item.made(item.load("cnn").Recipe, {"colour": "red"})


def test_several_seeds_give_mean_and_spread(capsys):
    assert item.main(["cnn", "--sample", "--steps=3", "--train=64", "--seeds=2"]) == 0
    *runs, last = capsys.readouterr().out.strip().splitlines()
    accuracies = [
        float(re.search(r"test_accuracy (\S+)  base", line)[1]) for line in runs if "base" in line
    ]
    assert len(accuracies) == 2
    mean, deviation = map(float, re.search(r"test_accuracy (\S+) \+- (\S+)", last).groups())
    assert mean == pytest.approx(sum(accuracies) / 2, abs=6e-3)
    assert deviation == pytest.approx(abs(accuracies[0] - accuracies[1]) / 2**0.5, abs=1e-2)


def test_a_recorded_run_has_one_seed():
    for word in ("--seeds=3", "--seeds"):
        with pytest.raises(click.UsageError, match=r"python -m unstuck\.cases\.course cnn --seeds"):
            case_group.main(["run", "course/cnn", word, "3"], standalone_mode=False)


def test_spread_keeps_the_digits_that_the_deviation_leaves():
    assert item.spread([0.85, 0.86, 0.87]) == "0.860 +- 0.010"
    assert item.spread([331.0, 171.0, 491.0]) == "331 +- 160"
    assert item.spread([200.0, 200.0]) == "200 +- 0"
    assert item.spread([float("nan"), 1.0]) == "nan +- 0"


def test_help_shows_every_knob_with_its_reason(capsys):
    with pytest.raises(SystemExit, match="0"):
        item.main(["cnn", "--help"])
    printed = " ".join(capsys.readouterr().out.split())
    assert "1e-1 diverges" in printed and "(default: 400)" in printed
