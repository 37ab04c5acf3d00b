"""`unstuck case ...`: the reference systems from the command line."""

import os
import sys
from pathlib import Path
from typing import NoReturn

import click

from unstuck.cli_options import ScriptCommand, report_options, show, status_of, steps_of
from unstuck.diagnose import diagnose
from unstuck.records import Diagnosis
from unstuck.source import UnreadableRunError


class CaseGroup(click.Group):
    """Commands for every case, and `CASE PROGRAM ARGS...` for what one case alone can do."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        found = super().get_command(ctx, cmd_name)
        if found is not None:
            return found
        from unstuck import casework

        if cmd_name not in casework.names():
            return None
        return ScriptCommand(
            cmd_name,
            callback=lambda words: _program(cmd_name, words),
            params=[click.Argument(["words"], nargs=-1, type=click.UNPROCESSED)],
            help=f"Programs of the case {cmd_name} alone: PROGRAM ARGS...",
        )


def _program(case: str, words: tuple[str, ...]) -> None:
    """Run a program of one case, or list them where none is named."""
    from unstuck import casework

    programs = casework.programs(case)
    if not words:
        for name, about in programs.items():
            click.echo(f"{name:<16} {about}")
        return
    if words[0] not in programs:
        known = f"there are: {', '.join(programs)}" if programs else "it has none of its own"
        raise click.ClickException(f"case {case} has no program {words[0]!r}; {known}")
    _as_child((case, *words[1:]), words[0].replace("-", "_"))


@click.group(name="case", cls=CaseGroup)
def case_group() -> None:
    """The reference systems: list, run, diagnose, evaluate, search, prove."""


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
    words = f"unstuck case run {' '.join(case)}"
    diagnosis = _trained(case, record, False)
    if diagnosis is not None:
        show(diagnosis, html_file, json_file, command=words)
        sys.exit(status_of(diagnosis, fail_on))


@case_group.command(name="probe", cls=ScriptCommand)
@click.option("--record", type=click.Path(path_type=Path), help="Run directory.")
@click.option("--at", "probe", default="usual", callback=steps_of, help="Steps, such as 1,200.")
@click.option("--seconds", default=120.0, show_default=True, help="For a case's own subject.")
@report_options
@click.argument("case", nargs=-1, type=click.UNPROCESSED)
def case_probe(
    case: tuple[str, ...],
    record: Path | None,
    probe: bool | list[int],
    seconds: float,
    html_file: Path | None,
    json_file: Path | None,
    fail_on: str | None,
) -> None:
    """Experiment on CASE's live model: CASE ARGS..., such as course/cnn --seed 1.

    A case that names its subject is examined when it is trained; any other while it trains.
    """
    from unstuck import casework

    words = f"unstuck case probe {' '.join(case)}"
    if case and casework.has(case[0], "probe"):
        diagnosis = _examined(case, seconds, html_file, json_file, words)
    else:
        found = _trained(case, record, probe)
        if found is None:
            return
        diagnosis = found
        show(diagnosis, html_file, json_file, command=words)
    sys.exit(status_of(diagnosis, fail_on))


def _examined(
    case: tuple[str, ...],
    seconds: float,
    html_file: Path | None,
    json_file: Path | None,
    words: str,
) -> Diagnosis:
    """A case's own subject, all probes."""
    from unstuck import casework
    from unstuck.cli_probe import with_progress
    from unstuck.examine import chosen
    from unstuck.preflight import decided
    from unstuck.prescribe import prescribe
    from unstuck.report import examination as shown

    subject = casework.part(case[0], "probe").subject(list(case[1:]))
    found = with_progress(subject, chosen(), seconds)
    decision = decided(found)
    shown.print_examination(found, decision)
    if html_file:
        treatments = prescribe(found.diagnosis)
        page = {"treatments": treatments, "title": case[0], "command": words}
        shown.write(html_file, found, decision, **page)
    if json_file:
        shown.write_json(json_file, found, decision)
    return found.diagnosis


def _trained(
    case: tuple[str, ...], record: Path | None, probe: bool | list[int]
) -> Diagnosis | None:
    """Train a case watched; what is found in it, None where there was nothing to watch."""
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
    status = casework.watched(name, arguments, directory, probe)
    if status:
        sys.exit(status)
    try:
        run = casework.run_of(directory)
    except UnreadableRunError as error:
        click.echo(f"nothing to diagnose: {error}", err=True)
        return None
    click.echo(f"recorded in {directory}")
    return diagnose(run)


@case_group.command(name="diagnose", cls=ScriptCommand)
@click.argument("case", nargs=-1, type=click.UNPROCESSED)
def case_diagnose(case: tuple[str, ...]) -> None:
    """Examine CASE's trained model with the case's own tools: CASE ARGS..."""
    _as_child(case, "diagnose")


@case_group.command(name="eval", cls=ScriptCommand)
@click.argument("case", nargs=-1, type=click.UNPROCESSED)
def case_eval(case: tuple[str, ...]) -> None:
    """Print how good a trained CASE is: CASE RUN ARGS..., such as agch runs/agch --at 50."""
    _as_child(case, "evaluate")


@case_group.command(name="search", cls=ScriptCommand)
@click.argument("case", nargs=-1, type=click.UNPROCESSED)
def case_search(case: tuple[str, ...]) -> None:
    """Ask a trained CASE that retrieves: CASE RUN QUERY, such as agch runs/agch "red fruit"."""
    _as_child(case, "search")


def _as_child(case: tuple[str, ...], name: str) -> NoReturn:
    """Run a program of the case with the other words, and end with its exit status."""
    from unstuck import casework
    from unstuck.watcher import launch

    if not case:
        raise click.UsageError("give a case; `unstuck case list` shows them")
    module = casework.part(case[0], name)
    if not hasattr(module, "main"):
        raise click.ClickException(f"case {case[0]} has no program {name}")
    command = launch.python_command(["-m", module.__name__, *case[1:]])
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
