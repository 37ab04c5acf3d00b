"""One stage of a fix as a trial in a folder of its own: run, resumed, judged."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from unstuck.fixed import Yardstick
from unstuck.fixing.script import Script
from unstuck.records import Treatment, Trial
from unstuck.trials.budget import Resources
from unstuck.trials.conduct import run_plan
from unstuck.trials.plan import planned

LEAST = 1e-3  # seconds: a stage that comes too late begins nothing, and tells what it lacks


@dataclass(frozen=True, slots=True)
class Conditions:
    """What holds for every stage: what the runs may use, and how they are compared.

    `resources.seconds` is for all stages together, from the moment this is made.
    """

    resources: Resources = field(default_factory=Resources)
    margin: float = 0.0
    confidence: float = 0.95
    progress: bool = True
    began: float = field(default_factory=time.monotonic)

    def left(self) -> Resources:
        """The resources of the next stage."""
        if self.resources.seconds is None:
            return self.resources
        rest = self.resources.seconds - (time.monotonic() - self.began)
        return replace(self.resources, seconds=max(rest, LEAST))


def conducted(
    script: Script,
    treatments: Sequence[Treatment],
    seeds: Sequence[int],
    yardstick: Yardstick,
    conditions: Conditions,
    folder: Path,
    *,
    finding: str,
    stop_early: bool = False,
) -> Trial:
    """Run what is not there yet of one trial. Raises PlanError, KeyboardInterrupt."""
    subject, baseline = script.command(treatments)
    plan = planned(
        yardstick.metric,
        baseline,
        treatments,
        seeds,
        higher_is_better=yardstick.higher_is_better,
        margin=conditions.margin,
        confidence=conditions.confidence,
        finding=finding,
        name=folder.name,
        stop_early=stop_early,
    )
    return run_plan(
        plan,
        subject,
        out=folder,
        resources=conditions.left(),
        progress=conditions.progress,
    )


def whole(trial: Trial) -> bool:
    """Whether every run that was planned has ended."""
    return len(trial.outcomes) == len(trial.plan.seeds) * (1 + len(trial.plan.treatments))


def length(trial: Trial) -> float:
    """Seconds of training, all runs together."""
    return math.fsum(outcome.seconds for outcome in trial.outcomes)
