"""The ways to a trial: a function and its arms, a spec, a folder with a trial that was run."""

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path

from unstuck.records import Plan, Recipe, Treatment, Trial
from unstuck.trials import ledger
from unstuck.trials.budget import Resources
from unstuck.trials.execute import execute
from unstuck.trials.executor import Executor
from unstuck.trials.judge import judge
from unstuck.trials.local import Local, usual_workers
from unstuck.trials.plan import PlanError, planned
from unstuck.trials.progress import Progress
from unstuck.trials.schedule import slug
from unstuck.trials.spec import needs_watching, read_spec
from unstuck.trials.subject import Subject, Train, reference
from unstuck.trials.worker import inside_worker
from unstuck.vocabulary import higher_is_better as rises

MakeExecutor = Callable[[Subject, str], Executor]  # of what is run and the metric it is asked for


def trial(
    train: Train | str,
    baseline: Recipe,
    treatments: Mapping[str, Recipe] | Sequence[Treatment],
    *,
    metric: str,
    seeds: Sequence[int] | int,
    higher_is_better: bool | None = None,
    margin: float = 0.0,
    confidence: float = 0.95,
    unit: str = "",
    out: str | Path | None = None,
    workers: int | None = None,
    watch: bool = False,
    finding: str = "",
    stop_early: bool = True,
    name: str = "trial",
    progress: bool = True,
    ray: str = "",
    gpus: float = 0.0,
    seconds: float | None = None,
    runs: int | None = None,
    cache: bool = True,
    executor: MakeExecutor | None = None,
) -> Trial:
    """Run `train(recipe, seed)` for the baseline and every treatment, paired by seed, and judge.

    train: function at the top level of a .py file, or "module:function"; it returns a mapping of
        metric names to numbers. Each run is a process of its own. In a script, call `trial` under
        `if __name__ == "__main__":`.
    baseline: the recipe. treatments: what each changes of it, by name (`{"low": {"lr": 1e-4}}`), or
        a list of `Treatment`. A name with a slash changes the watched run instead of the recipe.
    metric: the number to compare; whether higher is better is guessed from its name, or given.
    seeds: a list, or a count: as many pairs as there will be at most.
    stop_early: look after every seed, at the error rate of one look, and end where the verdict is
        clear. False runs every pair: to measure how large an effect is.
    margin: differences within +-margin do not matter, in units of the metric.
    out: folder of the trial (default runs/trial-<name>-<time>, under $UNSTUCK_RUNS where that is
        set). Give the folder of an interrupted trial to resume it.
    watch: record and diagnose every run; implied by `finding`, the code to get rid of, and by
        live changes.
    workers, ray, gpus, seconds, runs, cache: what it may use, see `budget.Resources`.
    executor: makes what carries out the runs, in place of the processes of this machine or Ray.

    Raises PlanError (a ValueError) for what cannot be run. A run that fails is a result.
    """
    plan = planned(
        metric,
        baseline,
        treatments,
        seeds,
        higher_is_better=rises(str(metric)) if higher_is_better is None else higher_is_better,
        margin=margin,
        confidence=confidence,
        unit=unit,
        name=name,
        finding=finding,
        stop_early=stop_early,
    )
    path = tuple(str(Path(p).resolve()) for p in sys.path)
    subject = Subject(train=reference(train), path=path, watch=needs_watching(plan, watch))
    resources = Resources(workers, ray, gpus, seconds, runs, cache)
    return run_plan(
        plan, subject, out=out, resources=resources, progress=progress, executor=executor
    )


def run_spec(
    path: str | Path,
    *,
    out: str | Path | None = None,
    resources: Resources | None = None,
    progress: bool = True,
) -> Trial:
    """Run the trial a TOML file describes (see `unstuck.trials.spec`). Raises PlanError."""
    plan, subject = read_spec(path)
    return run_plan(plan, subject, out=out, resources=resources, progress=progress)


def run_plan(
    plan: Plan,
    subject: Subject,
    *,
    out: str | Path | None = None,
    resources: Resources | None = None,
    progress: bool = True,
    executor: MakeExecutor | None = None,
) -> Trial:
    """Run a checked plan, a function's or a command's, as far as its resources go; see `trial`."""
    if inside_worker():
        raise PlanError(
            "the script starts its trial again when a run imports it: put the call of trial() "
            "under `if __name__ == '__main__':`"
        )
    resources = resources or Resources()
    folder = _default_folder(plan.name) if out is None else Path(out)
    most = len(plan.seeds) * (len(plan.treatments) + 1)
    carried = (executor or executor_for(resources, most))(subject, plan.metric)
    outcomes = execute(plan, subject, folder, carried, Progress(plan, progress), resources)
    return Trial(plan, outcomes, judge(plan, outcomes))


def load_trial(path: str | Path) -> Trial:
    """The trial in a folder, as far as it was run; its verdicts are judged anew.

    Raises PlanError where there is none.
    """
    folder = Path(path)
    plan = ledger.read_plan(folder)
    outcomes = ledger.outcomes(folder, plan)
    return Trial(plan, outcomes, judge(plan, outcomes))


def executor_for(resources: Resources, most: int) -> MakeExecutor:
    """What carries out runs with these resources, of which there are `most` in all."""

    def made(subject: Subject, metric: str) -> Executor:
        if resources.ray:
            cluster = import_module("unstuck.trials.ray_cluster")  # loads ray
            executor: Executor = cluster.RayExecutor(
                resources.ray, subject, metric, gpus=resources.gpus
            )
            return executor
        workers = resources.workers or usual_workers(subject)
        return Local(subject, metric, min(workers, most))

    return made


def _default_folder(name: str) -> Path:
    root = Path(os.environ.get("UNSTUCK_RUNS", "runs"))
    wanted = root / f"trial-{slug(name)}-{time.strftime('%Y%m%d-%H%M%S')}"
    folder, number = wanted, 1
    while folder.exists():
        number += 1
        folder = wanted.with_name(f"{wanted.name}-{number}")
    return folder
