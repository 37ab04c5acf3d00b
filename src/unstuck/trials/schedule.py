"""Which runs a plan still needs, and in which order: seed by seed, whole pairs first."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from unstuck.records import Outcome, Plan
from unstuck.trials.executor import Job
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


def needed(
    plan: Plan, jobs: Sequence[Job], outcomes: Sequence[Outcome], settled: Mapping[str, int]
) -> list[Job]:
    """The jobs that some verdict waits for and that have no outcome yet, in order.

    settled: treatments whose verdict is final; the baseline goes on while any other needs it.
    """
    open_arms = {t.name for t in plan.treatments} - set(settled)
    if open_arms:
        open_arms.add(BASELINE)
    done = {(run.arm, run.seed) for run in outcomes}
    return [job for job in jobs if job.arm in open_arms and (job.arm, job.seed) not in done]


def slug(name: str) -> str:
    """A name that is safe in a path."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", name)[:60].strip("-.") or "unnamed"
