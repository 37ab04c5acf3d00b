"""Diagnosis -> the treatments worth trying, and what can only be suggested."""

from collections import Counter
from collections.abc import Sequence
from difflib import get_close_matches

from unstuck import catalog
from unstuck.fixed import Suggestion
from unstuck.prescribe import prescribe
from unstuck.records import Cause, Diagnosis, Treatment

MOST_CAUSES = 3  # the likeliest ones; what is wrong further down may be their doing
MOST = 6  # treatments in a race: six raced and one confirmed are about forty short runs
MOST_SUGGESTED = 12


def causes(diagnosis: Diagnosis) -> tuple[Cause, ...]:
    """The causes worth treating: the first few that are, or stand for, more than information."""
    real = [
        c for c in diagnosis.causes if any(f.severity != "info" for f in (c.finding, *c.symptoms))
    ]
    return tuple(real[:MOST_CAUSES])


def candidates(diagnosis: Diagnosis, most: int = MOST, only: str = "") -> tuple[Treatment, ...]:
    """Treatments that answer the top causes, the likeliest first: the first number of every remedy
    of the first cause, then second numbers and the next cause's first ones, and so on.

    `only` is the name of one remedy.
    """
    top = causes(diagnosis)
    place = {cause.finding.code: i for i, cause in reversed(list(enumerate(top)))}
    ranked: list[tuple[int, Treatment]] = []
    seen: Counter[tuple[int, str]] = Counter()
    for treatment in _prescribed(diagnosis, top):
        if only and treatment.remedy != only:
            continue
        cause = min(place.get(code, MOST_CAUSES) for code in treatment.answers)
        ranked.append((cause + seen[cause, treatment.remedy], treatment))
        seen[cause, treatment.remedy] += 1
    ranked.sort(key=lambda pair: pair[0])  # stable: prescription order within a rank
    return _named_apart([treatment for _, treatment in ranked])[:most]


def check_remedy(only: str) -> None:
    """ValueError where there is no remedy of that name."""
    names = {remedy.name for remedy in catalog.remedies()}
    if only and only not in names:
        near = get_close_matches(only, names, n=3)
        told = f": did you mean {', '.join(near)}?" if near else ""
        raise ValueError(f"there is no remedy called {only!r}{told}")


def suggestions(diagnosis: Diagnosis, tried: Sequence[Treatment]) -> tuple[Suggestion, ...]:
    """The remedies of the top causes that nothing can carry out in a live run."""
    acting = {t.remedy for t in (*tried, *_prescribed(diagnosis, causes(diagnosis)))}
    found: dict[str, Suggestion] = {}
    for cause in causes(diagnosis):
        for remedy in catalog.remedies():
            if cause.finding.code in remedy.answers and remedy.name not in acting:
                lead = remedy.page.strip().partition("\n")[0].partition(": ")[2].rstrip(".")
                found.setdefault(remedy.name, Suggestion(cause.finding.code, remedy.name, lead))
    return tuple(found.values())[:MOST_SUGGESTED]


def _prescribed(diagnosis: Diagnosis, top: Sequence[Cause]) -> list[Treatment]:
    codes = {cause.finding.code for cause in top}
    return [t for t in prescribe(diagnosis) if codes & set(t.answers)]


def _named_apart(treatments: Sequence[Treatment]) -> tuple[Treatment, ...]:
    """Each with a name of its own: a trial tells its arms apart by it."""
    found: dict[str, Treatment] = {}
    for treatment in treatments:
        name, count = treatment.name, 1
        while name in found or name == "baseline":
            count += 1
            name = f"{treatment.name} ({count})"
        found[name] = Treatment(
            name,
            treatment.remedy,
            treatment.changes,
            treatment.expectation,
            treatment.answers,
        )
    return tuple(found.values())
