"""Raw readings under a log's own names -> a Run under the glossary's."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from unstuck.naming import Named, named
from unstuck.reading.bounds import MOST_READINGS, MOST_SERIES, short_name
from unstuck.records import Floats, Recipe, Run, Scalar, Series
from unstuck.source import UnreadableRunError

LOGGED = "logged/"  # facts: the names a log gave its series
FURTHEST = 2**53  # the largest step: beyond it a float no longer tells neighbours apart


@dataclass(frozen=True, slots=True, eq=False)
class Readings:
    """One raw series in the order of the file; steps may repeat, or go back after a restart."""

    step: NDArray[np.int64]
    value: Floats
    wall: Floats | None = None


def assembled(
    name: str,
    readings: Mapping[str, Readings],
    source: str,
    *,
    recipe: Recipe | None = None,
    facts: Mapping[str, Scalar] | None = None,
    unit: str = "step",
    roles: Mapping[str, str] | None = None,
) -> Run:
    """The run of one log.

    `unit` says what one step is: step, epoch or row. `roles` are those the format itself makes
    known. Where steps go back, the later readings count: a restarted run writes those steps anew.
    Raises UnreadableRunError where there is nothing, or more than can be read.
    """
    kept = {short_name(raw): r for raw, r in readings.items() if r.step.size}
    count = sum(r.step.size for r in kept.values())
    if len(kept) > MOST_SERIES or count > MOST_READINGS:
        raise UnreadableRunError(
            f"{name} holds {len(kept):,} series with {count:,} readings, more than are read "
            f"({MOST_SERIES:,}, {MOST_READINGS:,})"
        )
    names = named(kept, roles)
    series = {names[raw].name: _series(names[raw].name, r) for raw, r in kept.items()}
    known: dict[str, Scalar] = {"source/format": source, "step/unit": unit}
    known |= {f"{LOGGED}{names[raw].name}": raw for raw in kept}
    return Run(series, recipe or {}, known | dict(facts or {}), _roles(names), name)


def numbered(readings: Mapping[str, Readings]) -> tuple[Mapping[str, Readings], str]:
    """Readings as `assembled` needs them, and the unit of their steps.

    A program that never gives a step leaves all readings at step 0: they are numbered by rows.
    """
    if any(r.step.any() for r in readings.values()) or all(
        r.step.size < 2 for r in readings.values()
    ):
        return readings, "step"
    rows = {
        raw: replace(r, step=np.arange(r.step.size, dtype=np.int64)) for raw, r in readings.items()
    }
    return rows, "row"


def with_roles(run: Run, said: Mapping[str, str]) -> Run:
    """The run with some series read in another role than their names suggest.

    Keys of `said` are names as in the log or as in the glossary; names the run does not have
    change nothing.
    """
    logged = {name: str(run.facts.get(f"{LOGGED}{name}", name)) for name in run.series}
    raws = {raw: name for name, raw in logged.items()}
    wanted = {logged.get(key, key): role for key, role in said.items()}
    wanted = {raw: role for raw, role in wanted.items() if raw in raws}
    if (
        f"{LOGGED}{next(iter(run.series), '')}" not in run.facts
    ):  # watched: names are the glossary's
        return replace(run, roles={**run.roles, **wanted})
    names = named(raws, wanted)
    series = {
        names[raw].name: replace(run.series[old], name=names[raw].name) for raw, old in raws.items()
    }
    others = {n: v for n, v in run.facts.items() if not n.startswith(LOGGED)}
    facts = others | {f"{LOGGED}{names[raw].name}": raw for raw in raws}
    return replace(run, series=series, facts=facts, roles=_roles(names))


def _roles(names: Mapping[str, Named]) -> dict[str, str]:
    return {it.name: it.role for it in names.values()}


def _series(name: str, readings: Readings) -> Series:
    """Strictly increasing steps: of readings that a later one wrote anew, only the later counts."""
    step, value, wall = readings.step, readings.value, readings.wall
    if step.size and (step.min() < -FURTHEST or step.max() > FURTHEST):
        raise UnreadableRunError(f"{name} has the step {step[np.abs(step).argmax()]}: damaged?")
    if np.any(np.diff(step) <= 0):
        lowest_after = np.minimum.accumulate(step[::-1])[::-1]
        keep = np.append(step[:-1] < lowest_after[1:], True)
        step, value = step[keep], value[keep]
        wall = None if wall is None else wall[keep]
    return Series(name, step, value, wall)
