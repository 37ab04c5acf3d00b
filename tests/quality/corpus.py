"""Every recorded run with what was planted in it, whole and as a log would have it.

tests/runs/*.json.gz: small trainings (scripts/record_runs.py), one planted code or none.
tests/runs/course/*.json.gz: five seeds of every item of the course (`make corpus`), healthy and
with each fault; of a fault's codes the first causes of a correct diagnosis.
"""

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
from recorded import read, run_of

from unstuck import Run, Series, catalog, diagnose

FOLDER = Path(__file__).resolve().parent.parent / "runs"
LOGGED = ("loss/", "metric/", "term/", "lr/", "loss_scale/", "epoch")  # what scripts write down
CODES = [d.code for d in catalog.detectors()]
MARKS = {"error": "E", "warning": "W", "info": "i"}
EPOCHS = 50
NOISE = 0.02  # multiplicative


@dataclass(frozen=True)
class Recorded:
    """One run; `planted` are the codes of a correct diagnosis, empty where it is healthy."""

    name: str
    run: Run
    planted: tuple[str, ...]
    healthy: bool


@cache
def recorded(folder: Path = FOLDER) -> tuple[Recorded, ...]:
    small = [
        Recorded(p.name.removesuffix(".json.gz"), run_of(kept), _codes(kept), not _codes(kept))
        for p in sorted(folder.glob("*.json.gz"))
        for kept in [read(p)]
    ]
    course = [
        Recorded(
            f"course/{p.name.removesuffix('.json.gz')} {kept['form']} {kept['seed']}",
            run_of(kept),
            tuple(kept["codes"]),
            kept["form"] == "healthy",
        )
        for p in sorted((folder / "course").glob("*.json.gz"))
        for kept in read(p)
    ]
    return (*small, *course)


def _codes(kept):
    return (kept["expected"],) if kept["expected"] else ()


def logged(run):
    """The run as its script would have logged it: losses, metrics, rates, total gradient norms."""
    kept = {
        n: s
        for n, s in run.series.items()
        if n.startswith(LOGGED) or (n.startswith("grad_norm/") and n.count("/") == 1)
    }
    facts = {n: v for n, v in run.facts.items() if n.startswith(("step/", "exit/"))}
    return replace(run, series=kept, facts=facts)


def by_epoch(run):
    """The log again, one line an epoch: means of what is trained on, the last of what is held."""
    log = logged(run)
    edges = np.linspace(0, log.last_step + 1, EPOCHS + 1)
    series = {}
    for name, s in log.series.items():
        at = np.digitize(s.step, edges[1:-1])
        epochs = np.unique(at)
        last = name.startswith(("metric/val/", "lr/", "loss_scale/"))
        taken = [s.value[at == e] for e in epochs]
        value = [v[-1] if last else v.mean() for v in taken]
        series[name] = Series(name, epochs, np.array(value))
    return replace(log, series=series, facts={**log.facts, "step/unit": "epoch"})


VIEWS = {"watched": lambda run: run, "logged": logged, "by epoch": by_epoch}


def halved(run):
    """Logged half as often; what is read only a few times stays."""
    return replace(
        run,
        series={
            n: Series(n, s.step[::2], s.value[::2]) if len(s) > 20 else s
            for n, s in run.series.items()
        },
    )


def noisy(run, seed=0):
    """Every measured value off by 2 %; a learning rate is set, not measured."""
    random = np.random.default_rng(seed)
    return replace(
        run,
        series={
            n: s
            if n.startswith(("lr/", "loss_scale/", "epoch"))
            else Series(n, s.step, s.value * (1 + NOISE * random.standard_normal(len(s))))
            for n, s in run.series.items()
        },
    )


def cells(run):
    """Code -> worst severity of what was found."""
    found = {}
    for finding in reversed(diagnose(run).findings):
        found[finding.code] = min(
            MARKS[finding.severity], found.get(finding.code, "i"), key="EWi".index
        )
    return found


def shown_by(planted, run):
    """Whether one of the planted codes has a detector that can look at this run and be sure."""
    found = [d for d in catalog.detectors() if d.code in planted]
    return any(not d.missing(run) and not d.wanting(run) for d in found)


def first_cause(run):
    """The code of the likeliest cause that is an alarm; empty where there is none."""
    causes = [c.finding for c in diagnose(run).causes]
    return next((f.code for f in causes if f.severity != "info"), "")
