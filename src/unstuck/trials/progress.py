"""How far a trial is: a live line in a terminal, one plain line for each finished run elsewhere."""

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from unstuck.records import Outcome, Plan
from unstuck.trials.plan import BASELINE

LONGEST = 110  # characters of a run's error that are shown


class Progress:
    """Shows the runs of one trial as they finish, on standard error. Changes nothing."""

    def __init__(self, plan: Plan, shown: bool = True, console: Console | None = None) -> None:
        self.plan = plan
        self.shown = shown
        self.console = console or Console(stderr=True)
        self.live = Live(console=self.console, transient=True, auto_refresh=False)
        self.arms = (BASELINE, *(t.name for t in plan.treatments))
        self.outcomes: list[Outcome] = []
        self.fresh: list[Outcome] = []  # done now, not in an earlier part of the trial
        self.left = 0
        self.workers = 1

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

    def begin(self, done: Sequence[Outcome], left: int, workers: int) -> None:
        self.outcomes, self.left, self.workers = list(done), left, workers
        if done:
            self.say(f"{self.plan.name}: {len(done)} of {len(done) + left} runs are already done")
        self._refresh()

    def finished(self, outcome: Outcome, left: int, kept: bool = False) -> None:
        self.outcomes.append(outcome)
        self.fresh.append(outcome)
        self.left = left
        total = len(self.outcomes) + self.left
        line = f"[{len(self.outcomes)}/{total}] {outcome.arm}, seed {outcome.seed}: "
        self.say(f"{line}{self._result(outcome)} in {outcome.seconds:.0f} s{self._time_left()}")
        self._refresh()

    def say(self, line: str) -> None:
        if self.shown:
            self.console.print(Text(line), soft_wrap=True)

    def summary(self) -> str:
        """Runs done, whole pairs, the mean of every arm, and the time left."""
        total = len(self.outcomes) + self.left
        means = [f"{arm} {mean:.4g}" for arm in self.arms if (mean := self._mean(arm)) is not None]
        done = f"{len(self.outcomes)} of {total} runs, {self._pairs()} of {len(self.plan.seeds)} "
        line = f"{done}seeds complete{self._time_left()}"
        return f"{line}; mean {self.plan.metric}: {', '.join(means)}" if means else line

    def _refresh(self) -> None:
        self.live.update(Text(self.summary()), refresh=self.live.is_started)

    def _result(self, outcome: Outcome) -> str:
        if outcome.error:
            return f"failed ({outcome.error[:LONGEST]})"
        value = f"{self.plan.metric} {outcome.metrics[self.plan.metric]:.4g}"
        return f"{value} {self.plan.unit}".rstrip()

    def _mean(self, arm: str) -> float | None:
        runs = [o for o in self.outcomes if o.arm == arm and not o.error]
        values = [o.metrics[self.plan.metric] for o in runs]
        return sum(values) / len(values) if values else None

    def _pairs(self) -> int:
        seeds = [o.seed for o in self.outcomes]
        return sum(seeds.count(seed) == len(self.arms) for seed in self.plan.seeds)

    def _time_left(self) -> str:
        if not self.fresh or not self.left:
            return ""
        each = sum(o.seconds for o in self.fresh) / len(self.fresh)
        return f", about {each * self.left / self.workers:.0f} s left"
