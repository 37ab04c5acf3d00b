"""path-reliance: finds the skip connections of a model and measures what its output lives on.

## Why
A U-net whose output comes from its skips alone has a bottleneck that learned nothing: whatever is
wanted of the code (another domain, a generated picture) fails while the loss looks fine. Features
of the answer that come in through a skip make a training loss that nobody can have at use.

## How it is measured
The loss is run once in evaluation mode and every operation noted, below autograd, so that fused
modules and functions of one's own are seen, too. An operand of a sum of two activations of one
shape, or of a concatenation along channels, is a skip where the other operand came from it through
layers, or through a lower resolution (`unstuck.lab.executed_skips` has the rule). Then the loss is
run again with a skip replaced by zeros, by the mean of the batch and by another sample's, and with
what it is joined to replaced by another sample's. The first run's loss is 1.

Skips *around* a lower resolution, as in a U-net, make the facts `reliance/...`: all of them zeroed,
and the innermost joins fed with another sample's bottleneck. Residual connections (x + f(x)) are
the way such networks are built and are shown in the table only. Where the loss gives its terms by
name, skips that serve different terms are paths of their own, `<model>:<terms>`, and only those
terms are their error.

## Facts
- `skips/<model>`: number of skip connections in one call; `skips/<model>/around`: of those around a
  lower resolution.
- `reliance/<path>/skips`: error with all skips of the path zeroed, in times the intact error.
- `reliance/<path>/bottleneck`: the same with another sample's bottleneck.
- `reliance/<path>/leak`: the same with nothing but what is known at use (`at_use` of the subject).

## Example
A U-net in miniature that copies: its skip does the work.

>>> import torch
>>> from torch import nn
>>> from unstuck import Subject
>>> class Net(nn.Module):
...     def __init__(self):
...         super().__init__()
...         self.first, self.deep = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
...         self.last = nn.Conv2d(8, 1, 3, padding=1)
...     def forward(self, x):
...         skip = self.first(x).relu()
...         deep = self.deep(nn.functional.avg_pool2d(skip, 4)).relu()
...         deep = nn.functional.interpolate(deep, scale_factor=4.0)
...         return self.last(torch.cat([skip, deep], 1))
>>> _ = torch.manual_seed(0)
>>> x, net = torch.randn(8, 1, 16, 16), Net()
>>> optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
>>> for _ in range(100):
...     optimizer.zero_grad()
...     nn.functional.mse_loss(net(x), x).backward()
...     _ = optimizer.step()
>>> found = path_reliance(Subject(net, (x, x), nn.functional.mse_loss))
>>> found.facts["skips/model"], found.facts["reliance/model/skips"] > 5
(1, True)
>>> found.facts["reliance/model/bottleneck"] < 1.5
True

## References
- Ronneberger, Fischer & Brox, U-Net, 2015, <https://arxiv.org/abs/1505.04597>
- Veit, Wilber & Belongie, Residual Networks Behave Like Ensembles of Relatively Shallow Networks,
  2016 (layers taken out of a trained network), <https://arxiv.org/abs/1605.06431>
"""

import math
import time
from collections.abc import Callable, Iterable

from unstuck.experiment import Bars, Listing, NotProbed, Picture, Result, probe
from unstuck.lab.executed_again import Change, Changes, average, of_another, silent
from unstuck.lab.executed_skips import Skip, innermost, paths, skips
from unstuck.lab.paths import NOTHING
from unstuck.lab.scored import Scored, Scores, is_sum
from unstuck.lab.subject import TOTAL, Subject
from unstuck.records import Scalar

RESPONDS = 1e-6  # relative change of a term that a path serves; rounding is below
ROWS = 40  # of the table and the bars
COLUMNS = (
    "skip from", "into", "how", "around", "zeros", "batch mean", "another's", "rest another's",
)  # fmt: skip
Facts = dict[str, Scalar]


@probe(
    "skips/*",
    "reliance/*/skips",
    "reliance/*/bottleneck",
    "reliance/*/leak",
    cheap=True,
)
def path_reliance(subject: Subject, *, seconds: float = math.inf) -> Result:
    ends = time.monotonic() + seconds
    scored = Scored(subject)
    intact = scored.intact[TOTAL]
    if not math.isfinite(intact):
        raise NotProbed(f"the loss is {intact}: there is no intact error to compare with")
    graph = scored.graph()
    found = skips(graph)
    sites = _sites(found)
    around = [skip for path in paths(graph, found) for skip in path]
    facts: Facts = {
        f"skips/{subject.name}": len(sites),
        f"skips/{subject.name}/around": sum(s[0] in around for s in sites),
    }
    if not sites:
        return Result(facts, ("The model has no skip connection.",))
    if intact <= NOTHING:
        said = f"The loss is {intact:.3g}: a multiple of that says nothing."
        return Result(facts, (*_counted(sites, around), said))
    ends_of = [skip for path in paths(graph, found) for skip in innermost(graph, path)]
    facts |= _of_paths(subject, scored, paths(graph, found), ends_of)
    if around and subject.at_use is not None:
        facts[f"reliance/{subject.name}/leak"] = max(scored.at_use(), NOTHING) / intact
    order = sorted(sites, key=lambda site: site[0] not in around)  # those with facts first
    table = _table(subject, scored, order, lambda: time.monotonic() > ends)
    told = (*_counted(sites, around), *_told(subject, facts), *_needed(table, len(sites)))
    return Result(facts, told[:4], _pictures(table))


def _sites(found: Iterable[Skip]) -> list[list[Skip]]:
    """Skips of one place in the model, which may be called several times."""
    sites: dict[tuple[object, ...], list[Skip]] = {}
    counts: dict[tuple[object, ...], int] = {}
    for skip in found:
        name = (skip.born, skip.join.module, skip.how, skip.operand)
        number = counts[name, skip.join.call] = counts.get((name, skip.join.call), 0) + 1
        sites.setdefault((name, number), []).append(skip)
    return list(sites.values())


def _of_paths(
    subject: Subject, scored: Scored, groups: list[list[Skip]], ends: list[Skip]
) -> Facts:
    """Facts on all paths together, and on those that serve terms of their own."""
    if not groups:
        return {}
    served: dict[tuple[str, ...], list[Skip]] = {}
    for group in groups:
        terms: tuple[str, ...] = (TOTAL,)
        if is_sum(scored.intact):
            cut = scored.scores(_each(group, silent))
            terms = tuple(n for n in cut if n != TOTAL and _moved(cut[n], scored.intact[n]))
        served.setdefault(terms or (TOTAL,), []).extend(group)
    everything = tuple(dict.fromkeys(term for terms in served for term in terms))
    served[everything] = [s for g in groups for s in g]
    facts: Facts = {}
    for terms, path in served.items():
        whole = terms == everything
        name = subject.name + ("" if whole else f":{'+'.join(terms).replace('/', '.')}")
        facts |= _of_path(subject, scored, name, path, [s for s in ends if s in path], terms)
    return facts


def _of_path(
    subject: Subject,
    scored: Scored,
    name: str,
    path: Iterable[Skip],
    ends: Iterable[Skip],
    terms: Iterable[str],
) -> Facts:
    terms = list(terms)

    def error(scores: Scores) -> float:
        return max(sum(scores[t] for t in terms), NOTHING)

    intact = error(scored.intact)
    without = error(scored.scores(_each(path, silent))) / intact
    facts: Facts = {f"reliance/{name}/skips": without}
    if subject.samples > 1:
        swapped = error(scored.scores(_others(ends, of_another(subject.samples)))) / intact
        facts[f"reliance/{name}/bottleneck"] = swapped
    return {fact: value for fact, value in facts.items() if math.isfinite(float(value))}


def _each(path: Iterable[Skip], change: Change) -> Changes:
    return {(s.join, s.operand): change for s in path}


def _others(path: Iterable[Skip], change: Change) -> Changes:
    """What the skips are joined to, changed."""
    return {(s.join, place): change for s in path for place in s.others}


def _moved(value: float, from_: float) -> bool:
    return not math.isclose(value, from_, rel_tol=RESPONDS, abs_tol=RESPONDS * 1e-3)


def _table(
    subject: Subject, scored: Scored, sites: list[list[Skip]], late: Callable[[], bool]
) -> list[tuple[Scalar, ...]]:
    """One row a skip: errors with it, or with what it is joined to, replaced."""
    rows: list[tuple[Scalar, ...]] = []
    another = of_another(subject.samples)
    for site in sites[:ROWS]:
        if late():
            break
        changes = [_each(site, silent)]
        if subject.samples > 1:
            changes += [_each(site, average), _each(site, another), _others(site, another)]
        errors = [scored.scores(change)[TOTAL] / scored.intact[TOTAL] for change in changes]
        skip = site[0]
        into = skip.join.module or subject.name
        kind = "yes" if skip.around else "no"
        cells = [round(e, 4) for e in errors] + [""] * (4 - len(errors))
        rows.append((skip.born or subject.name, into, skip.how, kind, *cells))
    return rows


def _counted(sites: list[list[Skip]], around: list[Skip]) -> tuple[str, ...]:
    number = sum(s[0] in around for s in sites)
    noun = "skip connection" if len(sites) == 1 else "skip connections"
    return (f"{len(sites)} {noun}, {number or 'none'} of them around a lower resolution.",)


def _told(subject: Subject, facts: Facts) -> tuple[str, ...]:
    said = []
    for name in sorted(n for n in facts if n.endswith("/skips") and n.startswith("reliance/")):
        path = name.split("/")[1]
        line = f"Without the skips around a lower resolution the error of {path} is "
        line += f"{facts[name]:.3g} times the intact one"
        swapped = facts.get(f"reliance/{path}/bottleneck")
        said.append(
            line + ("." if swapped is None else f", with another sample's bottleneck {swapped:.3g}")
        )
    leak = facts.get(f"reliance/{subject.name}/leak")
    if leak is not None:
        said.insert(0, f"With only what is known at use the error is {leak:.3g} times as large")
    return tuple(line.rstrip(".") + "." for line in said)


def _needed(rows: list[tuple[Scalar, ...]], count: int) -> tuple[str, ...]:
    said = []
    if rows:
        most = max(rows, key=lambda row: float(row[4]))
        said.append(
            f"The skip from {most[0]} into {most[1]} is needed most: x{float(most[4]):.3g} without."
        )
    if len(rows) < count:
        said.append(f"{len(rows)} of {count} skips were taken away one by one, the others not.")
    return tuple(said)


def _pictures(rows: list[tuple[Scalar, ...]]) -> tuple[Picture, ...]:
    bars: dict[str, dict[str, float]] = {}
    for row in rows:
        label = f"{row[0]} to {row[1]}"
        while label in bars:
            label += "'"
        bars[label] = {c: float(v) for c, v in zip(COLUMNS[4:], row[4:], strict=True) if v != ""}
    if not rows:
        return ()
    return (
        Bars("Error with a skip replaced", bars, "times the intact error", limit=1.0),
        Listing("Skip connections", COLUMNS, tuple(rows)),
    )
