"""The pages of the local server as HTML. Every name from a log is escaped and bounded."""

import hashlib
import re
import time
from collections.abc import Sequence

from markupsafe import Markup

from unstuck.live.compare import compared
from unstuck.live.growth import speed
from unstuck.live.heat_map import heat_maps
from unstuck.live.share_plot import share_plots
from unstuck.live.shelf import Row, Shelf
from unstuck.prescribe import prescribe
from unstuck.records import Diagnosis, Run
from unstuck.report import sections, story
from unstuck.report.overview_plot import groups, overlaid
from unstuck.report.page import asset, environment
from unstuck.report.text import clean, counted, number

PACKAGES = ("unstuck.live", "unstuck.report")
MOST_RUNS = 2_000  # rows of the list of runs
MOST_CURVES = 16
MOST_SERIES = 2_000


def script() -> str:
    return asset("unstuck.live", "live.js") + "\n" + asset("unstuck.report", "report.js")


def style() -> str:
    return asset("unstuck.report", "report.css") + "\n" + asset("unstuck.live", "live.css")


def runs(shelf: Shelf, top: str, state: str) -> str:
    """Every run: name, steps, age, whether it is going on, the worst that was found."""
    rows = sorted(shelf.rows(), key=lambda row: (not row.going, -row.changed, row.name))
    told = [f"{sum(r.going for r in rows)} running"] if any(r.going for r in rows) else []
    waiting = sum(not row.read for row in rows)
    told += [f"{waiting} not read yet"] if waiting else []
    return _page(
        "runs_page.html.j2",
        title="runs",
        top=top,
        state=state,
        root=clean(shelf.root),
        rows=rows[:MOST_RUNS],
        left=max(0, len(rows) - MOST_RUNS),
        summary=", ".join([counted(len(rows), "run"), *told]),
        problem=clean(shelf.problem, 500),
        scanned=shelf.scanned,
    )


def run(row: Row, diagnosis: Diagnosis, others: Sequence[Row], top: str, state: str) -> str:
    """One run: what was found with its evidence, curves, loss terms, layers, every series."""
    it = diagnosis.run
    causes, causes_left = sections.causes(diagnosis)
    shown = [g for g in groups(it) if not g[2]]
    axis = story.step_axis(it)
    return _page(
        "run_page.html.j2",
        title=clean(it.name or row.name),
        top=top,
        state=state,
        row=row,
        run=it,
        speed=speed(it),
        others=[other for other in others if other.number != row.number],
        causes=causes,
        causes_left=causes_left,
        checked=story.checked(diagnosis),
        accepted=story.accepted(diagnosis),
        read_as=story.read_as(it),
        unchecked=sections.unchecked(diagnosis),
        proven=None,
        command="",
        treatments=sections.proposals(prescribe(diagnosis), it, None),
        plots=[
            (title, overlaid(title, series, False, axis), [clean(label, 60) for label, _ in series])
            for title, series, _ in shown[:MOST_CURVES]
        ],
        plots_left=max(0, len(shown) - MOST_CURVES),
        shares=share_plots(it),
        maps=heat_maps(it),
        series=[(key_of(name), *cells) for name, cells in _series(it)],
        series_left=max(0, len(it.series) - MOST_SERIES),
        environment=story.environment(it),
        recipe=sections.recipe(it),
        facts=sections.other_facts(it),
    )


def unreadable(row: Row, top: str, state: str) -> str:
    """A run that is there and cannot be read, and why."""
    return _page("unreadable_page.html.j2", title=clean(row.name), top=top, state=state, row=row)


def compare(
    rows: Sequence[Row],
    first: Row | None,
    chosen: tuple[Row, Row] | None,
    diagnoses: tuple[Diagnosis, Diagnosis] | None,
    top: str,
    state: str,
) -> str:
    """Two runs side by side, or the choice of them."""
    return _page(
        "compare_page.html.j2",
        title="compare",
        top=top,
        state=state,
        rows=sorted((r for r in rows if not r.error), key=lambda r: r.name)[:MOST_RUNS],
        first=first,
        chosen=chosen,
        it=compared(*diagnoses) if diagnoses else None,
    )


def series_plot(it: Run, key: str) -> str | None:
    """The plot of one series, found by its key."""
    name = next((name for name in it.series if key_of(name) == key), None)
    if name is None or not len(it.series[name]):
        return None
    return overlaid(clean(name), [("", it.series[name])], False, story.step_axis(it))


def key_of(name: str) -> str:
    """A short word for a series that an address can carry, whatever its name holds."""
    return hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()[:16]


def _series(it: Run) -> list[tuple[str, tuple[str, ...]]]:
    """name -> (name as shown, in the log, role, unit, count, first, last), by name.

    Numbers in names count as numbers: layer 10 comes after layer 9.
    """
    found = []
    for name in sorted(it.series, key=_natural)[:MOST_SERIES]:
        series = it.series[name]
        ends = [number(series.value[i]) for i in (0, -1)] if len(series) else ["", ""]
        logged = clean(story.logged_as(it, name), 60)
        role = clean(it.roles.get(name, ""), 60)
        cells = (clean(name), logged, role, story.unit_of(name), f"{len(series):,}", *ends)
        found.append((name, cells))
    return found


def _natural(name: str) -> list[tuple[int, str]]:
    """Digits by their count first, so that the longer number is the larger one."""
    return [(len(p) if p.isdigit() else 0, p) for p in re.split(r"(\d+)", name[:500])]


def _page(template: str, **told: object) -> str:
    filled = environment(*PACKAGES).get_template(template).render(now=time.time(), **told)
    return Markup(filled)
