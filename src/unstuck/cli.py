"""The command line: one function a command.

Exit status: 0 all well; 1 findings at or above `--fail-on`; 2 bad input, in one clear line.
A watched script keeps its own exit status.
"""

import importlib.util
import sys
from pathlib import Path

import click

from unstuck import catalog
from unstuck.changes import unmet
from unstuck.cli_case import case_group
from unstuck.cli_export import export_command
from unstuck.cli_fix import fix_command
from unstuck.cli_live import run_with_live_view, serve_command
from unstuck.cli_log import diagnose_command, series_command, sources_command, watch_command
from unstuck.cli_options import ScriptCommand, probe_option, report_options, show, status_of
from unstuck.cli_probe import preflight_command, probe_command, recover_command
from unstuck.cli_trial import trial_command
from unstuck.cli_tune import tune_command
from unstuck.diagnose import diagnose
from unstuck.records import Scalar
from unstuck.source import UnreadableRunError


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="unstuck")
def main() -> None:
    """Find out why a training run is stuck, name the cause, and prove the fix."""


@main.command(cls=ScriptCommand, name="run")
@click.option("--out", type=click.Path(path_type=Path), help="Run directory (default: a new one).")
@click.option("--latent", "latents", multiple=True, help="A module whose output is a code.")
@click.option("--everything", is_flag=True, help="Also take the measurements that cost more.")
@click.option(
    "--budget",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.02,
    show_default=True,
    help="Share of the time that looking closely may take.",
)
@click.option("--live", is_flag=True, help="Show the run in the terminal while it runs.")
@click.option(
    "--change",
    "changes",
    multiple=True,
    help="Alter the live run: lr/OPTIMIZER=x0.1, clip/OPTIMIZER=1, weight/LOSS/TERM=2 ...",
)
@probe_option
@report_options
@click.argument("script", nargs=-1, type=click.UNPROCESSED)
def run_command(
    script: tuple[str, ...],
    out: Path | None,
    latents: tuple[str, ...],
    everything: bool,
    budget: float,
    live: bool,
    changes: tuple[str, ...],
    probe: bool | list[int],
    html_file: Path | None,
    json_file: Path | None,
    fail_on: str | None,
) -> None:
    """Watch an unchanged script (SCRIPT.py ARGS... or -m MODULE ARGS...), then diagnose it."""
    from unstuck.casework import run_of
    from unstuck.watcher import launch

    name = _script_name(script)
    directory = out or launch.new_directory(name)
    if (directory / "run.sqlite").exists():
        raise click.ClickException(f"{directory} already holds a run; give another --out")
    arguments = list(script[2:] if script[0] == "-m" else script[1:])
    asked = _pairs(changes)
    env = launch.environment(
        directory,
        asked,
        name,
        recipe=launch.recipe_of(arguments),
        latents=latents,
        everything=everything,
        budget=budget,
        probe=probe,
    )
    command = launch.python_command(script)
    status = run_with_live_view(command, env, directory, name) if live else launch.run(command, env)
    try:
        diagnosis = diagnose(run_of(directory))
    except UnreadableRunError as error:
        click.echo(f"unstuck: {error}", err=True)
        sys.exit(status or 2)
    if status:
        click.echo(f"unstuck: {name} ended with exit status {status}; up to then:", err=True)
    show(diagnosis, html_file, json_file, to_stderr=True, command=f"unstuck run {name}")
    if problem := unmet(asked, [diagnosis.run]):
        click.echo(f"unstuck: {problem}", err=True)
    click.echo(f"unstuck: recorded in {directory}", err=True)
    sys.exit(status or status_of(diagnosis, fail_on))


@main.command(name="explain")
@click.argument("code")
def explain_command(code: str) -> None:
    """Show the page of a pathology (COL004, or its name), remedy, probe or log format."""
    from unstuck.report.explain import print_explain

    for detector in catalog.detectors():
        if code.upper() == detector.code or code.lower() == detector.name:
            print_explain(detector.page)
            return
    for remedy in catalog.remedies():
        if code.lower() == remedy.name:
            print_explain(remedy.page)
            return
    for source in catalog.sources():
        if code.lower() == source.name:
            print_explain(source.page)
            return
    if importlib.util.find_spec("torch"):  # the pages of probes come with what they need
        for probe in catalog.probes():
            if code.lower() == probe.name:
                print_explain(probe.page)
                return
    codes = ", ".join(d.code for d in catalog.detectors())
    raise click.ClickException(
        f"no pathology, remedy, probe or log format is called {code!r}; codes: {codes}"
    )


def _script_name(script: tuple[str, ...]) -> str:
    from unstuck.watcher import launch

    if not script:
        raise click.UsageError("give a script: unstuck run train.py ARGS...")
    if script[0] == "-m":
        if len(script) < 2:
            raise click.UsageError("-m needs a module: unstuck run -m package.train ARGS...")
    elif not Path(launch.program_file(script[0])).is_file():
        raise click.ClickException(f"there is no script {script[0]}")
    return launch.name_of(script)


def _pairs(changes: tuple[str, ...]) -> dict[str, Scalar]:
    found: dict[str, Scalar] = {}
    for change in changes:
        name, equals, value = change.partition("=")
        if not equals:
            raise click.UsageError(f"--change {change!r}: give NAME=VALUE")
        found[name] = value
    return found


for command in (
    export_command,
    diagnose_command,
    series_command,
    sources_command,
    watch_command,
    serve_command,
    probe_command,
    preflight_command,
    recover_command,
    fix_command,
    tune_command,
    case_group,
    trial_command,
):
    main.add_command(command)


def entry() -> None:
    """The `unstuck` command: bad input ends in one line and exit status 2."""
    try:
        main(standalone_mode=False)
    except click.exceptions.Exit as done:
        sys.exit(done.exit_code)
    except click.Abort as aborted:
        click.echo(f"unstuck: {aborted.__cause__ or 'interrupted'}", err=True)
        sys.exit(130)
    except (click.ClickException, ValueError, OSError) as error:
        text = error.format_message() if isinstance(error, click.ClickException) else str(error)
        click.echo(f"unstuck: {' '.join(text.split())[:1000]}", err=True)
        sys.exit(2)
