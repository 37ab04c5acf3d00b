"""Many diagnoses as one table, the worst first; the healthy ones counted."""

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from unstuck.records import SEVERITIES, Diagnosis
from unstuck.report import story
from unstuck.report.terminal import STYLES, print_table
from unstuck.report.text import clean, counted

NOTHING = len(SEVERITIES)


def print_runs(diagnoses: Sequence[tuple[Diagnosis, int]], console: Console | None = None) -> None:
    """`diagnoses` with the last step of each run: severity, run, steps, likeliest cause."""
    out = console or Console(highlight=False)
    rows = sorted(
        ((_rank(d), clean(d.run.name), steps, d) for d, steps in diagnoses),
        key=lambda row: row[:2],
    )
    sick = [row for row in rows if row[0] < NOTHING]
    if sick:
        print_table(
            out,
            ("severity", "run", "steps", "likeliest cause"),
            [_cells(*row) for row in sick],
            numbers=(2,),
        )
        out.print()
    counts = [
        counted(n, f"run with {word} at worst", f"runs with {word} at worst")
        for rank, word in enumerate(("an error", "a warning", "an info"))
        if (n := sum(row[0] == rank for row in rows))
    ]
    healthy = counted(len(rows) - len(sick), "run")
    out.print(Text(", ".join([*counts, f"{healthy} without a finding"])), soft_wrap=True)


def _rank(diagnosis: Diagnosis) -> int:
    return min((SEVERITIES.index(f.severity) for f in diagnosis.findings), default=NOTHING)


def _cells(rank: int, name: str, steps: int, diagnosis: Diagnosis) -> list[Text]:
    severity, first = SEVERITIES[rank], diagnosis.causes[0].finding
    more = len(diagnosis.causes) - 1
    told = story.headline(first) + (f" (+{more})" if more else "")
    return [Text(severity, STYLES[severity]), Text(name), Text(f"{steps + 1:,}"), Text(told)]
