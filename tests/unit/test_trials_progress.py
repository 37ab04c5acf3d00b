"""What is shown while a trial runs."""

import io
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from unstuck.records import Outcome, Plan, Treatment
from unstuck.trials.executor import Job
from unstuck.trials.progress import Progress

PLAN = Plan("psnr", {}, (Treatment("[b]low", "", {}, ""),), (0, 1), unit="dB", name="mine")
JOB = Job("baseline", {}, 1, Path("somewhere"))


def shown(terminal, steps, plan=PLAN):
    file = io.StringIO()
    progress = Progress(plan, console=Console(file=file, force_terminal=terminal, width=100))
    with progress:
        steps(progress)
    return file.getvalue()


def two_runs(progress):
    progress.begin([Outcome("baseline", 0, {"psnr": 10.0}, seconds=3.0)], 3, places=2)
    progress.running([JOB], 2)
    progress.finished(Outcome("[b]low", 0, {"psnr": 12.5}, seconds=6.0), 2)
    progress.finished(Outcome("baseline", 1, {}, seconds=2.0, error="RuntimeError: [red]x"), 1)


def test_elsewhere_than_in_a_terminal_one_plain_line_a_run():
    cost, *lines = shown(False, two_runs).splitlines()
    assert cost.startswith("mine: 2 arms x 2 seeds = 4 runs; effects from ")
    assert lines == [
        "mine: 1 of 4 runs are already done",
        "[2/4] [b]low, seed 0: psnr 12.5 dB in 6 s, about 6 s left",
        "[3/4] baseline, seed 1: failed (RuntimeError: [red]x) in 2 s, about 2 s left",
    ]


def test_a_terminal_also_shows_each_arm_while_it_runs():
    text = shown(True, two_runs)
    assert "3 of 4 runs, 1 of 2 seeds complete, about 2 s left" in text
    rows = [line.split() for line in text.splitlines()]
    assert ["baseline", "1", "1", "10"] in rows  # one done, one running
    assert ["baseline", "2", "1", "10"] in rows  # then it has failed, and runs no longer
    assert ["baseline", "2", "1", "1", "10"] not in rows
    assert ["[b]low", "1", "12.5"] in rows


def test_the_spread_of_an_arm_is_shown_and_no_difference_between_arms():
    plan = replace(PLAN, seeds=(0, 1, 2))

    def steps(progress):
        progress.begin([], 6, places=1)
        for seed, value in enumerate((10.0, 12.0)):
            progress.finished(Outcome("baseline", seed, {"psnr": value}, seconds=1.0), 5 - seed)
        progress.finished(Outcome("[b]low", 0, {"psnr": 21.0}, seconds=1.0), 3)

    text = shown(True, steps, plan)
    assert "11 +- 1.4" in text
    assert "effect" not in text.partition("power")[2]
    assert " 10" not in text.partition("11 +- 1.4")[2]  # 21 - 11


def test_runs_that_were_kept_and_those_no_longer_needed_are_named():
    plan = replace(PLAN, seeds=tuple(range(6)), stop_early=True)

    def steps(progress):
        progress.begin([], 12, places=1)
        progress.finished(Outcome("baseline", 0, {"psnr": 10.0}, seconds=900.0), 11, kept=True)
        progress.finished(Outcome("[b]low", 0, {"psnr": 10.0}, seconds=600.0), 10)
        progress.finished(Outcome("baseline", 1, {"psnr": 10.0}, seconds=600.0), 0)

    lines = shown(False, steps, plan).splitlines()
    assert "12 runs, about 10 where effects are 2 sd" in lines[0]
    assert lines[1:] == [
        "[1/12] baseline, seed 0: psnr 10 dB kept from before",
        "[2/12] [b]low, seed 0: psnr 10 dB in 10 min, at most 100 min left",
        "[3/3] baseline, seed 1: psnr 10 dB in 10 min",
        "settled early: 9 of the planned runs are not needed",
    ]


def test_nothing_is_shown_where_nothing_is_wanted():
    file = io.StringIO()
    with Progress(PLAN, shown=False, console=Console(file=file, force_terminal=True)) as progress:
        two_runs(progress)
    assert file.getvalue() == ""
