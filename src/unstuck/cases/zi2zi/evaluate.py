"""How near the characters of trained runs are to the real ones that were held out, in tables.

    unstuck case eval zi2zi runs/zi2zi --baselines
    unstuck case eval zi2zi runs/seed-* --ocr 200 --json figures.json

A figure stands with all it depends on: characters, size, fonts. L1 (0 to 1), SSIM and the
perceptual distance are means over pairs of pictures; Frechet and kernel distance compare the two
sets, and see features of MobileNetV2. Several runs of one form are a mean over seeds and half its
95 % t interval.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy import stats
from torch import Tensor

from unstuck.atomic import write_text
from unstuck.cases.zi2zi import legibility, perception
from unstuck.cases.zi2zi.checkpoint import NotSavedError
from unstuck.cases.zi2zi.held_out import HeldOut, fonts, form, read
from unstuck.cases.zi2zi.metrics import l1, ssim
from unstuck.cases.zi2zi.recipe import Scalar
from unstuck.data.package import PackageError

CONFIDENCE = 0.95
WIDTH = 160  # letters, where no terminal says how wide it is
BASELINES = ("copy", "nearest", "l1")
SHOWN = {  # figure -> digits, column
    "l1": (4, "L1"),
    "ssim": (3, "SSIM"),
    "perceptual": (3, "perceptual"),
    "frechet": (1, "Frechet"),
    "kernel": (3, "kernel"),
    "read": (2, "read"),
    "read_of_real": (2, "real read"),
    "legibility": (2, "legibility"),
    "d_accuracy": (2, "D accuracy"),
}
CAPTION = (
    "L1 of 0 to 1; perceptual, Frechet and kernel distance by MobileNetV2 (no FID); "
    "read: share of characters a recogniser reads, real read: of the real ones, legibility: their "
    "ratio; D accuracy: of the discriminator on held-out pairs, mean of the second half"
)

Figures = dict[str, float]
Group = tuple[str, str, int, int]  # method, fonts, size, characters


@dataclass(frozen=True)
class Measured:
    """The figures of one method on one run's held-out characters; `group` is what seeds share."""

    method: str
    fonts: str
    size: int
    characters: int
    seed: int
    figures: Figures
    intervals: dict[str, tuple[float, float]]  # over characters

    @property
    def group(self) -> Group:
        return self.method, self.fonts, self.size, self.characters


def measured(run: HeldOut, method: str, drawn: Tensor, real: Tensor, ocr: int) -> Measured:
    """Every figure of pictures `drawn`; `real` are the pooled features of the run's target."""
    values = {"l1": l1(drawn, run.target), "ssim": ssim(drawn, run.target)}
    values["perceptual"] = perception.distance(drawn, run.target)
    found = {name: float(value.mean()) for name, value in values.items()}
    intervals = {}
    if len(run) > 1:
        intervals = {name: _interval(value.double().tolist()) for name, value in values.items()}
        seen = perception.pooled(drawn)
        found["frechet"] = perception.frechet_distance(seen, real)
        found["kernel"] = perception.kernel_distance(seen, real)
    if ocr:
        read_ = legibility.legibility(drawn, run.target, run.characters, ocr)
        found |= {"read": float(read_.drawn.mean()), "read_of_real": float(read_.real.mean())}
        found |= {"legibility": read_.ratio, "read_characters": float(len(read_.drawn))}
        found["read_milliseconds"] = read_.milliseconds
        intervals |= {"read": legibility.wilson(read_.drawn), "legibility": read_.interval()}
        intervals["read_of_real"] = legibility.wilson(read_.real)
    return Measured(method, fonts(run.recipe), run.size, len(run), run.seed, found, intervals)


def _interval(values: Sequence[float]) -> tuple[float, float]:
    """t interval of the mean of two values or more."""
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1) * stats.sem(values))
    mean = float(np.mean(values))
    return mean - half, mean + half


def all_measured(runs: Sequence[HeldOut], options: argparse.Namespace) -> list[Measured]:
    """The runs' own figures and the baselines that are asked for, each once for each split."""
    found: list[Measured] = []
    truths: dict[bytes, Tensor] = {}  # several runs of one split have one truth
    done: set[object] = set()
    for run in runs:
        truth = run.target.numpy().tobytes()
        if truth not in truths:
            truths[truth] = perception.pooled(run.target)
        one = measured(run, form(run.recipe), run.drawn, truths[truth], options.ocr)
        if run.d_accuracy is not None:
            one.figures["d_accuracy"] = run.d_accuracy
        found.append(one)
        for name in options.baseline:
            once = name, run.seed, truth, _budget(run) if name == "l1" else None
            if once not in done:
                done.add(once)
                method, drawn = baseline(name, run, options)
                if name == "l1" and len({_budget(r) for r in runs}) > 1:
                    method += f" of {form(run.recipe)}"
                found.append(measured(run, method, drawn, truths[truth], options.ocr))
    return found


def _budget(run: HeldOut) -> tuple[Scalar, ...]:
    """All that the network without a game depends on."""
    from unstuck.cases.zi2zi.baselines import l1_alone

    return tuple(l1_alone(run.recipe).flat().values())


def baseline(name: str, run: HeldOut, options: argparse.Namespace) -> tuple[str, Tensor]:
    """What it is called, and its pictures of the run's characters; what is chosen is said."""
    if name == "copy":
        return "copy source", run.source
    from unstuck.cases.zi2zi import baselines

    if name == "l1":
        where = run.folder / "l1-alone"
        print(f"{baselines.L1_ALONE}: {where}, as many updates as the run had", file=sys.stderr)
        return baselines.L1_ALONE, baselines.l1_trained(run, say=sys.stderr.isatty()).drawn
    found = baselines.nearest(run, options.font)
    for font, why in found.left_out.items():
        print(f"{font} is left out: it {why}", file=sys.stderr)
    for style, (font, far) in found.chosen.items():
        print(f"nearest font of style {style}: {font}, L1 {far:.3f} in training", file=sys.stderr)
    return baselines.NEAREST, found.pictures


def groups(found: Sequence[Measured]) -> dict[Group, list[Measured]]:
    """What differs in nothing but the seed; ValueError where a seed is there twice."""
    grouped: dict[Group, list[Measured]] = {}
    for one in found:
        grouped.setdefault(one.group, []).append(one)
    for (method, *_), members in grouped.items():
        seeds = [one.seed for one in members]
        if len(set(seeds)) < len(seeds):
            raise ValueError(f"two runs of {method} have one seed: give one of them")
    return grouped


def tables(found: Sequence[Measured]) -> list[Table]:
    """A table for all that is drawn of the same fonts, size and number of characters."""
    apart: dict[tuple[str, int, int], list[list[Measured]]] = {}
    for (_, drawn_with, size, characters), members in groups(found).items():
        apart.setdefault((drawn_with, size, characters), []).append(members)
    return [_table(rows) for rows in apart.values()]


def _table(methods: Sequence[Sequence[Measured]]) -> Table:
    """A row for each method."""
    one = methods[0][0]
    title = f"{one.characters} held-out characters, {one.size} px, {one.fonts}"
    table = Table(title=title, title_justify="left", caption=CAPTION, caption_justify="left")
    table.add_column("method")
    table.add_column("seeds", justify="right")
    shown = [name for name in SHOWN if any(name in m.figures for row in methods for m in row)]
    for name in shown:
        table.add_column(SHOWN[name][1], justify="right", no_wrap=True)
    for members in methods:
        cells = [cell(members, name) for name in shown]
        table.add_row(members[0].method, str(len(members)), *cells)
    return table


def cell(members: Sequence[Measured], name: str) -> str:
    """Mean over seeds and half its interval; for one seed legibility's, over characters."""
    values = [one.figures[name] for one in members if name in one.figures]
    if not values:
        return "-"
    digits = SHOWN[name][0]
    text = f"{np.mean(values):.{digits}f}"
    if len(values) > 1:
        low, high = _interval(values)
        return f"{text}\n± {(high - low) / 2:.{digits}f}"
    if name == "legibility":
        low, high = members[0].intervals[name]
        return f"{text}\n({low:.{digits}f} to {high:.{digits}f})"
    return text


def evaluate(runs: Sequence[HeldOut], options: argparse.Namespace) -> dict[str, Any]:
    """Prints the table; the figures, run by run."""
    found = all_measured(runs, options)
    console = Console(width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else WIDTH)
    for table in tables(found):
        console.print(table)
    if options.ocr:
        print(said(found))
    return {"figures": [asdict(one) for one in found]}


def said(found: Sequence[Measured]) -> str:
    """On how many characters legibility rests, and what it takes."""
    counts = sorted({int(one.figures["read_characters"]) for one in found})
    took = np.mean([one.figures["read_milliseconds"] for one in found])
    n = " or ".join(map(str, counts))
    return f"legibility: {n} characters of each run, {took:.1f} ms for one on one core"


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        if options.ocr < 0:
            raise ValueError("--ocr needs a number of characters, or 0 for none")
        if options.baselines:
            options.baseline = list(BASELINES)
        told = evaluate([read(folder) for folder in options.runs], options)
        if options.json:
            write_text(options.json, json.dumps(told, indent=1) + "\n")
    except (OSError, ValueError, PackageError, NotSavedError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    about = (__doc__ or "").partition("\n")[0]
    options = argparse.ArgumentParser("python -m unstuck.cases.zi2zi.evaluate", description=about)
    options.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="what a training left")
    options.add_argument(
        "--baselines", action="store_true", help="all of them; L1 alone is trained once for a run"
    )
    options.add_argument(
        "--baseline", action="append", default=[], choices=BASELINES, help="this one; repeatable"
    )
    options.add_argument(
        "--font",
        action="append",
        metavar="FONT",
        help="for the nearest one; default: the cached",
    )
    n = legibility.SUBSET
    options.add_argument(
        "--ocr",
        type=int,
        default=n,
        metavar="N",
        help=f"characters that are read; default {n}",
    )
    options.add_argument("--json", type=Path, metavar="FILE", help="every figure of every run")
    return options


if __name__ == "__main__":
    sys.exit(main())
