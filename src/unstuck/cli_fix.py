"""`unstuck fix`: from a sick script to a change that is proven to help."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from unstuck.cli_options import ScriptCommand

if TYPE_CHECKING:
    from unstuck.fixing.asked import Asked
    from unstuck.trials.budget import Resources


@click.command(cls=ScriptCommand, name="fix")
@click.option("--out", type=click.Path(path_type=Path), help="Folder; an unfinished one resumes.")
@click.option("--from", "recorded", type=click.Path(), help="A recorded run to diagnose instead.")
@click.option("--list", "listing", is_flag=True, help="Show candidates and cost, try nothing.")
@click.option("--metric", default="", help="The number to judge by (default: the run's own).")
@click.option("--higher", "way", flag_value="higher", help="The metric is meant to rise.")
@click.option("--lower", "way", flag_value="lower", help="The metric is meant to fall.")
@click.option("--margin", type=click.FloatRange(0), default=0.0, help="Differences that matter.")
@click.option(
    "--seeds", "pairs", type=click.IntRange(2, 1000), default=12, show_default=True,
    help="Pairs of the confirmation at most.",
)  # fmt: skip
@click.option(
    "--treatments", type=click.IntRange(1, 50), default=6, show_default=True,
    help="Candidates in the race at most.",
)  # fmt: skip
@click.option("--only", default="", metavar="REMEDY", help="Try this remedy alone.")
@click.option("--runs", type=click.IntRange(1), help="Runs to spend at most, after the first.")
@click.option(
    "--budget", type=click.FloatRange(0, min_open=True), metavar="SECONDS",
    help="Seconds to spend at most, after the first run.",
)  # fmt: skip
@click.option("--against", type=click.Choice(["random"]), help="Let random search compete.")
@click.option(
    "--workers", type=click.IntRange(1), help="Runs at a time (default: cores; on a GPU 1)."
)
@click.option("--ray", default="", metavar="ADDRESS", help="Run on a Ray cluster: auto, host:port.")
@click.option("--gpus", type=click.FloatRange(0), default=0.0, help="Share of a GPU a run takes.")
@click.option("--no-cache", is_flag=True, help="Run everything, even what was run before.")
@click.option("--apply", "applying", is_flag=True, help="Apply the suggested patch if proven.")
@click.option("--html", "html_file", type=click.Path(path_type=Path), help="Write HTML here too.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write JSON here too.")
@click.argument("script", nargs=-1, type=click.UNPROCESSED)
def fix_command(
    script: tuple[str, ...],
    out: Path | None,
    recorded: str | None,
    listing: bool,
    metric: str,
    way: str | None,
    margin: float,
    pairs: int,
    treatments: int,
    only: str,
    runs: int | None,
    budget: float | None,
    against: str | None,
    workers: int | None,
    ray: str,
    gpus: float,
    no_cache: bool,
    applying: bool,
    html_file: Path | None,
    json_file: Path | None,
) -> None:
    """Prove a remedy for an unchanged script: SCRIPT.py ARGS... or -m MODULE ARGS...

    The script is run, diagnosed, and treated by what answers the causes found.

    Candidates race in short paired trials; the winner is confirmed on fresh seeds, and only that
    is claimed. Exit status 0: a remedy is proven, or nothing needs one; 1: nothing is proven;
    2: bad input, or a script that never trained.
    """
    from unstuck.fixing import candidates, written
    from unstuck.fixing.asked import Asked
    from unstuck.fixing.script import Script
    from unstuck.trials import ledger
    from unstuck.trials.budget import Resources

    Script.of(script)
    candidates.check_remedy(only)
    asked = Asked(
        script,
        metric=metric,
        higher=None if way is None else way == "higher",
        margin=margin,
        pairs=pairs,
        treatments=treatments,
        only=only,
        runs=runs,
        budget=budget,
        against=against or "",
        recorded=recorded or "",
    )
    resources = Resources(workers=workers, ray=ray, gpus=gpus, seconds=budget, cache=not no_cache)
    folder = out or written.new_folder(script)
    try:
        with ledger.held(folder):
            status = _fix(asked, resources, folder, listing, applying, html_file, json_file)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"stopped; the same command with --out {folder} goes on") from None
    sys.exit(status)


def _fix(
    asked: "Asked",
    resources: "Resources",
    folder: Path,
    listing: bool,
    applying: bool,
    html_file: Path | None,
    json_file: Path | None,
) -> int:
    """The exit status."""
    from rich.console import Console

    from unstuck.fixed import GOOD
    from unstuck.fixing import fix, written
    from unstuck.fixing.conducted import Conditions
    from unstuck.report import fixed_terminal
    from unstuck.report.terminal import print_line

    console = Console(highlight=False)
    console.rule("1. The script, watched")
    examined = fix.examine(asked, folder)
    recipe = examined.before.run.recipe
    console.rule("2. Diagnosis")
    fixed_terminal.print_brief(examined.diagnosis, console)
    planned = fix.plan(examined, resources.workers)
    if planned.candidates or planned.suggested:
        console.rule(f"3. {len(planned.candidates)} candidates")
        told = planned.candidates, planned.yardstick, planned.suggested
        fixed_terminal.print_plan(*told, recipe, console)
    if planned.cost is not None:
        print_line(console, planned.cost.told)
    if listing:
        return 0
    if planned.cost is not None:
        console.rule("4. Race and confirmation")
    conditions = Conditions(resources, asked.margin, asked.confidence)
    fixed = written.completed(fix.carry_out(planned, conditions), examined)
    if fixed.race and fixed.yardstick:
        fixed_terminal.print_race(fixed.race, fixed.yardstick, console)
    console.rule("5. What is proven")
    fixed_terminal.print_fixed(fixed, recipe, console)
    for line in written.all_of(fixed, examined, html_file, json_file):
        print_line(console, line)
    if applying:
        print_line(console, written.applied(fixed, examined))
    return 0 if fixed.word in GOOD else 1
