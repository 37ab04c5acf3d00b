"""What is shown while a trial runs."""

import io

from rich.console import Console

from unstuck.records import Outcome, Plan, Treatment
from unstuck.trials.progress import Progress

PLAN = Plan("psnr", {}, (Treatment("[b]low", "", {}, ""),), (0, 1), unit="dB", name="mine")


def shown(terminal, steps):
    file = io.StringIO()
    progress = Progress(PLAN, console=Console(file=file, force_terminal=terminal, width=100))
    with progress:
        steps(progress)
    return file.getvalue()


def two_runs(progress):
    progress.begin([Outcome("baseline", 0, {"psnr": 10.0}, seconds=3.0)], 3, workers=2)
    progress.finished(Outcome("[b]low", 0, {"psnr": 12.5}, seconds=6.0), 2)
    progress.finished(Outcome("baseline", 1, {}, seconds=2.0, error="RuntimeError: [red]x"), 1)


def test_elsewhere_than_in_a_terminal_one_plain_line_a_run():
    assert shown(False, two_runs).splitlines() == [
        "mine: 1 of 4 runs are already done",
        "[2/4] [b]low, seed 0: psnr 12.5 dB in 6 s, about 6 s left",
        "[3/4] baseline, seed 1: failed (RuntimeError: [red]x) in 2 s, about 2 s left",
    ]


def test_a_terminal_also_shows_the_means_while_it_runs():
    text = shown(True, two_runs)
    assert "3 of 4 runs, 1 of 2 seeds complete, about 2 s left" in text
    assert "mean psnr: baseline 10, [b]low 12.5" in text


def test_nothing_is_shown_where_nothing_is_wanted():
    file = io.StringIO()
    with Progress(PLAN, shown=False, console=Console(file=file, force_terminal=True)) as progress:
        two_runs(progress)
    assert file.getvalue() == ""
