"""Which runs a plan still needs, and in which order: seed by seed, whole pairs first."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from unstuck.records import Outcome, Plan
from unstuck.trials.executor import Job
from unstuck.trials.judge import settled
from unstuck.trials.plan import BASELINE, arms


def jobs_of(plan: Plan, folder: Path) -> list[Job]:
    """Every run of a plan, seed by seed, so that an interrupted trial has whole pairs."""
    recipes = arms(plan)
    names = {arm: f"{i}-{slug(arm)}" for i, arm in enumerate(recipes)}
    return [
        Job(arm, recipe, seed, folder / "arms" / names[arm] / f"seed-{seed}")
        for seed in plan.seeds
        for arm, recipe in recipes.items()
    ]


class Agenda:
    """What a trial still has to do, as outcomes come in."""

    def __init__(self, plan: Plan, folder: Path, done: Sequence[Outcome]) -> None:
        self.plan = plan
        self.jobs = jobs_of(plan, folder)
        self._by_run = {(job.arm, job.seed): job for job in self.jobs}
        self.outcomes = list(done)
        self.left = self._needed()

    def add(self, outcome: Outcome) -> None:
        """A run has ended."""
        self.outcomes.append(outcome)
        self.left = self._needed()

    def job_of(self, outcome: Outcome) -> Job:
        """The job an outcome came of."""
        return self._by_run[outcome.arm, outcome.seed]

    def waiting(self, running: Sequence[Job]) -> Iterator[Job]:
        """The jobs left that do not run yet, in their order."""
        begun = {(job.arm, job.seed) for job in running}
        return (job for job in self.left if (job.arm, job.seed) not in begun)

    def unneeded(self, running: Sequence[Job]) -> list[Job]:
        """The running jobs that no verdict waits for any longer."""
        wanted = {(job.arm, job.seed) for job in self.left}
        return [job for job in running if (job.arm, job.seed) not in wanted]

    def _needed(self) -> list[Job]:
        final = settled(self.plan, self.outcomes) if self.plan.stop_early else {}
        return needed(self.plan, self.jobs, self.outcomes, final)


def needed(
    plan: Plan, jobs: Sequence[Job], outcomes: Sequence[Outcome], final: Mapping[str, int]
) -> list[Job]:
    """The jobs that some verdict waits for and that have no outcome yet, in order.

    final: treatments whose verdict is settled; the baseline goes on while any other needs it.
    """
    open_arms = {t.name for t in plan.treatments} - set(final)
    if open_arms:
        open_arms.add(BASELINE)
    done = {(run.arm, run.seed) for run in outcomes}
    return [job for job in jobs if job.arm in open_arms and (job.arm, job.seed) not in done]


def slug(name: str) -> str:
    """A name that is safe in a path."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", name)[:60].strip("-.") or "unnamed"
