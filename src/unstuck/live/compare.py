"""Two runs side by side: the curves both have, how their recipes differ, findings of each."""

from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup

from unstuck.records import SEVERITIES, Diagnosis, Finding, Run, Scalar, Series
from unstuck.report import story
from unstuck.report.overview_plot import overlaid
from unstuck.report.text import clean, number, scalar

MOST_DRAWN = 24  # curves; those of losses and metrics first
MOST_ROWS = 500
ORDER = ("loss", "metric", "lr", "term", "grad_norm", "update_ratio", "latent", "weight")
BY_LAYER = {"grad_norm": 3, "update_ratio": 3, "activation": 2, "rank": 2}  # parts of such a name


@dataclass(frozen=True, slots=True)
class Comparison:
    """What the page shows of two runs."""

    curves: list[tuple[str, Markup, tuple[str, str]]]  # name, plot, last value of each
    curves_left: int
    only: tuple[int, int]  # series that only one of them has
    recipe: list[tuple[str, str, str]]  # field, in the first run, in the second
    same: int  # fields of the recipe that are equal
    findings: list[tuple[str, str, Finding | None, Finding | None]]  # code, name, in each


def compared(a: Diagnosis, b: Diagnosis) -> Comparison:
    common = sorted((n for n in a.run.series if _both(n, a.run, b.run)), key=_rank)
    plain = [name for name in common if not _is_layer(name)]
    differ, same = _differences(_asked(a.run), _asked(b.run))
    return Comparison(
        [_curve(name, a.run, b.run) for name in plain[:MOST_DRAWN]],
        len(common) - min(len(plain), MOST_DRAWN),
        (len(a.run.series) - len(common), len(b.run.series) - len(common)),
        differ[:MOST_ROWS],
        same,
        _findings(a, b),
    )


def _both(name: str, a: Run, b: Run) -> bool:
    return name in b.series and len(a.series[name]) > 0 and len(b.series[name]) > 0


def _rank(name: str) -> tuple[int, str]:
    what = name.partition("/")[0]
    return (ORDER.index(what) if what in ORDER else len(ORDER)), name


def _is_layer(name: str) -> bool:
    parts = name.split("/")
    return len(parts) >= BY_LAYER.get(parts[0], 99)


def _curve(name: str, a: Run, b: Run) -> tuple[str, Markup, tuple[str, str]]:
    pair: tuple[Series, Series] = a.series[name], b.series[name]
    axis = story.step_axis(a)
    plot = overlaid(clean(name), [("A", pair[0]), ("B", pair[1])], False, axis)
    return clean(name), plot, (number(pair[0].value[-1]), number(pair[1].value[-1]))


def _asked(run: Run) -> dict[str, Scalar]:
    """The recipe, and what the run was made with."""
    return {
        **run.recipe,
        **run.facts_matching("environment/*"),
        **run.facts_matching("optimizer/*"),
    }


def _differences(
    a: Mapping[str, Scalar], b: Mapping[str, Scalar]
) -> tuple[list[tuple[str, str, str]], int]:
    keys = [*a, *(key for key in b if key not in a)]
    told = [
        (clean(key), *(scalar(side[key]) if key in side else "" for side in (a, b)))
        for key in keys
        if key not in a or key not in b or a[key] != b[key]
    ]
    return [(key, left, right) for key, left, right in told], len(keys) - len(told)


def _findings(a: Diagnosis, b: Diagnosis) -> list[tuple[str, str, Finding | None, Finding | None]]:
    """Each code with its first finding in either run, the worst first."""
    sides: list[dict[str, Finding]] = [{}, {}]
    for side, diagnosis in zip(sides, (a, b), strict=True):
        for finding in diagnosis.findings:
            side.setdefault(finding.code, finding)
    codes = sorted({*sides[0], *sides[1]}, key=lambda c: (_severity(c, sides), c))
    return [
        (clean(c, 20), story.name_of(c), sides[0].get(c), sides[1].get(c))
        for c in codes[:MOST_ROWS]
    ]


def _severity(code: str, sides: list[dict[str, Finding]]) -> int:
    return min(SEVERITIES.index(s[code].severity) for s in sides if code in s)
