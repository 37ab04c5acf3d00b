"""`unstuck tune`: numbers are searched on some seeds, the best of them is proven on others."""

import hashlib
import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from unstuck.cli_options import ScriptCommand
from unstuck.records import Recipe, Run, Treatment

if TYPE_CHECKING:
    from unstuck.fixing.script import Script
    from unstuck.trials.knobs import Knob
    from unstuck.trials.search import Space
    from unstuck.trials.tune import Tuned


@click.command(cls=ScriptCommand, name="tune")
@click.option("--over", multiple=True, metavar="NAME=LOW:HIGH", help="What to turn; repeatable.")
@click.option("--remedy", default="", metavar="NAME", help="Turn what this remedy changes.")
@click.option("--metric", default="", help="The number to judge by (default: the run's own).")
@click.option("--higher", "way", flag_value="higher", help="The metric is meant to rise.")
@click.option("--lower", "way", flag_value="lower", help="The metric is meant to fall.")
@click.option(
    "--margin", type=click.FloatRange(0), default=0.0, help="Differences this small do not matter."
)
@click.option(
    "--suggestions", type=click.IntRange(1, 10_000), default=20, show_default=True,
    help="Settings to try at most.",
)  # fmt: skip
@click.option(
    "--search-seeds", type=click.IntRange(1, 100), default=3, show_default=True,
    help="Runs of each setting, unless it is given up.",
)  # fmt: skip
@click.option(
    "--seeds", "pairs", type=click.IntRange(2, 1000), default=12, show_default=True,
    help="Pairs of the confirmation at most.",
)  # fmt: skip
@click.option("--sampler-seed", type=click.IntRange(0), default=0, help="Of the suggestions.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder; an unfinished one resumes.")
@click.option("--list", "listing", is_flag=True, help="Show what can be turned, search nothing.")
@click.option("--runs", type=click.IntRange(1), help="Runs to spend at most, after the first.")
@click.option(
    "--budget", type=click.FloatRange(0, min_open=True), metavar="SECONDS",
    help="Seconds to spend at most, after the first run; half of them on the search.",
)  # fmt: skip
@click.option(
    "--workers", type=click.IntRange(1), help="Runs at a time (default: cores; on a GPU 1)."
)
@click.option("--ray", default="", metavar="ADDRESS", help="Run on a Ray cluster: auto, host:port.")
@click.option("--gpus", type=click.FloatRange(0), default=0.0, help="Share of a GPU a run takes.")
@click.option("--no-cache", is_flag=True, help="Run everything, even what was run before.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write JSON.")
@click.argument("script", nargs=-1, type=click.UNPROCESSED)
def tune_command(
    script: tuple[str, ...],
    out: Path | None,
    listing: bool,
    runs: int | None,
    budget: float | None,
    workers: int | None,
    ray: str,
    gpus: float,
    no_cache: bool,
    json_file: Path | None,
    **asked: Any,
) -> None:
    """Search numbers for an unchanged script, and prove the best: SCRIPT.py ARGS... or -m MODULE
    ARGS...

    What is turned: --over lr/optimizer=x0.01:x10 (a live change), --over lr=1e-4:0.1 (the script's
    own flag), --over schedule/optimizer=constant,cosine:500; else what the remedies of the
    diagnosis change. Exit status 0: the best of the search helped on fresh seeds; 1: it did not;
    2: bad input, or a script that never trained.
    """
    from unstuck.diagnose import diagnose
    from unstuck.fixing.before import recorded
    from unstuck.fixing.knobs_asked import knobs_asked
    from unstuck.fixing.script import Script
    from unstuck.trials.budget import Resources
    from unstuck.trials.tune import tune
    from unstuck.watcher import launch

    resources = Resources(workers, ray, gpus, budget, runs, not no_cache)
    if not script:
        raise click.UsageError(
            "give a script: unstuck tune --over lr/optimizer=x0.01:x10 train.py ARGS..."
        )
    what = Script.of(script)
    folder = out or launch.new_directory(f"tune-{what.name}")
    diagnosis = diagnose(recorded(what, folder / "before").run)
    if listing:
        _list(diagnosis.run, what)
        return
    knobs = knobs_asked(diagnosis, what, asked["over"], asked["remedy"])
    turned = Treatment("all", "tune", {k.change: _some(k) for k in knobs}, "")
    _check_flags(what, turned)
    subject, baseline = what.command([turned])
    metric, higher = _metric(diagnosis.run, turned, asked["metric"], asked["way"])
    space = _space(knobs, baseline, metric, higher, what, asked)
    tuned = tune(
        space, subject, folder, pairs=asked["pairs"], margin=asked["margin"], resources=resources
    )
    _show(tuned, what, folder)
    if json_file:
        _write(json_file, tuned)
    sys.exit(0 if tuned.word == "helped" else 1)


def _some(knob: "Knob") -> Any:
    return knob.choices[0] if knob.choices else knob.value(knob.low)


def _check_flags(script: "Script", turned: Treatment) -> None:
    if why := script.can(turned):
        raise click.UsageError(why)


def _metric(run: Run, turned: Treatment, metric: str, way: str | None) -> tuple[str, bool]:
    """The number to judge by; a usage error where none means the same throughout the search."""
    from unstuck.fixing import yardstick

    chosen = yardstick.chosen(run, [turned], metric, None if way is None else way == "higher")
    if chosen.kind == "none":
        raise click.UsageError(f"{chosen.why}: give a --metric that can be compared")
    click.echo(f"unstuck: judged by {chosen.metric}: {chosen.why}", err=True)
    return chosen.metric, chosen.higher_is_better


def _space(
    knobs: "tuple[Knob, ...]",
    baseline: Recipe,
    metric: str,
    higher: bool,
    script: "Script",
    asked: dict[str, Any],
) -> "Space":
    from unstuck.trials.search import Space

    return Space(
        knobs,
        baseline,
        metric,
        higher,
        tuple(range(asked["search_seeds"])),
        asked["suggestions"],
        asked["sampler_seed"],
        hashlib.sha256(script.file.read_bytes()).hexdigest() if script.file else "",
    )


def _list(run: Run, script: "Script") -> None:
    from rich.console import Console

    from unstuck.fixing.knobs_asked import own_fields
    from unstuck.report.terminal import print_line
    from unstuck.trials.knobs import knobs_of

    console = Console(highlight=False)
    for knob in (k for k in knobs_of(run) if len(k.choices) != 1):
        ends = (str(_some(knob)), str(knob.value(knob.high) if not knob.choices else ""))
        values = ",".join(map(str, knob.choices)) if knob.choices else ":".join(ends)
        print_line(console, f"--over {knob.change}={values}")
    for field, value in own_fields(script).items():
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            continue
        print_line(console, f"--over {field}=LOW:HIGH (the script's own, now {value})")


def _show(tuned: "Tuned", script: "Script", folder: Path) -> None:
    from rich.console import Console

    from unstuck.report import terminal

    console = Console(highlight=False)
    found = tuned.found
    given_up = f", {found.given_up} of them given up early" if found.given_up else ""
    line = f"Search: {found.suggestions} settings{given_up}, {found.runs} runs, "
    terminal.print_line(console, f"{line}{found.seconds:.0f} s of training")
    if tuned.trial:
        terminal.print_trial(tuned.trial, console)
    terminal.print_line(console, tuned.told[:1].upper() + tuned.told[1:])
    if tuned.word == "helped" and found.best:
        terminal.print_line(console, f"Use it: {_line(script, found.best)}")
    terminal.print_line(console, f"Everything is in {folder}")


def _line(script: "Script", best: Recipe) -> str:
    """The command line that trains with what was found."""
    from unstuck.fixing.script import changed_words

    live = {name: value for name, value in best.items() if "/" in name}
    words = script.with_changes({n: v for n, v in best.items() if n not in live})
    start = ["unstuck", "run", *changed_words(live)] if live else ["python"]
    return shlex.join([*start, *words])


def _write(file: Path, tuned: "Tuned") -> None:
    from unstuck import atomic
    from unstuck.report import as_json

    found = tuned.found
    content = {
        "schema": "unstuck.tune/1",
        "verdict": tuned.word,
        "told": tuned.told,
        "search": {
            "metric": found.space.metric,
            "seeds": list(found.space.seeds),
            "suggestions": found.suggestions,
            "given_up": found.given_up,
            "runs": found.runs,
            "seconds": found.seconds,
            "best": None if found.best is None else dict(found.best),
        },
        "confirmation": as_json.trial_of(tuned.trial) if tuned.trial else None,
    }
    atomic.write_text(file, json.dumps(content, indent=2, allow_nan=False) + "\n")
