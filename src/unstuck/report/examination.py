"""What probes found, shown: in the terminal, as a page with plots, as JSON."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup
from rich.console import Console
from rich.text import Text

from unstuck import atomic, catalog
from unstuck.experiment import Bars, Curve, Examination, HeatMap, Listing, Picture
from unstuck.preflight import Decision
from unstuck.records import Scalar, Treatment
from unstuck.report import as_json, probe_plot, sections
from unstuck.report.html import content_policy
from unstuck.report.page import asset, environment
from unstuck.report.terminal import print_finding, print_line
from unstuck.report.text import clean, counted, scalar

SCHEMA = "unstuck.probes/1"
MOST_ROWS = 200  # of a table; a page is for reading
STYLES = {"go": "bold green", "no-go": "bold red", "no answer": "bold yellow"}


def print_examination(
    examination: Examination, decision: Decision | None = None, console: Console | None = None
) -> None:
    """What each probe says, what was found in it, what was not probed; then go or no-go."""
    out = console or Console(highlight=False)
    for name, result in examination.results.items():
        took = f"{examination.seconds.get(name, 0.0):.1f} s"
        print_line(out, Text.assemble((clean(name), "bold"), (f"  {took}", "dim")))
        for line in result.said:
            print_line(out, clean(line, 500), 2)
        if not result.said:
            for fact, value in list(result.facts.items())[:8]:
                print_line(out, f"{clean(fact)} {scalar(value)}", 2)
    for name, reason in examination.left_out.items():
        print_line(out, f"{clean(name)} not probed: {clean(reason, 300)}", style="dim")
    for cause in examination.diagnosis.causes:
        out.print()
        print_finding(out, cause.finding)
        for symptom in cause.symptoms:
            print_finding(out, symptom, 4, evidence=False)
    if decision is not None:
        out.print()
        print_line(out, _headline(decision), style=STYLES[decision.word])
        for line in (*decision.reasons, *decision.warnings):
            print_line(out, clean(line, 300), 2)


def _headline(decision: Decision) -> str:
    if decision.go is None:
        return "No answer: nothing could be probed"
    if not decision.go:
        return f"No-go: {counted(len(decision.reasons), 'reason')} not to start yet"
    if decision.warnings:
        return f"Go, with {counted(len(decision.warnings), 'warning')}"
    return "Go: no reason found not to start"


def page(
    examination: Examination,
    decision: Decision,
    *,
    treatments: Sequence[Treatment] = (),
    title: str = "",
    command: str = "",
) -> str:
    """The whole page: the answer, its evidence, every probe with its plots."""
    style, script = asset("unstuck.report", "report.css"), asset("unstuck.report", "report.js")
    diagnosis = examination.diagnosis
    return (
        environment("unstuck.report")
        .get_template("examination.html.j2")
        .render(
            title=clean(title or diagnosis.run.name or "model"),
            command=clean(command, 500),
            style=Markup(style),  # our own package data, as is the script
            script=Markup(script),
            policy=content_policy(style, script),
            decision=decision,
            headline=_headline(decision),
            causes=sections.causes(diagnosis)[0],
            treatments=sections.proposals(treatments, diagnosis.run, None),
            probes=[_probe(examination, name) for name in examination.results],
            left_out=[(clean(n), clean(r, 500)) for n, r in examination.left_out.items()],
            seconds=f"{sum(examination.seconds.values()):.1f}",
            facts=sections.other_facts(diagnosis.run),
        )
    )


def write(path: Path | str, examination: Examination, decision: Decision, **more: Any) -> Path:
    """Render into `path`; a reader sees the old file or the new one. Raises OSError."""
    return atomic.write_text(path, page(examination, decision, **more))


def _probe(examination: Examination, name: str) -> dict[str, object]:
    result = examination.results[name]
    return {
        "name": clean(name),
        "about": _about(name),
        "seconds": f"{examination.seconds.get(name, 0.0):.1f}",
        "said": [clean(line, 500) for line in result.said],
        "pictures": [_drawn(picture) for picture in result.pictures],
    }


def _about(name: str) -> str:
    """What a probe asks: the first line of its page."""
    found = next((p.page for p in catalog.probes() if p.name == name), "")
    return found.strip().partition("\n")[0].partition(": ")[2].rstrip(".")


def _drawn(picture: Picture) -> dict[str, object]:
    plot: Markup | None = None
    rows: list[list[str]] | None = None
    columns: tuple[str, ...] = ()
    left = 0
    if isinstance(picture, Curve):
        plot = probe_plot.curve(picture)
    elif isinstance(picture, Bars):
        plot = probe_plot.bars(picture)
    elif isinstance(picture, HeatMap):
        plot = probe_plot.heat_map(picture)
    elif isinstance(picture, Listing):
        columns = tuple(clean(c, 60) for c in picture.columns)
        rows = [[_cell(cell) for cell in row] for row in picture.rows[:MOST_ROWS]]
        left = max(0, len(picture.rows) - MOST_ROWS)
    title = clean(picture.title)
    return {"title": title, "plot": plot, "rows": rows, "columns": columns, "left": left}


def _cell(value: Scalar) -> str:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return f"{value:,}" if whole else scalar(value)


def to_dict(examination: Examination, decision: Decision) -> dict[str, Any]:
    """Plain dicts, lists, text, numbers; what is not finite as text."""
    return {
        "schema": SCHEMA,
        "decision": decision.word,
        "reasons": [clean(r, 500) for r in decision.reasons],
        "warnings": [clean(w, 500) for w in decision.warnings],
        "probes": {
            clean(name): {
                "seconds": round(examination.seconds.get(name, 0.0), 3),
                "said": [clean(line, 500) for line in result.said],
                "facts": as_json.scalars(result.facts),
            }
            for name, result in examination.results.items()
        },
        "left_out": {clean(n): clean(r, 500) for n, r in examination.left_out.items()},
        "diagnosis": as_json.to_dict(examination.diagnosis),
    }


def write_json(path: Path | str, examination: Examination, decision: Decision) -> Path:
    """Write into `path`; a reader sees the old file or the new one. Raises OSError."""
    told = json.dumps(to_dict(examination, decision), indent=2, allow_nan=False) + "\n"
    return atomic.write_text(path, told)
