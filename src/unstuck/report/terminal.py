"""A diagnosis in the terminal: readable without colour, at 80 columns, and through a pipe."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from io import StringIO

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from unstuck.records import Diagnosis, Finding, Run, Treatment, Trial
from unstuck.report import story
from unstuck.report.explain import print_explain
from unstuck.report.text import NAME_LENGTH, clean, counted, number

__all__ = ["print_diagnosis", "print_explain", "print_series", "print_table", "print_trial"]

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
        print_line(out, f"Nothing found: {checked}", style="bold")
    for i, cause in enumerate(diagnosis.causes):
        if i:
            out.print()
        print_finding(out, cause.finding)
        if cause.symptoms:
            print_line(out, "explained by this:", 2, "dim")
            for symptom in cause.symptoms:
                print_finding(out, symptom, 4, evidence=False)
    if diagnosis.causes:
        out.print()
        print_line(out, checked[0].upper() + checked[1:])
    if read_as := story.read_as(diagnosis.run):
        print_line(out, read_as, 2, "dim")
    _print_unchecked(out, diagnosis)
    for line in story.accepted(diagnosis):
        print_line(out, f"accepted: {line}", 2, "dim")
    _print_treatments(out, treatments, diagnosis.run)


def print_news(diagnosis: Diagnosis, finding: Finding, console: Console | None = None) -> None:
    """One finding as it comes up in a run that goes on: when, which run, what."""
    out = console or Console(highlight=False)
    at = f"step {diagnosis.run.last_step:,}"
    name = clean(diagnosis.run.name, 40)
    style = STYLES.get(finding.severity, "")
    line = Text.assemble(
        (f"{name}, {at}: ", "dim"), (finding.severity, style), " ", story.headline(finding)
    )
    print_line(out, line)


@contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[int], object]]:
    """A bar on standard error; the value is called with how many more are done."""
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda count: bar.advance(task, count)


def print_trial(trial: Trial, console: Console | None = None) -> None:
    """One line per treatment: effect, interval, pairs, the word, what became of the finding."""
    out = console or Console(highlight=False)
    plan = trial.plan
    better = "higher" if plan.higher_is_better else "lower"
    title = "Trial" if plan.name == "trial" else f"Trial {clean(plan.name)}"
    print_line(out, f"{title}: {clean(plan.metric)}, {better} is better", style="bold")
    pairs = {v.pairs for v in trial.verdicts}
    print_line(out, _terms(trial, pairs), style="dim")
    out.print()
    print_table(out, *_verdicts(trial, pairs))
    for verdict in trial.verdicts:
        if remark := story.remark(verdict):
            print_line(out, f"{clean(verdict.treatment.name)}: {remark}", 2)
    for outcome in (o for o in trial.outcomes if o.error):
        told = f"{clean(outcome.arm)}, seed {outcome.seed}, failed: {clean(outcome.error, 500)}"
        print_line(out, told, 2, STYLES["error"])


def _terms(trial: Trial, pairs: set[int]) -> str:
    """What the effects are measured against and how sure the intervals are."""
    plan = trial.plan
    told = f"effects against the baseline, {100 * plan.confidence:g} % intervals"
    if len(pairs) == 1 and not plan.stop_early:
        told += f", {counted(max(pairs), 'pair')} each"
    if plan.margin:
        told += f", margin {number(plan.margin)} {clean(plan.unit, 30)}".rstrip()
    return told


def _verdicts(trial: Trial, pairs: set[int]) -> tuple[list[str], list[list[Text]], list[int]]:
    """The number of pairs has a column only where it may differ: 80 columns are few."""
    found = clean(trial.plan.finding, 20) or "finding"
    head = ["treatment", "effect", "interval", "verdict", found]
    numbers = [1, 2]
    counted_each = len(pairs) > 1 or trial.plan.stop_early
    if counted_each:
        head.insert(3, "pairs")
        numbers.append(3)
    rows = []
    for verdict in trial.verdicts:
        row = [
            Text(clean(verdict.treatment.name)),
            Text(story.effect(verdict, trial.plan.unit)),
            Text(story.interval(verdict)),
            Text(verdict.word, STYLES.get(verdict.word, "")),
            Text(story.lost(verdict)),
        ]
        if counted_each:
            row.insert(3, Text(story.pairs(verdict, trial.plan)))
        rows.append(row)
    return head, rows, numbers


def print_series(run: Run, console: Console | None = None) -> None:
    """How a log was understood: every series with the log's name for it, its role and its ends."""
    out = console or Console(highlight=False)
    logged = {name: story.logged_as(run, name) for name in run.series}
    renamed = any(logged.values())
    head = ["series", *(["logged as"] if renamed else []), "role", "unit"]
    rows = []
    for name, series in sorted(run.series.items()):
        ends = [number(series.value[i]) for i in (0, -1)] if len(series) else ["", ""]
        cells = [clean(name), *([clean(logged[name], 60)] if renamed else [])]
        cells += [clean(run.roles.get(name, ""), 30), story.unit_of(name), f"{len(series):,}"]
        rows.append([Text(cell) for cell in (*cells, *ends)])
    count = len(head)
    print_table(out, [*head, "count", "first", "last"], rows, range(count, count + 3))
    told = f"{counted(len(run.series), 'series', 'series')}, last step {run.last_step:,}"
    print_line(out, "; ".join(filter(None, (told, story.read_as(run)))))


def print_finding(out: Console, finding: Finding, indent: int = 0, evidence: bool = True) -> None:
    title, _, message = story.headline(finding).partition(": ")
    style = STYLES.get(finding.severity, "")
    line = Text.assemble((title, style), f": {message}")
    if indent == 0:
        line = Text.assemble((finding.severity, style), " ", line)
    print_line(out, line, indent)
    for claimed in finding.evidence[:6] if evidence else ():
        print_line(out, f"{clean(claimed.series.name)} {story.claim(claimed)}", indent + 2, "dim")


def _print_unchecked(out: Console, diagnosis: Diagnosis) -> None:
    for missing, codes in story.unchecked_groups(diagnosis):
        print_line(out, f"{' '.join(codes)}: no {', '.join(missing)}", 2, "dim")
    for missing, codes in story.unchecked_groups(diagnosis, partly=True):
        print_line(out, f"{' '.join(codes)}: not surely without {', '.join(missing)}", 2, "dim")


def _print_treatments(out: Console, treatments: Iterable[Treatment], run: Run) -> None:
    for i, treatment in enumerate(treatments):
        if i == 0:
            out.print()
            print_line(out, "What to try")
        change = ", ".join(story.changes(treatment, run.recipe))
        answers = " ".join(clean(code, 20) for code in treatment.answers)
        title = Text.assemble((clean(treatment.name), "bold"), f" ({answers}): {change}")
        print_line(out, title, 2)
        print_line(out, f"expected: {clean(treatment.expectation, 500)}", 4, "dim")


def print_table(
    out: Console, columns: Sequence[str], rows: Iterable[Sequence[Text]], numbers: Sequence[int]
) -> None:
    """Columns parted by spaces alone: a box would be garbage in a pipe, where rows stay one line.

    `numbers` are the columns set to the right.
    """
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for i, column in enumerate(columns):
        table.add_column(
            Text(column),
            justify="right" if i in numbers else "left",
            no_wrap=0 < i < len(columns) - 1,
            overflow="fold",
        )
    for row in rows:
        table.add_row(*row)
    if out.is_terminal:
        out.print(table)
        return
    wide = Console(file=StringIO(), width=8 * NAME_LENGTH)
    with wide.capture() as lines:
        wide.print(table)
    for line in lines.get().splitlines():
        out.print(Text(line.rstrip()), soft_wrap=True)


def print_line(out: Console, line: str | Text, indent: int = 0, style: str = "") -> None:
    """One line, its continuation indented; in a pipe it stays one line, so that grep finds it."""
    text = Text(line) if isinstance(line, str) else line
    text.stylize(style)
    if out.is_terminal:
        out.print(Padding(text, (0, 0, 0, indent), expand=False))
    else:
        out.print(Text.assemble(" " * indent, text), soft_wrap=True)
