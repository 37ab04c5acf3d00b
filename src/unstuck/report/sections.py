"""What the sections of the page show, as plain text ready for the template."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from markupsafe import Markup

from unstuck.records import (
    Cause,
    Diagnosis,
    Evidence,
    Finding,
    Outcome,
    Run,
    Treatment,
    Trial,
    Verdict,
)
from unstuck.report import story
from unstuck.report.evidence_plot import evidence_plot
from unstuck.report.text import clean, decimals, number, scalar
from unstuck.report.trial_plot import CLASSES, arms_of
from unstuck.vocabulary import meaning_of

MOST_FINDINGS = 100  # findings listed; a page is for reading
MOST_DRAWN = 24  # findings whose evidence is drawn
MOST_PLOTS = 6  # evidence of one finding that is drawn
MOST_ROWS = 1_000  # rows of a table


@dataclass(frozen=True, slots=True)
class Drawn:
    """One evidence: what it reads, what it says of it, and the plot of it, if drawn."""

    name: str
    claim: str
    meaning: str
    plot: Markup | None


@dataclass(frozen=True, slots=True)
class Shown:
    """One finding as the page shows it."""

    code: str
    name: str
    lead: str
    severity: str
    message: str
    evidence: list[Drawn]
    left_out: int
    symptoms: "list[Shown]"


def causes(diagnosis: Diagnosis) -> tuple[list[Shown], int]:
    """Causes with their symptoms under them, and how many findings did not fit.

    The first findings have their evidence drawn.
    """
    room, axis = [MOST_FINDINGS], story.step_axis(diagnosis.run)
    shown = [_cause(cause, room, axis) for cause in diagnosis.causes if room[0] > 0]
    return shown, len(diagnosis.findings) - (MOST_FINDINGS - room[0])


def _cause(cause: Cause, room: list[int], axis: str) -> Shown:
    symptoms = cause.symptoms[: max(0, room[0] - 1)]
    drawn = MOST_DRAWN - (MOST_FINDINGS - room[0])
    room[0] -= 1 + len(symptoms)
    nested = [_shown(f, [], i + 1 < drawn, axis) for i, f in enumerate(symptoms)]
    return _shown(cause.finding, nested, drawn > 0, axis)


def _shown(finding: Finding, symptoms: list[Shown], draw: bool, axis: str) -> Shown:
    evidence = list(finding.evidence)[:MOST_PLOTS]
    return Shown(
        code=clean(finding.code, 20),
        name=story.name_of(finding.code),
        lead=story.lead_of(finding.code),
        severity=finding.severity,
        message=story.message(finding),
        evidence=[_drawn(e, draw, axis) for e in evidence],
        left_out=len(finding.evidence) - len(evidence),
        symptoms=symptoms,
    )


def _drawn(evidence: Evidence, draw: bool, axis: str) -> Drawn:
    entry = meaning_of(evidence.series.name)
    return Drawn(
        name=clean(evidence.series.name),
        claim=story.claim(evidence),
        meaning=entry.meaning if entry else "",
        plot=evidence_plot(evidence, axis) if draw else None,
    )


def unchecked(diagnosis: Diagnosis) -> list[tuple[tuple[str, ...], list[tuple[str, str]]]]:
    """(what was missing, the codes with names that lacked it)."""
    whole = story.unchecked_groups(diagnosis)
    partly = [
        (("not surely without", *missing), codes)
        for missing, codes in story.unchecked_groups(diagnosis, partly=True)
    ]
    return [
        (missing, [(clean(code, 20), story.name_of(code)) for code in codes])
        for missing, codes in whole + partly
    ]


def proposals(
    treatments: Iterable[Treatment], run: Run, trial: Trial | None
) -> list[dict[str, object]]:
    """Treatments with what is expected of them, and their verdict where they were tried."""
    verdict = {v.treatment.name: v for v in trial.verdicts} if trial else {}
    unit = trial.plan.unit if trial else ""
    return [
        {
            "name": clean(t.name),
            "changes": story.changes(t, run.recipe),
            "expectation": clean(t.expectation, 500),
            "answers": [clean(a, 20) for a in t.answers],
            "verdict": _tried(verdict[t.name], unit) if t.name in verdict else None,
        }
        for t in treatments
    ]


def _tried(verdict: Verdict, unit: str) -> tuple[str, str, str]:
    """(word, its class, effect)."""
    return verdict.word, CLASSES.get(verdict.word, "open"), story.effect(verdict, unit)


def verdicts(trial: Trial) -> list[dict[str, object]]:
    return [
        {
            "name": clean(v.treatment.name),
            "changes": story.changes(v.treatment, trial.plan.baseline),
            "effect": story.effect(v, trial.plan.unit),
            "interval": story.interval(v),
            "pairs": story.pairs(v, trial.plan),
            "p": number(v.p, 2),
            "word": v.word,
            "kind": CLASSES.get(v.word, "open"),
            "lost": story.lost(v),
            "remark": story.remark(v),
        }
        for v in trial.verdicts
    ]


def seeds(trial: Trial) -> dict[str, object]:
    """A table of every run: arms as columns, seeds as rows; a failed run says why."""
    arms, metric = arms_of(trial), trial.plan.metric
    outcome = {(o.arm, o.seed): o for o in trial.outcomes}
    places = decimals([o.metrics.get(metric, math.nan) for o in trial.outcomes])
    rows = [
        (seed, [_ran(outcome.get((arm, seed)), trial, places) for arm in arms])
        for seed in trial.plan.seeds[:MOST_ROWS]
    ]
    return {"arms": [clean(a, 60) for a in arms], "rows": rows, "finding": trial.plan.finding}


def _ran(outcome: Outcome | None, trial: Trial, places: int | None) -> tuple[str, bool, str]:
    """(the metric, whether the finding was there, the error it ended with)."""
    if outcome is None:
        return "not run", False, ""
    value = outcome.metrics.get(trial.plan.metric, math.nan)
    told = number(value) if places is None or not math.isfinite(value) else f"{value:,.{places}f}"
    sick = bool(outcome.codes) and trial.plan.finding in (outcome.codes or ())
    return ("failed" if outcome.error else told), sick, clean(outcome.error, 300)


def series_rows(run: Run) -> tuple[list[tuple[str, ...]], int]:
    """(name, name in the log, role, unit, count, first, last) and how many did not fit."""
    rows: list[tuple[str, ...]] = []
    for name, series in sorted(run.series.items())[:MOST_ROWS]:
        first, last = (series.value[0], series.value[-1]) if len(series) else (math.nan, math.nan)
        rows.append(
            (
                clean(name),
                clean(story.logged_as(run, name), 60),
                clean(run.roles.get(name, ""), 60),
                story.unit_of(name),
                f"{len(series):,}",
                number(first) if len(series) else "",
                number(last) if len(series) else "",
            )
        )
    return rows, max(0, len(run.series) - MOST_ROWS)


def recipe(run: Run) -> dict[str, str]:
    return {clean(k): scalar(v) for k, v in list(run.recipe.items())[:MOST_ROWS]}


def other_facts(run: Run) -> dict[str, tuple[str, str]]:
    """Name -> (value, meaning) of what was measured once, environment left out."""
    told = {}
    for name, value in sorted(story.known(run.facts).items())[:MOST_ROWS]:
        if not name.startswith(("environment/", "exit/")):
            entry = meaning_of(name)
            count = isinstance(value, int) and not isinstance(value, bool)
            told[clean(name)] = (
                f"{value:,}" if count else scalar(value),
                entry.meaning if entry else "",
            )
    return told
