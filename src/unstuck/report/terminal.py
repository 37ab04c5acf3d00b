"""A diagnosis in the terminal: readable without colour, at 80 columns, and through a pipe."""

import math
from collections.abc import Iterable, Sequence
from io import StringIO

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from unstuck.records import Diagnosis, Finding, Run, Treatment, Trial
from unstuck.report import story
from unstuck.report.explain import print_explain
from unstuck.report.text import NAME_LENGTH, clean, counted, number

__all__ = ["print_diagnosis", "print_explain", "print_series", "print_trial"]

STYLES = {
    "error": "bold red",
    "warning": "bold yellow",
    "info": "bold blue",
    "helped": "bold green",
    "harmed": "bold red",
    "no difference": "dim",
    "undecided": "yellow",
}


def print_diagnosis(
    diagnosis: Diagnosis, console: Console | None = None, treatments: Sequence[Treatment] = ()
) -> None:
    """The likeliest cause first, its symptoms under it, the rest, what to try."""
    out = console or Console(highlight=False)
    checked = story.checked(diagnosis)
    if not diagnosis.causes:
        _print(out, f"Nothing found: {checked}", style="bold")
    for i, cause in enumerate(diagnosis.causes):
        if i:
            out.print()
        _print_finding(out, cause.finding)
        if cause.symptoms:
            _print(out, "explained by this:", 2, "dim")
            for symptom in cause.symptoms:
                _print_finding(out, symptom, 4, evidence=False)
    if diagnosis.causes:
        out.print()
        _print(out, checked[0].upper() + checked[1:])
    _print_unchecked(out, diagnosis)
    _print_treatments(out, treatments, diagnosis.run)


def print_trial(trial: Trial, console: Console | None = None) -> None:
    """One line per treatment: effect, interval, pairs, the word, what became of the finding."""
    out = console or Console(highlight=False)
    plan = trial.plan
    better = "higher" if plan.higher_is_better else "lower"
    title = "Trial" if plan.name == "trial" else f"Trial {clean(plan.name)}"
    _print(out, f"{title}: {clean(plan.metric)}, {better} is better", style="bold")
    pairs = {v.pairs for v in trial.verdicts}
    _print(out, _terms(trial, pairs), style="dim")
    out.print()
    _print_table(out, _verdicts(trial, pairs))
    for verdict in trial.verdicts:
        if remark := story.remark(verdict):
            _print(out, f"{clean(verdict.treatment.name)}: {remark}", 2)
    for outcome in (o for o in trial.outcomes if o.error):
        told = f"{clean(outcome.arm)}, seed {outcome.seed}, failed: {clean(outcome.error, 500)}"
        _print(out, told, 2, STYLES["error"])


def _terms(trial: Trial, pairs: set[int]) -> str:
    """What the effects are measured against and how sure the intervals are."""
    plan = trial.plan
    told = f"effects against the baseline, {100 * plan.confidence:g} % intervals"
    if len(pairs) == 1:
        told += f", {counted(max(pairs), 'pair')} each"
    if plan.margin:
        told += f", margin {number(plan.margin)} {clean(plan.unit, 30)}".rstrip()
    return told


def _verdicts(trial: Trial, pairs: set[int]) -> Table:
    """The number of pairs has a column only where it differs: 80 columns are few."""
    found = clean(trial.plan.finding, 20) or "finding"
    head = ["treatment", "effect", "interval", "verdict", found]
    numbers = [1, 2]
    if len(pairs) > 1:
        head.insert(3, "pairs")
        numbers.append(3)
    table = _table(*head, numbers=numbers)
    for verdict in trial.verdicts:
        row = [
            Text(clean(verdict.treatment.name)),
            Text(story.effect(verdict, trial.plan.unit)),
            Text(story.interval(verdict)),
            Text(verdict.word, STYLES.get(verdict.word, "")),
            Text(story.lost(verdict)),
        ]
        if len(pairs) > 1:
            row.insert(3, Text(str(verdict.pairs)))
        table.add_row(*row)
    return table


def print_series(run: Run, console: Console | None = None) -> None:
    """Every series with its role, unit, count, first and last value."""
    out = console or Console(highlight=False)
    table = _table("series", "role", "unit", "count", "first", "last", numbers=(3, 4, 5))
    for name, series in sorted(run.series.items()):
        first, last = (series.value[0], series.value[-1]) if len(series) else (math.nan, math.nan)
        table.add_row(
            Text(clean(name)),
            Text(clean(run.roles.get(name, ""), 30)),
            Text(story.unit_of(name)),
            Text(f"{len(series):,}"),
            Text(number(first) if len(series) else ""),
            Text(number(last) if len(series) else ""),
        )
    _print_table(out, table)
    _print(out, f"{counted(len(run.series), 'series', 'series')}, last step {run.last_step:,}")


def _print_finding(out: Console, finding: Finding, indent: int = 0, evidence: bool = True) -> None:
    title, _, message = story.headline(finding).partition(": ")
    style = STYLES.get(finding.severity, "")
    line = Text.assemble((title, style), f": {message}")
    if indent == 0:
        line = Text.assemble((finding.severity, style), " ", line)
    _print(out, line, indent)
    for claimed in finding.evidence[:6] if evidence else ():
        _print(out, f"{clean(claimed.series.name)} {story.claim(claimed)}", indent + 2, "dim")


def _print_unchecked(out: Console, diagnosis: Diagnosis) -> None:
    for missing, codes in story.unchecked_groups(diagnosis):
        _print(out, f"{' '.join(codes)}: no {', '.join(missing)}", 2, "dim")


def _print_treatments(out: Console, treatments: Iterable[Treatment], run: Run) -> None:
    for i, treatment in enumerate(treatments):
        if i == 0:
            out.print()
            _print(out, "What to try")
        change = ", ".join(story.changes(treatment, run.recipe))
        answers = " ".join(clean(code, 20) for code in treatment.answers)
        title = Text.assemble((clean(treatment.name), "bold"), f" ({answers}): {change}")
        _print(out, title, 2)
        _print(out, f"expected: {clean(treatment.expectation, 500)}", 4, "dim")


def _table(*columns: str, numbers: Sequence[int]) -> Table:
    """Columns parted by spaces alone: a box would be garbage in a pipe."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for i, column in enumerate(columns):
        number_like = i in numbers
        table.add_column(
            Text(column),
            justify="right" if number_like else "left",
            no_wrap=i > 0,
            overflow="fold",
        )
    return table


def _print_table(out: Console, table: Table) -> None:
    """In a pipe every row stays one line, however long its name."""
    if out.is_terminal:
        out.print(table)
        return
    wide = Console(file=StringIO(), width=8 * NAME_LENGTH)
    with wide.capture() as rows:
        wide.print(table)
    for row in rows.get().splitlines():
        out.print(Text(row.rstrip()), soft_wrap=True)


def _print(out: Console, line: str | Text, indent: int = 0, style: str = "") -> None:
    """One line, its continuation indented; in a pipe it stays one line, so that grep finds it."""
    text = Text(line) if isinstance(line, str) else line
    text.stylize(style)
    if out.is_terminal:
        out.print(Padding(text, (0, 0, 0, indent), expand=False))
    else:
        out.print(Text.assemble(" " * indent, text), soft_wrap=True)
