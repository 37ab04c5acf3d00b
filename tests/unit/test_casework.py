"""The main path in small: a sick case is watched, diagnosed, treated in pairs and reported."""

import os
import subprocess
import sys

import pytest

from unstuck import casework
from unstuck.trials import load_trial

SMALL = ("steps=60", "crop_size=32", "train_subjects=24", "test_subjects=6")


def unstuck_command(*words, cwd):
    return subprocess.run(
        [sys.executable, "-m", "unstuck", *words],
        cwd=cwd,
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "120"},
    )


def test_prove_names_the_cause_tries_treatments_and_reports(tmp_path):
    small = [word for change in SMALL for word in ("--set", change)]
    words = ("case", "prove", "contrast", "--preset", "notes", "--seeds", "2", "--out", "proof")
    done = unstuck_command(*words, *small, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "COL004 collapsed-embedding: latent model.encoder" in done.stdout
    trial = load_trial(tmp_path / "proof" / "trial")
    assert len(trial.outcomes) == 10 and not any(o.error for o in trial.outcomes)
    lost = {v.treatment.name: v.lost_finding for v in trial.verdicts}
    assert lost["lower-content-weight"] == 2 and lost["wider-latent"] == 0
    page = (tmp_path / "proof" / "report.html").read_text()
    assert all(v.treatment.name in page and v.word in page for v in trial.verdicts)
    assert page.count("data:image/png") >= 3 * casework.PICTURE_ROWS
    before = (tmp_path / "proof" / "before" / "run.sqlite").stat().st_mtime
    again = unstuck_command(*words, *small, cwd=tmp_path)  # everything is there: nothing is run
    assert again.returncode == 0, again.stderr
    assert (tmp_path / "proof" / "before" / "run.sqlite").stat().st_mtime == before
    other = unstuck_command(
        *words, *small, "--seed", "1", cwd=tmp_path
    )  # no run of seed 1 is there
    assert other.returncode == 2 and "holds another run" in other.stderr


def test_the_tiny_repaired_case_is_healthy(tmp_path):
    words = ("case", "run", "--fail-on", "warning", "contrast", "--preset", "tiny")
    done = unstuck_command(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Nothing found" in done.stdout


def test_cases_are_found_by_their_folder():
    assert "contrast" in casework.names()
    with pytest.raises(casework.UnknownCaseError, match="there are: agch, contrast"):
        casework.part("nobody", "train")
