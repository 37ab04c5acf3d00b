"""How far a trial is: a live table in a terminal, one plain line for each finished run elsewhere.

Each arm's mean is shown as it comes; how much better one is than another is not, before it is
settled: whoever watches a difference grow stops it where it pleases.
"""

import math
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from unstuck.records import Outcome, Plan
from unstuck.trials.cost import cost_of
from unstuck.trials.executor import Job
from unstuck.trials.plan import BASELINE

LONGEST = 110  # characters of a run's error that are shown
LONGEST_NAME = 60  # characters of an arm's name


class Progress:
    """Shows the runs of one trial as they finish, on standard error. Changes nothing."""

    def __init__(self, plan: Plan, shown: bool = True, console: Console | None = None) -> None:
        self.plan = plan
        self.shown = shown
        self.console = console or Console(stderr=True)
        self.live = Live(console=self.console, transient=True, auto_refresh=False)
        self.arms = (BASELINE, *(t.name for t in plan.treatments))
        self.outcomes: list[Outcome] = []
        self.fresh: list[float] = []  # seconds of the runs done now, not before
        self.jobs: Sequence[Job] = ()
        self.left = 0
        self.places = 1

    def __enter__(self) -> Self:
        if self.shown and self.console.is_terminal:
            self.live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.live.stop()

    def begin(self, done: Sequence[Outcome], left: int, places: int) -> None:
        """What the trial costs, or what is left of it."""
        self.outcomes, self.left, self.places = list(done), left, places
        if self.shown:
            self.say(f"{self.plan.name}: {cost_of(self.plan)}")
        if done:
            self.say(f"{self.plan.name}: {len(done)} of {len(done) + left} runs are already done")
        self._refresh()

    def running(self, jobs: Sequence[Job], places: int) -> None:
        """These run now, of so many that could."""
        if self.shown and (places != self.places or list(jobs) != list(self.jobs)):
            self.jobs, self.places = jobs, places
            self._refresh()

    def finished(self, outcome: Outcome, left: int, kept: bool = False) -> None:
        """A run has ended, or was `kept` from before; so many are still needed."""
        needed = self.left - 1
        self.outcomes.append(outcome)
        self.left = left
        run = (outcome.arm, outcome.seed)
        self.jobs = [job for job in self.jobs if (job.arm, job.seed) != run]
        if not kept:
            self.fresh.append(outcome.seconds)
        how = "kept from before" if kept else f"in {_time(outcome.seconds)}"
        line = f"{self._count()} {outcome.arm}, seed {outcome.seed}: {self._result(outcome)} {how}"
        self.say(f"{line}{self._time_left()}")
        if left < needed:
            self.say(f"settled early: {needed - left} of the planned runs are not needed")
        self._refresh()

    def say(self, line: str) -> None:
        if self.shown:
            self.console.print(Text(line), soft_wrap=True)

    def summary(self) -> str:
        """Runs done, whole pairs, and the time left."""
        total, seeds = len(self.outcomes) + self.left, len(self.plan.seeds)
        done = f"{len(self.outcomes)} of {'at most ' * self.plan.stop_early}{total} runs"
        return f"{done}, {self._pairs()} of {seeds} seeds complete{self._time_left()}"

    def table(self) -> Table:
        """One row an arm: its runs done, running and failed, the metric's mean and spread."""
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
        table.add_column("arm")
        metric = f"{self.plan.metric} {self.plan.unit}".strip()
        for head in ("done", "running", "failed", f"mean {metric}"):
            table.add_column(Text(head), justify="right")
        for arm in self.arms:
            runs = [o for o in self.outcomes if o.arm == arm]
            failed = sum(bool(o.error) for o in runs)
            now = sum(job.arm == arm for job in self.jobs)
            counts = (str(len(runs)), str(now or ""), str(failed or ""))
            table.add_row(
                Text(arm[:LONGEST_NAME]), *counts, self._mean([o for o in runs if not o.error])
            )
        return table

    def _refresh(self) -> None:
        if self.live.is_started:
            self.live.update(Group(self.table(), Text(self.summary(), "dim")), refresh=True)

    def _count(self) -> str:
        return f"[{len(self.outcomes)}/{len(self.outcomes) + self.left}]"

    def _result(self, outcome: Outcome) -> str:
        if outcome.error:
            return f"failed ({outcome.error[:LONGEST]})"
        value = f"{self.plan.metric} {outcome.metrics[self.plan.metric]:.4g}"
        return f"{value} {self.plan.unit}".rstrip()

    def _mean(self, runs: Sequence[Outcome]) -> str:
        values = [o.metrics[self.plan.metric] for o in runs]
        if not values:
            return ""
        mean = math.fsum(values) / len(values)
        if len(values) == 1:
            return f"{mean:.4g}"
        squares = math.fsum((value - mean) ** 2 for value in values)
        return f"{mean:.4g} +- {math.sqrt(squares / (len(values) - 1)):.2g}"

    def _pairs(self) -> int:
        seeds = [o.seed for o in self.outcomes]
        return sum(seeds.count(seed) == len(self.arms) for seed in self.plan.seeds)

    def _time_left(self) -> str:
        if not self.fresh or not self.left:
            return ""
        each = math.fsum(self.fresh) / len(self.fresh)
        most = "at most" if self.plan.stop_early else "about"
        return f", {most} {_time(each * self.left / max(1, self.places))} left"


def _time(seconds: float) -> str:
    """Seconds as people say them.

    >>> _time(42.4), _time(600), _time(9000)
    ('42 s', '10 min', '2.5 h')
    """
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
