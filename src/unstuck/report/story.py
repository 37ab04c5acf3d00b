"""A diagnosis in the order it is told, the same in the terminal and in HTML."""

import math
from collections.abc import Mapping
from functools import cache

from unstuck import catalog
from unstuck.records import (
    Diagnosis,
    Evidence,
    Finding,
    Plan,
    Recipe,
    Run,
    Scalar,
    Treatment,
    Trial,
    Verdict,
)
from unstuck.report.text import clean, counted, number, scalar
from unstuck.vocabulary import FACTS, SERIES, meaning_of

TIMES = "\N{MULTIPLICATION SIGN}"
WATCHED = "record of watching (unstuck run)"
OPS = {">": "above", "<": "below"}


@cache
def names() -> dict[str, str]:
    """Code -> name of every known pathology."""
    return {d.code: d.name for d in catalog.detectors()}


def name_of(code: str) -> str:
    return names().get(code, "")


def lead_of(code: str) -> str:
    """What the pathology is, in one sentence: the first line of its page, without code and name."""
    page = next((d.page for d in catalog.detectors() if d.code == code), "")
    return page.strip().partition("\n")[0].partition(": ")[2]


def headline(finding: Finding) -> str:
    """Code, name, where, number in one line."""
    title = " ".join(filter(None, (clean(finding.code), name_of(finding.code))))
    return f"{title}: {message(finding)}"


def message(finding: Finding) -> str:
    """The finding's message, with its place where the message does not say it."""
    text = clean(finding.message, 160)
    if not finding.where or finding.where in finding.message:
        return text
    return f"{text} ({clean(finding.where, 80)})"


def claim(evidence: Evidence) -> str:
    """What the evidence says, as a sentence without its subject."""
    first, last = evidence.span
    span = f"at step {first:,}" if first == last else f"from step {first:,} to {last:,}"
    if evidence.op == "not finite":
        return f"not finite {span}"
    return f"{OPS[evidence.op]} {number(evidence.limit)} {span}"


def checked(diagnosis: Diagnosis) -> str:
    """How many pathologies were looked for, how many could not be, how many nobody asked for."""
    missed = len({u.code for u in diagnosis.unchecked if not u.partly})
    partly, ignored = len([u for u in diagnosis.unchecked if u.partly]), len(diagnosis.ignored)
    looked = counted(len(names()) - missed - ignored, "pathology", "pathologies")
    more = [f"{n} {word}" for n, word in ((partly, "only in part"), (ignored, "ignored")) if n]
    return ", ".join([f"{looked} looked for", f"{missed} not checked", *more])


def accepted(diagnosis: Diagnosis) -> list[str]:
    """The findings that somebody has accepted, each with the reason given."""
    return [f"{headline(a.finding)} ({clean(a.reason)})" for a in diagnosis.accepted]


def logged_as(run: Run, name: str) -> str:
    """The name a series has in its log, where that differs."""
    logged = str(run.facts.get(f"logged/{name}", name))
    return "" if logged == name else logged


def read_as(run: Run) -> str:
    """How a log was understood: its format, what a step is, what was left out."""
    source, unit = run.facts.get("source/format"), run.facts.get("step/unit", "step")
    if source is None:
        return ""
    told = f"read as {clean(source)}, a step is one {clean(unit)}"
    remark = run.facts.get("source/remark")
    return f"{told}; {clean(remark)}" if remark else told


def step_axis(run: Run) -> str:
    """What the axis of a curve counts."""
    unit = run.facts.get("step/unit", "step")
    return {"epoch": "epoch", "row": "row of the log"}.get(str(unit), "training step")


def known(facts: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """The facts about a run; those about its log's names are told beside the series."""
    return {n: v for n, v in facts.items() if not n.startswith("logged/")}


def unchecked_groups(
    diagnosis: Diagnosis, *, partly: bool = False
) -> list[tuple[tuple[str, ...], list[str]]]:
    """(what was missing, codes that lacked exactly this), the commonest lack first.

    What no log can hold is one lack of a log. `partly`: of those that looked, but were not sure.
    """
    groups: dict[tuple[str, ...], list[str]] = {}
    log = "source/format" in diagnosis.run.facts
    for unchecked in diagnosis.unchecked:
        if unchecked.partly == partly:
            missing = tuple(clean(m) for m in unchecked.missing)
            if log and all(_only_watched(m) for m in unchecked.missing):
                missing = (WATCHED,)
            groups.setdefault(missing, []).append(unchecked.code)
    return sorted(((m, sorted(c)) for m, c in groups.items()), key=lambda g: (-len(g[1]), g[1]))


def _only_watched(pattern: str) -> bool:
    """Whether no log has series or facts of this pattern: layers, or what only watching sees."""
    head, *rest = pattern.split("/")
    known = [e for e in (*SERIES, *FACTS) if e.pattern.partition("/")[0] == head]
    by_layer = head == "grad_norm" and len(rest) > 1
    return by_layer or (bool(known) and not any("logs" in e.written_by for e in known))


def changes(treatment: Treatment, recipe: Recipe) -> list[str]:
    """Each change in words: `content_weight 1 -> 0.05`, `weight/loss/content x 0.1`."""
    told = []
    for key, value in treatment.changes.items():
        new = scalar(value)
        if "/" in key and new.startswith("x"):
            told.append(f"{clean(key)} {TIMES} {new[1:]}")
        elif key in recipe:
            told.append(f"{clean(key)} {scalar(recipe[key])} → {new}")
        else:
            told.append(f"{clean(key)} → {new}")
    return told


def effect(verdict: Verdict, unit: str) -> str:
    """The effect with its sign and unit, as precise as its interval is."""
    return f"{_precise(verdict.effect, verdict, '+')} {clean(unit, 30)}".rstrip()


def interval(verdict: Verdict) -> str:
    return f"{_precise(verdict.low, verdict)} to {_precise(verdict.high, verdict)}"


def _precise(value: float, verdict: Verdict, sign: str = "-") -> str:
    """To the second digit of the interval's width; more would be noise."""
    width = verdict.high - verdict.low
    if not (math.isfinite(value) and math.isfinite(width) and width > 0):
        return number(value, 3)
    places = 1 - math.floor(math.log10(width))
    if places > 6 or abs(value) >= 1e7:
        return number(value, 3)
    return f"{round(value, places) + 0.0:{sign},.{max(0, places)}f}"


def lost(verdict: Verdict) -> str:
    """What became of the finding: `lost in 3 of 3`."""
    if verdict.had_finding is None or verdict.lost_finding is None:
        return ""
    return f"lost in {verdict.lost_finding} of {verdict.had_finding}"


def pairs(verdict: Verdict, plan: Plan) -> str:
    """The pairs a verdict is based on: `5`, or `5 of 12` where the plan may stop before its end."""
    planned = verdict.planned_pairs
    return f"{verdict.pairs} of {planned}" if plan.stop_early and planned else str(verdict.pairs)


def remark(verdict: Verdict) -> str:
    """What else there is to say of a verdict, beginning with what would settle it."""
    more = verdict.more_pairs
    settle = f"{counted(more, 'further pair')} would settle it" if more else ""
    return "; ".join(filter(None, (settle, clean(verdict.note, 240))))


def proven(trial: Trial | None) -> Verdict | None:
    """The verdict to act on: of the treatments that helped, first those that removed the finding
    in every pair that had it, then the one that helped most."""
    helped = [v for v in trial.verdicts if v.word == "helped"] if trial else []
    return max(helped, key=lambda v: (cured(v), v.effect), default=None)


def cured(verdict: Verdict) -> bool:
    """Whether the finding was there in some pair and the treatment removed it in every one."""
    return bool(verdict.had_finding) and verdict.lost_finding == verdict.had_finding


def unit_of(name: str) -> str:
    """The unit of a series or fact as a table shows it: "1" without dimension, "" unknown."""
    entry = meaning_of(name)
    if entry is None:
        return ""
    return "own" if entry.unit.endswith("own") else entry.unit


def unit_in_words(name: str) -> str:
    unit = unit_of(name)
    return {"own": "in its own unit", "1": "dimensionless"}.get(unit, unit)


def axis_label(name: str) -> str:
    """What a series' axis shows: the quantity its name tells, and the unit in words.

    >>> axis_label("lr/adam"), axis_label("latent/model.z/rms"), axis_label("metric/val/psnr")
    ('lr (dimensionless)', 'rms (dimensionless)', 'psnr (in its own unit)')
    >>> axis_label("latent/model.z/batch_std / rms")  # worked out from two series
    'batch_std / rms'
    """
    entry, what = meaning_of(name), name.partition("/")[0]
    if entry is None or not entry.pattern.endswith("*") or what == "metric":
        what = " ".join(word.rpartition("/")[2] or word for word in name[:1000].split(" "))
    what, unit = clean(what, 40), unit_in_words(name)
    return f"{what} ({unit})" if unit else what


def environment(run: Run) -> dict[str, str]:
    """What the run was made with and how it ended."""
    told = {**run.facts_matching("environment/*"), **run.facts_matching("exit/*")}
    return {
        clean(k): scalar(v) if not isinstance(v, str) else clean(v, 500) for k, v in told.items()
    }
