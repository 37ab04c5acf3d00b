"""The command `unstuck trial`: a spec, or a command line with alternatives in braces."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from unstuck.cli_options import ScriptCommand
from unstuck.records import Plan

if TYPE_CHECKING:
    from unstuck.trials.subject import Subject

OF_THE_COMMAND = (  # what a spec says itself
    "metric",
    "higher",
    "seeds",
    "margin",
    "unit",
    "confidence",
    "finding",
    "watch",
    "log",
    "changes",
    "cross",
    "all_pairs",
)
DEFAULT_SEEDS = 5


class TrialCommand(ScriptCommand):
    """Options may stand on both sides of a spec, and only before a command."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        i = self.begins(args)
        if i < len(args) and args[i].endswith(".toml"):
            return click.Command.parse_args(self, ctx, args)
        return super().parse_args(ctx, args)


@click.command(cls=TrialCommand, name="trial")
@click.option("--metric", help="The number to compare: printed, recorded or logged by the runs.")
@click.option("--higher/--lower", default=None, help="Which is better (default: by its name).")
@click.option("--seeds", metavar="N|LIST", help="Pairs at most, or seeds 0,1,5 (default: 5).")
@click.option("--margin", type=float, help="Differences this small do not matter.")
@click.option("--unit", help="Unit of the metric.")
@click.option("--confidence", type=float, help="Of the intervals (default: 0.95).")
@click.option("--change", "changes", multiple=True, help="An arm: lr/OPTIMIZER=x0.1[,NAME=VALUE].")
@click.option("--cross", is_flag=True, default=None, help="Every combination of the alternatives.")
@click.option("--watch", is_flag=True, default=None, help="Record and diagnose every run.")
@click.option("--finding", help="The code that a treatment is to remove; implies --watch.")
@click.option("--log", help="Where a run logs the metric: {out}/log.csv; {out} is its own folder.")
@click.option(
    "--all-pairs", is_flag=True, default=None, help="Run every pair, however clear it is."
)
@click.option("--out", type=click.Path(path_type=Path), help="Folder; an unfinished one resumes.")
@click.option("--workers", type=int, help="Runs at a time (default: cores, on a GPU 1).")
@click.option("--ray", metavar="ADDRESS", default="", help="Run on a Ray cluster: auto, HOST:PORT.")
@click.option("--gpus", type=float, default=0.0, help="GPUs of a run there: 1, or a fraction.")
@click.option("--seconds", type=float, help="Time this call may take.")
@click.option("--runs", type=int, help="Runs this call may begin.")
@click.option("--no-cache", is_flag=True, help="Neither use nor keep finished runs.")
@click.option("--dry-run", is_flag=True, help="Show the arms and the cost, and run nothing.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write JSON.")
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="SPEC.toml | COMMAND...")
def trial_command(
    words: tuple[str, ...],
    out: Path | None,
    workers: int | None,
    ray: str,
    gpus: float,
    seconds: float | None,
    runs: int | None,
    no_cache: bool,
    dry_run: bool,
    json_file: Path | None,
    **asked: Any,
) -> None:
    """Try treatments in paired runs and give a verdict on each.

    \b
    unstuck trial SPEC.toml
    unstuck trial --metric val_loss --seeds 5 -- python train.py --lr '{1e-3,2e-4}' --seed '{seed}'

    The first alternative in braces is the baseline; each other one changes that one thing.
    """
    from unstuck.report import terminal
    from unstuck.trials.budget import Resources
    from unstuck.trials.conduct import run_plan

    resources = Resources(workers, ray, gpus, seconds, runs, not no_cache)
    plan, subject = _planned(words, asked)
    if dry_run:
        _show(plan)
        return
    trial = run_plan(plan, subject, out=out, resources=resources)
    terminal.print_trial(trial)
    if json_file:
        from unstuck.report import as_json

        as_json.write_trial(json_file, trial)


def _planned(words: tuple[str, ...], asked: Mapping[str, Any]) -> "tuple[Plan, Subject]":
    """The plan and its subject, of a spec or of a command's words."""
    from unstuck.trials.command_line import plan_of
    from unstuck.trials.spec import read_spec

    given = {name: value for name, value in asked.items() if value not in (None, ())}
    if not words:
        raise click.UsageError("give a SPEC.toml, or a command: unstuck trial --metric NAME -- ...")
    if words[0].endswith(".toml"):
        for name in OF_THE_COMMAND:
            if name in given:
                raise click.UsageError(f"{_flag(name)} is for a command: {words[0]} says it itself")
        if len(words) > 1:
            raise click.UsageError(f"one spec at a time: {words[1]!r} follows {words[0]}")
        return read_spec(words[0])
    if not given.get("metric"):
        raise click.UsageError("--metric is missing: the name of the number to compare")
    if "higher" in given:
        given["higher_is_better"] = given.pop("higher")
    given["stop_early"] = not given.pop("all_pairs", False)
    seeds = _seeds(given.pop("seeds", str(DEFAULT_SEEDS)))
    return plan_of(words, given.pop("metric"), seeds, **given)


def _flag(name: str) -> str:
    return {"changes": "--change", "higher": "--higher/--lower"}.get(
        name, f"--{name.replace('_', '-')}"
    )


def _seeds(text: str) -> int | list[int]:
    """`5` is a count, `0,1,5` are seeds, `3..9` those from 3 to 9."""
    between = re.fullmatch(r"(\d{1,9})\.\.(\d{1,9})", text)
    if between and int(between[1]) <= int(between[2]):
        return list(range(int(between[1]), int(between[2]) + 1))
    try:
        return [int(seed) for seed in text.split(",")] if "," in text else int(text)
    except ValueError:
        raise click.UsageError(f"--seeds {text!r}: give a count, or seeds: 0,1,5 or 3..9") from None


def _show(plan: Plan) -> None:
    from unstuck.trials.cost import cost_of
    from unstuck.trials.plan import arms

    better = "higher" if plan.higher_is_better else "lower"
    click.echo(f"{plan.name}: {plan.metric}, {better} is better; {cost_of(plan)}")
    for arm, recipe in arms(plan).items():
        values = ", ".join(f"{name} = {value}" for name, value in recipe.items())
        click.echo(f"  {arm}: {values}" if values else f"  {arm}")
