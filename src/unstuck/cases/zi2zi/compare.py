"""Two recipes side by side: paired differences on the same held-out characters, and pictures.

    unstuck case zi2zi compare notes repaired --seeds 3 --out runs/notes-repaired
    unstuck case zi2zi compare runs/a runs/b
    unstuck case zi2zi compare notes notes,lr_d=1e-4 --set source=A.ttf --set target=B.ttf

A and B are presets, presets with changes, or folders of finished runs; `--set` changes both. What
is not trained yet is trained in the folder, and a comparison that was broken off goes on. With one
seed an interval is over characters, and says nothing of other seeds; with several it is over seeds.
"""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy import stats
from torch import Tensor

from unstuck.case_options import changes_of
from unstuck.cases.zi2zi import checkpoint, legibility, perception
from unstuck.cases.zi2zi.held_out import FILE, HeldOut, fonts, form, read
from unstuck.cases.zi2zi.metrics import l1, ssim
from unstuck.cases.zi2zi.recipe import PRESETS, Recipe, made
from unstuck.cases.zi2zi.sheet import sheet
from unstuck.cases.zi2zi.train import bytes_of, train
from unstuck.data.package import PackageError

CONFIDENCE = 0.95
WIDTH = 120  # letters, where no terminal says how wide it is
SHOWN = 10  # characters of the picture
FIGURES = {  # figure -> digits, whether more is better
    "L1": (4, False),
    "SSIM": (4, True),
    "perceptual": (4, False),
    "read": (3, True),
    "Frechet": (2, False),
    "kernel": (4, False),
}
OF_SETS = ("Frechet", "kernel")  # no figure of a single character

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Side:
    """One of the two: what it is called, its recipe, and a run of it that is there already."""

    name: str
    recipe: Recipe
    run: HeldOut | None = None


def side(words: str, changes: Mapping[str, object]) -> Side:
    """A preset, `preset,key=value,...` or a folder; ValueError says what else it could be."""
    name, *own = words.split(",")
    if not own and ((Path(words) / FILE).is_file() or (Path(words) / "output" / FILE).is_file()):
        run = read(Path(words))
        recipe = made({**run.recipe.flat(), **changes})
        return Side(form(recipe), recipe, run if recipe == run.recipe else None)
    if name not in PRESETS:
        known = ", ".join(PRESETS)
        raise ValueError(f"{words!r} is no folder of a finished run, and no preset ({known})")
    recipe = made({**PRESETS[name].flat(), **changes, **changes_of(own)})
    return Side(form(recipe), recipe)


def trained(one: Side, seed: int, folder: Path) -> HeldOut:
    """The run of a side with a seed, trained in `folder` where it is not there."""
    if one.run is not None and one.run.seed == seed:
        return one.run
    if not (folder / checkpoint.METRICS).is_file():
        print(f"{one.name}, seed {seed}: trains in {folder}", file=sys.stderr)
        train(one.recipe, seed, folder, say=sys.stderr.isatty(), resume=True)
    found = read(folder)
    if found.recipe != one.recipe or found.seed != seed:
        raise ValueError(f"{folder} is of another recipe or seed: take another folder with --out")
    return found


def figures(run: HeldOut, ocr: int) -> dict[str, Floats]:
    """A value for each character (n,), and for sets of them one (1,)."""
    found = {
        "L1": l1(run.drawn, run.target),
        "SSIM": ssim(run.drawn, run.target),
        "perceptual": perception.distance(run.drawn, run.target),
    }
    values = {name: value.double().numpy() for name, value in found.items()}
    if len(run) > 1:
        seen, real = perception.pooled(run.drawn), perception.pooled(run.target)
        values["Frechet"] = np.array([perception.frechet_distance(seen, real)])
        values["kernel"] = np.array([perception.kernel_distance(seen, real)])
    if ocr:
        right = legibility.legibility(run.drawn, run.target, run.characters, ocr).drawn
        values["read"] = right.astype(np.float64)
    return values


def alike(a: HeldOut, b: HeldOut) -> None:
    """ValueError where the two are not of the same pictures."""
    if a.characters != b.characters or a.size != b.size or not torch.equal(a.styles, b.styles):
        raise ValueError(
            f"{a.folder} and {b.folder} have not held out the same characters: fonts, charset, "
            "size, held_out and seed have to be the same"
        )
    if not (torch.equal(a.source, b.source) and torch.equal(a.target, b.target)):
        raise ValueError(
            f"{a.folder} and {b.folder} draw the same characters differently: fonts, char_size and "
            "offsets have to be the same"
        )


@dataclass(frozen=True)
class Difference:
    """B less A of one figure; the interval is None where there is nothing to rest it on."""

    a: float
    b: float
    interval: tuple[float, float] | None

    def verdict(self, more_is_better: bool) -> str:
        if self.interval is None:
            return ""
        low, high = self.interval
        if low <= 0 <= high:
            return "not shown"
        return "B better" if (low > 0) == more_is_better else "A better"


def difference(pairs: Sequence[tuple[Floats, Floats]]) -> Difference:
    """Of the values of A and B, one pair for each seed: over seeds, or over one's characters."""
    each = [b - a for a, b in pairs]
    values = np.array([d.mean() for d in each]) if len(pairs) > 1 else each[0]
    a, b = (float(np.mean([pair[i].mean() for pair in pairs])) for i in (0, 1))
    return Difference(a, b, _interval(values) if len(values) > 1 else None)


def _interval(values: Floats) -> tuple[float, float]:
    """t interval of the mean."""
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1) * stats.sem(values))
    return float(values.mean()) - half, float(values.mean()) + half


def table(differences: Mapping[str, Difference], over: str, title: str) -> Table:
    rows = Table(title=title, title_justify="left", caption_justify="left")
    rows.add_column("figure")
    for name in ("A", "B", "B - A", f"95 %, over {over}"):
        rows.add_column(name, justify="right")
    rows.add_column("")
    for name, (digits, more) in FIGURES.items():
        if name in differences:
            d = differences[name]
            spread = "-" if d.interval is None else "{:+.{n}f} to {:+.{n}f}"
            cells = [f"{d.a:.{digits}f}", f"{d.b:.{digits}f}", f"{d.b - d.a:+.{digits}f}"]
            spread = spread if d.interval is None else spread.format(*d.interval, n=digits)
            rows.add_row(name, *cells, spread, d.verdict(more))
    return rows


def picture(a: HeldOut, b: HeldOut, file: Path) -> None:
    """Characters from where A is better most to where B is: pictures, and where they are wrong."""
    gain = l1(a.drawn, a.target) - l1(b.drawn, b.target)
    order = gain.argsort()
    rows = order[torch.linspace(0, len(a) - 1, min(SHOWN, len(a))).round().long()]
    columns = {"source": a.source, "A": a.drawn, "B": b.drawn, "target": a.target}
    columns |= {"A wrong": wrong(a.drawn, a.target), "B wrong": wrong(b.drawn, b.target)}
    shown = {name: bytes_of(pictures[rows]) for name, pictures in columns.items()}
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_name(f".{file.name}.part")
    try:
        sheet(shown, [a.characters[row] for row in rows]).save(beside, format="PNG")
        beside.replace(file)
    finally:
        beside.unlink(missing_ok=True)


def wrong(drawn: Tensor, target: Tensor) -> Tensor:
    """Paper where they are alike, ink where they differ by all there is."""
    return 1 - (drawn - target).abs()


def compare(a: Side, b: Side, seeds: Sequence[int], out: Path, ocr: int) -> None:
    """Trains what is missing, prints the table and draws the first seed's characters."""
    runs = []
    for seed in seeds:
        pair = (
            trained(a, seed, out / "a" / f"seed-{seed}"),
            trained(b, seed, out / "b" / f"seed-{seed}"),
        )
        alike(*pair)
        runs.append(pair)
    measured = [[figures(run, ocr) for run in pair] for pair in runs]
    names = [name for name in FIGURES if all(name in one for pair in measured for one in pair)]
    found = {name: difference([(x[name], y[name]) for x, y in measured]) for name in names}
    first = runs[0][0]
    over = f"{len(seeds)} seeds" if len(seeds) > 1 else f"{len(first)} characters"
    title = f"A: {a.name}\nB: {b.name}\n{len(first)} held-out characters, {first.size} px, "
    title += f"{fonts(first.recipe)}, seeds {', '.join(map(str, seeds))}"
    console = Console(width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else WIDTH)
    rows = table(found, over, title)
    if "read" in found:
        rows.caption = f"read: of {len(measured[0][0]['read'])} characters"
    console.print(rows)
    file = out / "compare.png"
    picture(*runs[0], file)
    print(f"{file}: from the character where A is better most to that where B is")


def seeds_of(first: int | None, count: int, sides: Sequence[Side]) -> list[int]:
    """`count` seeds from the first on: that which is asked for, or of the runs that are there."""
    if count < 1:
        raise ValueError("--seeds needs a number from 1 on")
    own = {one.run.seed for one in sides if one.run is not None}
    if first is None and len(own) > 1:
        raise ValueError("the two runs have different seeds: --seed says which is taken")
    start = first if first is not None else min(own, default=0)
    return list(range(start, start + count))


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        changes = changes_of(options.changes)
        sides = side(options.a, changes), side(options.b, changes)
        seeds = seeds_of(options.seed, options.seeds, sides)
        if sides[0].recipe == sides[1].recipe:
            raise ValueError("A and B are one recipe: there is nothing to compare")
        compare(*sides, seeds, options.out, options.ocr)
    except (OSError, ValueError, PackageError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    about = (__doc__ or "").partition("\n")[0]
    options = argparse.ArgumentParser("python -m unstuck.cases.zi2zi.compare", description=about)
    what = "a preset, preset,key=value,... or a run"
    options.add_argument("a", metavar="A", help=what)
    options.add_argument("b", metavar="B", help=what)
    options.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="changes")
    options.add_argument("--seeds", type=int, default=1, help="how many")
    options.add_argument("--seed", type=int, help="the first; default: that of the runs, or 0")
    options.add_argument("--out", type=Path, default=Path("runs/compare-zi2zi"))
    n = legibility.SUBSET
    options.add_argument(
        "--ocr", type=int, default=n, metavar="N", help=f"characters that are read; default {n}"
    )
    return options


if __name__ == "__main__":
    sys.exit(main())
