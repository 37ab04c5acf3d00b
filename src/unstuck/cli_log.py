"""Commands on logs that lie there already: diagnose, series, sources, watch."""

import json
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from unstuck import baseline, catalog, settings
from unstuck.cli_options import SEVERITY, show, status_of
from unstuck.diagnose import diagnose
from unstuck.load import Place, check_roles, load_all, places, read
from unstuck.policy import Policy, checked_code, judged
from unstuck.records import Severity
from unstuck.source import UnreadableRunError
from unstuck.survey import Surveyed, survey, surveyed

ROLE_HELP = "NAME=ROLE: what a series is for, where its name misleads (`unstuck series` lists)."


def policy_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What to hear of: from the command line, else from unstuck.toml or pyproject.toml."""
    file = click.Path(path_type=Path)
    for option in (
        click.option("--fail-on", type=SEVERITY, help="Exit with 1 on findings this bad."),
        click.option("--baseline", "baseline_file", type=file, help="Accept what this file lists."),
        click.option("--severity", "severities", multiple=True, help="CODE=error|warning|info"),
        click.option("--ignore", multiple=True, help="Codes or families not to look for."),
        click.option("--select", multiple=True, help="Only these codes or families (OPT003, GEN)."),
        click.option("--role", "roles", multiple=True, help=ROLE_HELP),
        click.option("--config", type=file, help="Settings (default: the nearest unstuck.toml)."),
    ):
        command = option(command)
    return command


def policy_of(
    config: Path | None,
    roles: Sequence[str],
    select: Sequence[str],
    ignore: Sequence[str],
    severities: Sequence[str],
    baseline_file: Path | None,
    fail_on: str | None,
) -> Policy:
    """The project's settings, changed by what the command line says."""
    file = config or settings.find(Path.cwd())
    policy = settings.policy_of(file) if file else Policy()
    said = dict(_pair(text, "--severity", "CODE=warning") for text in severities)
    severity: dict[str, Severity] = {
        checked_code(code, "--severity"): settings.severity_of(word, "--severity")
        for code, word in said.items()
    }
    return replace(
        policy,
        select=_codes(select, "--select") or policy.select,
        ignore=policy.ignore + _codes(ignore, "--ignore"),
        severity={**policy.severity, **severity},
        roles={**policy.roles, **roles_of(roles)},
        baseline=baseline.read(baseline_file) if baseline_file else policy.baseline,
        fail_on=settings.severity_of(fail_on, "--fail-on") if fail_on else policy.fail_on,
    )


def roles_of(said: Sequence[str]) -> dict[str, str]:
    pairs = dict(_pair(text, "--role", "NAME=ROLE", last=True) for text in said)
    return settings.roles_of(pairs, "--role")


def _pair(text: str, option: str, form: str, last: bool = False) -> tuple[str, str]:
    name, equals, value = text.rpartition("=") if last else text.partition("=")
    if not (equals and name and value):
        raise click.UsageError(f"{option} {text!r}: give {form}")
    return name, value


def _codes(said: Sequence[str], option: str) -> tuple[str, ...]:
    return tuple(checked_code(code, option) for text in said for code in text.split(","))


@click.command(name="diagnose")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--html", "html_file", type=click.Path(path_type=Path), help="Write HTML.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write JSON.")
@click.option("--write-baseline", type=click.Path(path_type=Path), help="Accept all this finds.")
@click.option(
    "--format", "style", type=click.Choice(["terminal", "github"]), default="terminal",
    help="github: annotations of a workflow.",
)  # fmt: skip
@click.option(
    "--jobs", type=click.IntRange(min=1), help="Processes for many runs (default: cores)."
)
@policy_options
def diagnose_command(
    paths: tuple[Path, ...],
    html_file: Path | None,
    json_file: Path | None,
    write_baseline: Path | None,
    style: str,
    jobs: int | None,
    **asked: Any,
) -> None:
    """Diagnose the runs at PATHS: logs of any known format, or folders of them."""
    policy = policy_of(**asked)
    found = _places(paths)
    runs = read(found[0], policy.roles) if len(found) == 1 else []
    check_roles(runs, roles_of(asked["roles"]) if runs else ())
    if len(runs) == 1 and style == "terminal" and not write_baseline:
        diagnosis = judged(diagnose(runs[0]), policy)
        show(diagnosis, html_file, json_file, command=f"unstuck diagnose {paths[0]}")
        sys.exit(status_of(diagnosis, policy.fail_on))
    if html_file:
        raise click.UsageError("--html is for one run; give the path of one")
    reports = json_file is not None
    if runs:
        all_of_them = [surveyed(found[0].name, runs, policy, reports=reports)]
    else:
        with _progress(len(found)) as advance:
            all_of_them = survey(found, policy, reports=reports, jobs=jobs, done=advance)
    sys.exit(_tell(all_of_them, found, policy, json_file, write_baseline, style))


def _places(paths: Sequence[Path]) -> list[Place]:
    """Where runs lie; those of several paths are named after the whole path."""
    if len(paths) == 1:
        return places(paths[0])
    return [
        replace(place, name=f"{path}/{place.name}" if place.name else str(path))
        for path in paths
        for place in places(path)
    ]


def _tell(
    all_of_them: Sequence[Surveyed],
    found: Sequence[Place],
    policy: Policy,
    json_file: Path | None,
    write_baseline: Path | None,
    style: str,
) -> int:
    """A table sorted by severity, or annotations; the exit status."""
    from unstuck import atomic
    from unstuck.report import github, table

    for one in all_of_them:
        if one.error:
            click.echo(f"unstuck: {' '.join(one.error.split())[:1000]}", err=True)
    pairs = [pair for one in all_of_them for pair in zip(one.diagnoses, one.steps, strict=True)]
    if not pairs:
        raise UnreadableRunError(f"none of {len(found)} logs could be read")
    diagnoses = [diagnosis for diagnosis, _ in pairs]
    if style == "github":
        where = {place.name: place.path for place in found}
        for one in all_of_them:
            for diagnosis in one.diagnoses:
                for line in github.annotations(diagnosis, where[one.place]):
                    click.echo(line)
    else:
        table.print_runs(pairs)
    if json_file:
        told = {
            "schema": "unstuck.reports/1",
            "reports": [r for o in all_of_them for r in o.reports],
        }
        atomic.write_text(json_file, json.dumps(told, allow_nan=False) + "\n")
    if write_baseline:
        count = baseline.write(write_baseline, diagnoses)
        click.echo(f"unstuck: {count} findings written to {write_baseline}", err=True)
        return 0
    return max(status_of(diagnosis, policy.fail_on) for diagnosis in diagnoses)


def _progress(total: int) -> AbstractContextManager[Callable[[int], object]]:
    """A bar on standard error where there is much to do and somebody looks."""
    if total < 2 or not sys.stderr.isatty():
        return nullcontext(lambda count: None)
    from unstuck.report.terminal import progress

    return progress("reading and diagnosing", total)


@click.command(name="series")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--role", "roles", multiple=True, help="NAME=ROLE: as for `unstuck diagnose`.")
def series_command(path: Path, as_json: bool, roles: Sequence[str]) -> None:
    """Print every series of the run at PATH, and how it was read."""
    from unstuck.report import as_json as report_json
    from unstuck.report import terminal
    from unstuck.report.text import clean

    runs = load_all(path, said := roles_of(roles))
    check_roles(runs, said)
    for i, run in enumerate(runs):
        if as_json:
            click.echo(report_json.series_dumps(run))
        else:
            if len(runs) > 1:
                click.echo(("\n" if i else "") + f"{clean(run.name)}:")
            terminal.print_series(run)


@click.command(name="sources")
def sources_command() -> None:
    """List the log formats that can be read, in the order in which they are tried."""
    for source in catalog.sources():
        lead = source.page.partition("\n")[0].partition(": ")[2]
        click.echo(f"{source.name:16} {lead.rstrip('.')}")


@click.command(name="watch")
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "--every", type=click.FloatRange(min=0.05), default=5.0, help="Seconds between looks."
)
@click.option(
    "--until-idle", type=click.FloatRange(min=0.0), help="End after so many quiet seconds."
)
@policy_options
def watch_command(path: Path, every: float, until_idle: float | None, **asked: Any) -> None:
    """Follow the growing log at PATH and print only what is new.

    With --fail-on it ends with 1 at the first finding this bad: a guard for a night's run.
    """
    from unstuck.follow import follow
    from unstuck.report import terminal

    policy = policy_of(**asked)
    if not path.exists():
        click.echo(f"unstuck: waiting for {path}", err=True)
    try:
        for diagnosis, new in follow(path, policy, every=every, idle=until_idle):
            for finding in new:
                terminal.print_news(diagnosis, finding)
            if status_of(diagnosis, policy.fail_on):
                sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
