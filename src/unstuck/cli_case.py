"""`unstuck case ...`: the reference systems from the command line."""

import os
import sys
from pathlib import Path

import click

from unstuck.cli_options import ScriptCommand, report_options, show, status_of
from unstuck.diagnose import diagnose
from unstuck.source import UnreadableRunError


@click.group(name="case")
def case_group() -> None:
    """The reference systems: list, run, diagnose, prove."""


@case_group.command(name="list")
@click.argument("case", required=False)
def case_list(case: str | None) -> None:
    """Print every case, or every item of CASE."""
    from unstuck import casework

    found = casework.names() if case is None else casework.items(case)
    if not found:
        raise click.ClickException(f"{case} is one model by itself: `unstuck case run {case}`")
    prefix = "" if case is None else f"{case}/"
    for name, about in found.items():
        click.echo(f"{prefix + name:<26} {about}")


@case_group.command(name="run", cls=ScriptCommand)
@click.option("--record", type=click.Path(path_type=Path), help="Run directory.")
@report_options
@click.argument("case", nargs=-1, type=click.UNPROCESSED)
def case_run(
    case: tuple[str, ...],
    record: Path | None,
    html_file: Path | None,
    json_file: Path | None,
    fail_on: str | None,
) -> None:
    """Train CASE watched, then diagnose it: CASE ARGS..., such as course/cnn --seed 1."""
    from unstuck import casework
    from unstuck.watcher import launch

    if not case:
        raise click.UsageError("give a case; `unstuck case list` shows them")
    name, *arguments = case
    words = casework.program(name)
    if {"-h", "--help"} & set(arguments):
        sys.exit(launch.run(launch.python_command(["-m", *words, *arguments]), os.environ))
    if any(word.partition("=")[0] == "--seeds" for word in arguments):
        again = f"python -m {' '.join([*words, *arguments])}"
        raise click.UsageError(f"several seeds are several runs, and one is recorded: `{again}`")
    directory = record or launch.new_directory(name.replace("/", "-"))
    if "--out" not in arguments:
        arguments += ["--out", str(directory / "output")]
    status = casework.watched(name, arguments, directory)
    if status:
        sys.exit(status)
    try:
        run = casework.run_of(directory)
    except UnreadableRunError as error:
        click.echo(f"nothing to diagnose: {error}", err=True)
        return
    diagnosis = diagnose(run)
    show(diagnosis, html_file, json_file, command=f"unstuck case run {' '.join(case)}")
    click.echo(f"recorded in {directory}")
    sys.exit(status_of(diagnosis, fail_on))


@case_group.command(name="diagnose", cls=ScriptCommand)
@click.argument("case", nargs=-1, type=click.UNPROCESSED)
def case_diagnose(case: tuple[str, ...]) -> None:
    """Examine CASE's trained model with the case's own tools: CASE ARGS..."""
    from unstuck import casework
    from unstuck.watcher import launch

    if not case:
        raise click.UsageError("give a case; `unstuck case list` shows them")
    module = casework.part(case[0], "diagnose").__name__
    command = launch.python_command(["-m", module, *case[1:]])
    sys.exit(launch.run(command, os.environ))


@case_group.command(name="prove")
@click.argument("case")
@click.option("--preset", default="notes", show_default=True)
@click.option("--seed", default=0, show_default=True, help="Seed of the run that is diagnosed.")
@click.option("--seeds", default=3, show_default=True, type=click.IntRange(min=2))
@click.option("--out", type=click.Path(path_type=Path), help="Folder; an unfinished one resumes.")
@click.option("--set", "changes", multiple=True, help="KEY=VALUE of the preset's recipe.")
def case_prove(
    case: str, preset: str, seed: int, seeds: int, out: Path | None, changes: tuple[str, ...]
) -> None:
    """Watch CASE, diagnose it, try its treatments in a paired trial, and write a report."""
    from unstuck import casework

    presets = casework.part(case, "recipe").PRESETS
    if preset not in presets:
        raise click.ClickException(f"no preset {preset!r}; there are: {', '.join(presets)}")
    folder = out or Path("runs") / f"prove-{case}-{preset}"
    proof = casework.prove(
        case,
        preset,
        seeds=range(seed, seed + seeds),
        seed=seed,
        out=folder,
        changes=changes,
    )
    click.echo(f"report: {proof.report}")
