"""A diagnosis as JSON that other programs may rely on: schema `unstuck.report/1`.

The fields are described in docs/report-schema.md and in schema.json beside this file.
"""

import json
import math
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from unstuck import atomic
from unstuck.records import (
    Diagnosis,
    Evidence,
    Finding,
    Outcome,
    Plan,
    Run,
    Series,
    Treatment,
    Trial,
    Unchecked,
    Verdict,
)
from unstuck.report import story
from unstuck.report.text import TEXT_LENGTH

SCHEMA = "unstuck.report/1"

Json = dict[str, Any]


def to_dict(diagnosis: Diagnosis, trial: Trial | None = None) -> Json:
    """Plain dicts, lists, text, numbers; what is not finite as "NaN", "Infinity", "-Infinity"."""
    return {
        "schema": SCHEMA,
        "run": _run(diagnosis.run),
        "causes": [
            {**_finding(c.finding), "symptoms": [_finding(s) for s in c.symptoms]}
            for c in diagnosis.causes
        ],
        "unchecked": [_unchecked(u) for u in diagnosis.unchecked],
        "accepted": [
            {**_finding(a.finding), "reason": _text(a.reason)} for a in diagnosis.accepted
        ],
        "ignored": list(diagnosis.ignored),
        "trial": trial_of(trial) if trial else None,
    }


def dumps(diagnosis: Diagnosis, trial: Trial | None = None) -> str:
    return json.dumps(to_dict(diagnosis, trial), indent=2, allow_nan=False) + "\n"


def series_dumps(run: Run) -> str:
    """The run alone, as under `run` in a report: every series with role, unit, count, ends."""
    return json.dumps(_run(run), indent=2, allow_nan=False)


def write(path: Path | str, diagnosis: Diagnosis, trial: Trial | None = None) -> Path:
    """Write into `path`; a reader sees the old file or the new one. Raises OSError."""
    return atomic.write_text(path, dumps(diagnosis, trial))


def write_trial(path: Path | str, trial: Trial) -> Path:
    """Write a trial alone: what stands under `trial` in a report. Raises OSError."""
    return atomic.write_text(path, json.dumps(trial_of(trial), indent=2, allow_nan=False) + "\n")


def schema() -> Json:
    """The JSON Schema (draft 2020-12) of what `to_dict` gives."""
    text = (files("unstuck.report") / "schema.json").read_text(encoding="utf-8")
    loaded: Json = json.loads(text)
    return loaded


def _run(run: Run) -> Json:
    return {
        "name": _text(run.name),
        "last_step": run.last_step,
        "recipe": scalars(run.recipe),
        "facts": scalars(story.known(run.facts)),
        "series": [_series(run, series) for _, series in sorted(run.series.items())],
    }


def _series(run: Run, series: Series) -> Json:
    ends = [_number(series.value[i]) for i in (0, -1)] if len(series) else [None, None]
    return {
        "name": _text(series.name),
        "logged": _text(story.logged_as(run, series.name)),
        "role": _text(run.roles.get(series.name, "")),
        "unit": story.unit_of(series.name),
        "count": len(series),
        "first": ends[0],
        "last": ends[1],
    }


def _finding(finding: Finding) -> Json:
    return {
        "code": _text(finding.code),
        "name": story.name_of(finding.code),
        "severity": finding.severity,
        "where": _text(finding.where),
        "message": _text(finding.message),
        "since": finding.since if finding.evidence else None,
        "evidence": [_evidence(e) for e in finding.evidence],
    }


def _evidence(evidence: Evidence) -> Json:
    return {
        "series": _text(evidence.series.name),
        "op": evidence.op,
        "limit": _number(evidence.limit),
        "span": [int(step) for step in evidence.span],
    }


def _unchecked(unchecked: Unchecked) -> Json:
    return {
        "code": unchecked.code,
        "name": story.name_of(unchecked.code),
        "missing": [_text(m) for m in unchecked.missing],
        "partly": unchecked.partly,
    }


def trial_of(trial: Trial) -> Json:
    return {
        "plan": _plan(trial.plan),
        "outcomes": [_outcome(o) for o in trial.outcomes],
        "verdicts": [_verdict(v) for v in trial.verdicts],
    }


def _plan(plan: Plan) -> Json:
    return {
        "name": _text(plan.name),
        "metric": _text(plan.metric),
        "unit": _text(plan.unit),
        "higher_is_better": plan.higher_is_better,
        "margin": _number(plan.margin),
        "confidence": _number(plan.confidence),
        "finding": plan.finding,
        "stop_early": plan.stop_early,
        "seeds": [int(seed) for seed in plan.seeds],
        "baseline": scalars(plan.baseline),
        "treatments": [treatment(t) for t in plan.treatments],
    }


def treatment(it: Treatment) -> Json:
    return {
        "name": _text(it.name),
        "remedy": _text(it.remedy),
        "changes": scalars(it.changes),
        "expectation": _text(it.expectation),
        "answers": list(it.answers),
    }


def _outcome(outcome: Outcome) -> Json:
    return {
        "arm": _text(outcome.arm),
        "seed": int(outcome.seed),
        "metrics": scalars(outcome.metrics),
        "codes": None if outcome.codes is None else list(outcome.codes),
        "seconds": _number(outcome.seconds),
        "error": _text(outcome.error),
    }


def _verdict(verdict: Verdict) -> Json:
    numbers = ("effect", "low", "high", "confidence", "p")
    counts = ("planned_pairs", "pairs", "lost_finding", "had_finding", "more_pairs")
    return {
        "treatment": _text(verdict.treatment.name),
        "word": verdict.word,
        **{key: _number(getattr(verdict, key)) for key in numbers},
        **{key: _count(getattr(verdict, key)) for key in counts},
        "note": _text(verdict.note),
    }


def _count(value: int | None) -> int | None:
    return None if value is None else int(value)


def scalars(values: Mapping[str, Any]) -> Json:
    return {_text(key): _scalar(value) for key, value in values.items()}


def _scalar(value: Any) -> bool | int | float | str:
    if isinstance(value, bool | int):
        return value
    return _text(value) if isinstance(value, str) else _number(float(value))


def _number(value: float) -> float | str:
    if math.isfinite(value):
        return float(value)
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _text(text: str) -> str:
    """The text as it is, but bounded: JSON itself escapes what is not printable."""
    return text if len(text) <= TEXT_LENGTH else f"{text[: TEXT_LENGTH - 1]}…"
