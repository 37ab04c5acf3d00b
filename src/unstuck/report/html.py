"""A diagnosis as one self-contained HTML file: no network, works from disk, light and dark."""

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup

from unstuck import atomic
from unstuck.records import Diagnosis, Treatment, Trial
from unstuck.report import sections, story, text
from unstuck.report.overview_plot import overview
from unstuck.report.page import asset, environment
from unstuck.report.pictures import Pictures, embedded
from unstuck.report.trial_plot import forest, pairs_by_seed


def render(
    diagnosis: Diagnosis,
    *,
    trial: Trial | None = None,
    treatments: Sequence[Treatment] = (),
    pictures: Pictures | None = None,
    title: str = "",
    command: str = "",
) -> str:
    """The whole page. `title` defaults to the run's name; `command` is what made the run."""
    run = diagnosis.run
    style, script = asset("unstuck.report", "report.css"), asset("unstuck.report", "report.js")
    plots, plots_left = overview(run)
    causes, causes_left = sections.causes(diagnosis)
    return (
        environment("unstuck.report")
        .get_template("report.html.j2")
        .render(
            title=text.clean(title or run.name or "training run"),
            command=text.clean(command, 500),
            run=run,
            style=Markup(style),  # our own package data, as is the script
            script=Markup(script),
            policy=content_policy(style, script),
            causes=causes,
            causes_left=causes_left,
            checked=story.checked(diagnosis),
            accepted=story.accepted(diagnosis),
            read_as=story.read_as(run),
            unchecked=sections.unchecked(diagnosis),
            proven=story.proven(trial),
            trial=trial,
            verdicts=sections.verdicts(trial) if trial else [],
            seeds=sections.seeds(trial) if trial else None,
            forest=forest(trial) if trial and trial.verdicts else None,
            pairs_by_seed=pairs_by_seed(trial) if trial else None,
            treatments=sections.proposals(treatments, run, trial),
            pictures=pictures,
            grid=embedded(pictures) if pictures else None,
            plots=plots,
            plots_left=plots_left,
            series=sections.series_rows(run),
            environment=story.environment(run),
            recipe=sections.recipe(run),
            facts=sections.other_facts(run),
        )
    )


def write(
    path: Path | str,
    diagnosis: Diagnosis,
    *,
    trial: Trial | None = None,
    treatments: Sequence[Treatment] = (),
    pictures: Pictures | None = None,
    title: str = "",
    command: str = "",
) -> Path:
    """Render into `path`; a reader sees the old file or the new one. Raises OSError."""
    page = render(
        diagnosis,
        trial=trial,
        treatments=treatments,
        pictures=pictures,
        title=title,
        command=command,
    )
    return atomic.write_text(path, page)


def content_policy(style: str, script: str) -> str:
    """A content security policy that allows exactly our own style and script, and no network."""
    return (
        f"default-src 'none'; img-src data:; style-src {_digest(style)}; "
        f"script-src {_digest(script)}; base-uri 'none'; form-action 'none'"
    )


def _digest(content: str) -> str:
    digest = hashlib.sha256(content.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"
