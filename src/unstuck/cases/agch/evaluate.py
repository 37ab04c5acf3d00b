"""How well the codes of trained runs retrieve, and how healthy they are, in tables.

    python -m unstuck.cases.agch.evaluate runs/agch --baselines
    python -m unstuck.cases.agch.evaluate runs/seed-* --at 20 --json figures.json

A figure stands with all it depends on: k, bits, queries, size of the database. mAP@50 and mAP@all
are always there, since published tables have one or the other. Codes of few bits put many items at
one distance; the order of the database breaks these ties, and "ties averaged" is the mean over all
orders of tied items. Several runs of one form and length are a mean and its 95 % t interval.
"""

import argparse
import json
import math
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy import stats

from unstuck.cases.agch.codes import WAYS, RunCodes, form, read
from unstuck.cases.agch.health import health
from unstuck.cases.agch.methods import (
    BASELINES,
    UNCOMPRESSED,
    Distances,
    baseline,
    distances,
    real_distances,
    split_of,
)
from unstuck.cases.agch.retrieval import (
    mean_average_precision,
    precision_at,
    tied_mean_average_precision,
)
from unstuck.data.package import PackageError

DEPTHS: tuple[int | None, ...] = (50, None)  # always told; None: the whole database
COUNTS = (10, 50, 100, 500)
CONFIDENCE = 0.95
WIDTH = 160  # letters, where no terminal says how wide it is
REAL = "cosine of real codes or features, not what an index would give"

Figures = dict[str, float]  # "image to text/mAP@50", ".../mAP@50 ties averaged", ".../precision@10"


@dataclass(frozen=True)
class Measured:
    """The figures of one method on one run's split; `group` says what is averaged over seeds."""

    method: str
    bits: str
    seed: int
    queries: int
    database: int
    figures: Figures

    @property
    def group(self) -> tuple[str, str, int, int]:
        return self.method, self.bits, self.queries, self.database


def figures(
    found: Distances, run: RunCodes, depths: Sequence[int | None], counts: Sequence[int]
) -> Figures:
    """mAP at each depth with both ways to break ties, and precision at each count."""
    labels = run.labels["query"], run.labels["database"]
    values: Figures = {}
    for way, distance in found.items():
        for at in depths:
            key = f"{way}/mAP@{named(at)}"
            values[key] = mean_average_precision(distance, *labels, at)
            values[f"{key} ties averaged"] = tied_mean_average_precision(distance, *labels, at)
        shares = precision_at(distance, *labels, counts)
        values |= {f"{way}/precision@{n}": share for n, share in shares.items()}
    return values


def named(at: int | None) -> str:
    return "all" if at is None else str(at)


def measured(
    runs: Sequence[RunCodes], options: argparse.Namespace
) -> tuple[list[Measured], dict[str, Distances]]:
    """The runs' own codes, and what else was asked for; a baseline once for each split.

    Also the distances of the first run's baselines, to be drawn.
    """
    found: list[Measured] = []
    first: dict[str, Distances] = {}

    def add(run: RunCodes, method: str, bits: str, distance: Distances) -> None:
        values = figures(distance, run, options.depths, options.counts)
        found.append(Measured(method, bits, run.seed, run.queries, run.database, values))

    for run in runs:
        add(run, form(run.recipe), str(run.bits), distances(run))
    for run in runs if options.real else ():
        add(run, form(run.recipe), f"{run.bits} real", real_distances(run))
    done = set()
    for run in runs if options.baselines else ():
        split = split_of([run])
        for name in BASELINES:
            bits = "real" if name in UNCOMPRESSED else str(run.bits)
            once = name, bits, run.seed, run.recipe.data, run.queries, run.database
            if once not in done:
                done.add(once)
                distance = baseline(name, split, run.bits, run.seed)
                first.setdefault(name, distance)
                add(run, name, bits, distance)
    return found, first


def mean_and_interval(values: Sequence[float], digits: int = 3) -> str:
    """Mean, and its t interval where there are several: "0.490 (0.481 to 0.499)".

    >>> mean_and_interval([0.5])
    '0.500'
    """
    mean = float(np.mean(values))
    if len(values) < 2:
        return f"{mean:.{digits}f}"
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1) * stats.sem(values))
    return f"{mean:.{digits}f} ({mean - half:.{digits}f} to {mean + half:.{digits}f})"


def health_of(run: RunCodes) -> dict[str, float]:
    """The measures of health.py, of the database's codes."""
    image, text = "database_image", "database_text"
    return health(run.signs[image], run.signs[text], run.real[image], run.real[text])


def groups(found: Iterable[Measured]) -> dict[tuple[str, str, int, int], list[Measured]]:
    """What differs in nothing but the seed; ValueError where a seed is there twice."""
    grouped: dict[tuple[str, str, int, int], list[Measured]] = {}
    for one in found:
        grouped.setdefault(one.group, []).append(one)
    for (method, bits, *_), members in grouped.items():
        seeds = [one.seed for one in members]
        if len(set(seeds)) < len(seeds):
            raise ValueError(f"two runs of {method} at {bits} bits have one seed: give one of them")
    return grouped


def map_table(found: Sequence[Measured], depths: Sequence[int | None]) -> Table:
    """A row for each depth and method: mAP in both directions, ties by order and averaged."""
    names = "k", "method", "bits", "queries", "database", "seeds"
    table = _table("mean average precision", names, (0, 2, 3, 4, 5), _any_real(found))
    for way in WAYS:
        for column in (way, "ties averaged"):
            table.add_column(column, justify="right")
    for at in depths:
        for (method, bits, queries, database), members in groups(found).items():
            keys = [f"{way}/mAP@{named(at)}{t}" for way in WAYS for t in ("", " ties averaged")]
            cells = [_cell(members, key) for key in keys]
            sizes = str(queries), str(database), str(len(members))
            table.add_row(named(at), method, bits, *sizes, *cells)
        table.add_section()
    return table


def precision_table(found: Sequence[Measured], counts: Sequence[int]) -> Table:
    """A row for each direction and method: share of relevant items among the first N."""
    names = "direction", "method", "bits", "queries", "database", "seeds"
    table = _table("precision among the first N", names, (2, 3, 4, 5), _any_real(found))
    for n in counts:
        table.add_column(f"N = {n}", justify="right")
    for way in WAYS:
        for (method, bits, queries, database), members in groups(found).items():
            cells = [_cell(members, f"{way}/precision@{n}") for n in counts]
            sizes = str(queries), str(database), str(len(members))
            table.add_row(way, method, bits, *sizes, *cells)
        table.add_section()
    return table


def health_table(runs: Sequence[RunCodes], facts: Sequence[Mapping[str, float]]) -> Table:
    """A row for each measure of the database's codes, a column for each form and length."""
    columns: dict[str, list[Mapping[str, float]]] = {}
    for run, found in zip(runs, facts, strict=True):
        columns.setdefault(f"{form(run.recipe)}, {run.bits} bits", []).append(found)
    table = _table("health of the codes", ("measure",))
    for name in columns:
        table.add_column(name, justify="right")
    for measure in facts[0]:
        values = ([found[measure] for found in members] for members in columns.values())
        table.add_row(measure, *(mean_and_interval(v, 3) for v in values))
    return table


def _any_real(found: Sequence[Measured]) -> bool:
    return any("real" in one.bits for one in found)


def _cell(members: Sequence[Measured], key: str) -> str:
    return mean_and_interval([one.figures[key] for one in members]).replace(" (", "\n(")


def _table(
    title: str, columns: Sequence[str], right: Sequence[int] = (), real: bool = False
) -> Table:
    caption = f"real: {REAL}" if real else None
    table = Table(title=title, title_justify="left", caption=caption, caption_justify="left")
    for i, name in enumerate(columns):
        table.add_column(name, justify="right" if i in right else "left")
    return table


def depth(word: str) -> int | None:
    """`50` or `all`; ValueError for anything else."""
    if word == "all":
        return None
    if not (word.isascii() and word.isdigit()) or not 0 < int(word) <= 10**9:
        raise ValueError(f"{word!r} is no depth: give a number of items from 1 on, or `all`")
    return int(word)


def evaluate(runs: Sequence[RunCodes], options: argparse.Namespace) -> dict[str, Any]:
    """Prints the tables and draws the first run, where asked; the figures, run by run."""
    found, compared = measured(runs, options)
    facts = [health_of(run) for run in runs]
    console = Console(width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else WIDTH)
    console.print(map_table(found, options.depths))
    console.print(precision_table(found, options.counts))
    console.print(health_table(runs, facts))
    if options.out:
        from unstuck.cases.agch.pictures import draw

        draw(runs[:1], split_of(runs[:1]), options.out, compared)
    return {
        "figures": [asdict(one) for one in found],
        "health": [
            {"folder": str(run.folder), "form": form(run.recipe), "bits": run.bits}
            | {"seed": run.seed, "measures": dict(measures)}
            for run, measures in zip(runs, facts, strict=True)
        ],
    }


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        asked = [depth(word) for word in options.at]
        options.depths = sorted({*DEPTHS, *asked}, key=lambda at: at or math.inf)
        options.counts = sorted({depth(word) or 0 for word in options.topn.split(",")} - {0})
        if not options.counts:
            raise ValueError("--topn needs numbers of items, such as 10,100")
        runs = [read(folder) for folder in options.runs]
        told = evaluate(runs, options)
        if options.json:
            options.json.parent.mkdir(parents=True, exist_ok=True)
            options.json.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    except (OSError, ValueError, PackageError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    about = (__doc__ or "").partition("\n")[0]
    options = argparse.ArgumentParser("python -m unstuck.cases.agch.evaluate", description=about)
    options.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="what a training left")
    options.add_argument(
        "--at", action="append", default=[], metavar="K", help="depth, or `all`; besides 50 and all"
    )
    counts = ",".join(map(str, COUNTS))
    options.add_argument("--topn", default=counts, metavar="N,N", help=f"default: {counts}")
    options.add_argument("--baselines", action="store_true", help="on the same split and features")
    options.add_argument(
        "--real",
        action="store_true",
        help="also by real codes, before the sign",
    )
    options.add_argument("--json", type=Path, metavar="FILE", help="every figure of every run")
    options.add_argument("--out", type=Path, metavar="DIR", help="pictures of the first run")
    return options


if __name__ == "__main__":
    sys.exit(main())
