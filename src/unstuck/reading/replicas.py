"""The records of processes that trained one model together, as one run.

The lowest rank's series keep their names; those of another rank k that are compared between ranks
become `rank/<k>/<series>`. `replica_gap/<model>` is how far the ranks' copies of a model lie apart.
"""

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from unstuck.records import Floats, Run, Scalar, Series

COMPARED = ("loss/", "seconds/", "bytes/")
JOINED = "ranks/backend"  # noted by a process that has joined a process group


def trained_together(parts: Mapping[int, Run]) -> bool:
    """Whether these processes were one training, and not many trainings started at once."""
    return any(JOINED in run.facts for run in parts.values())


def merged(parts: Mapping[int, Run]) -> Run:
    """One run of the records of several ranks."""
    first, *others = sorted(parts)
    lead = parts[first]
    series = {n: s for n, s in lead.series.items() if not n.startswith("replica/")}
    for rank in others:
        for name, one in parts[rank].series.items():
            if name.startswith(COMPARED) or (
                name.startswith("grad_norm/") and name.count("/") == 1
            ):
                renamed = f"rank/{rank}/{name}"
                series[renamed] = replace(one, name=renamed)
    for gap in _gaps(parts):
        series[gap.name] = gap
    facts = {**lead.facts, "ranks/index": first, "ranks/read": len(parts)}
    for rank, run in sorted(parts.items()):
        facts |= {f"rank/{rank}/{key}": value for key, value in _ends(run).items()}
    return replace(lead, series=series, facts=facts)


def _ends(run: Run) -> dict[str, Scalar]:
    """The last step of a rank, when that was, and how the process ended, where it could tell."""
    walls = [s.wall[-1] for s in run.series.values() if len(s) and s.wall is not None]
    latest = float(max((w for w in walls if math.isfinite(w)), default=math.nan))
    told: dict[str, Scalar] = {"last_step": run.last_step}
    if math.isfinite(latest):
        told["last_wall"] = latest
    for key in ("exit/exception", "exit/closed"):
        if key in run.facts:
            told[key.removeprefix("exit/")] = run.facts[key]
    return told


def _gaps(parts: Mapping[int, Run]) -> list[Series]:
    """Of each model that all ranks hold in the same shapes, the distance between their copies."""
    first, *others = sorted(parts)
    lead = parts[first]
    shapes = {n: v for n, v in lead.facts.items() if n.startswith("replica/")}
    losses = {n for n in lead.series if n.startswith("loss/")}
    found = []
    for fact, shape in sorted(shapes.items()):
        same = [
            parts[k]
            for k in others
            if parts[k].facts.get(fact) == shape
            and losses == {n for n in parts[k].series if n.startswith("loss/")}
        ]
        gap = _gap(fact.removesuffix("/shapes"), lead, same)
        if gap is not None:
            found.append(gap)
    return found


def _gap(prefix: str, lead: Run, others: list[Run]) -> Series | None:
    """Largest distance of any copy from the first one, as a share of the first one's norm.

    Random projections keep distances: the mean square of the differences of several is the square
    of the distance (Johnson & Lindenstrauss 1984).
    """
    names = [n for n in lead.series if n.startswith(f"{prefix}/projection")]
    norm = lead.series.get(f"{prefix}/norm")
    if norm is None or not names or not others:
        return None
    step = norm.step
    for run in (lead, *others):
        for name in names:
            if name not in run.series:
                return None
            step = np.intersect1d(step, run.series[name].step)
    apart = np.zeros(step.size)
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        for run in others:
            squares = sum(
                (_at(run.series[n], step) - _at(lead.series[n], step)) ** 2 for n in names
            )
            apart = np.maximum(apart, np.sqrt(squares / len(names)))
        value = apart / _at(norm, step)
    keep = np.isfinite(value)
    model = prefix.removeprefix("replica/")
    return Series(f"replica_gap/{model}", step[keep], value[keep]) if keep.any() else None


def _at(series: Series, step: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Floats:
    return series.value[np.searchsorted(series.step, step)]
