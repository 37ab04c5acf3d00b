"""The terms of a loss: their series by name, and which of them did something to a latent."""

from collections.abc import Iterator
from dataclasses import dataclass

from unstuck.records import Run, Series
from unstuck.signals.levels import median, share_left
from unstuck.words import words_of


@dataclass(frozen=True, slots=True)
class Term:
    """One term of one loss and what was recorded of it."""

    loss: str
    name: str
    run: Run

    def series(self, what: str) -> Series | None:
        """`what` is `term`, `weight`, `share` or `gradient_share`."""
        return self.run.series.get(f"{what}/{self.loss}/{self.name}")

    @property
    def values(self) -> Series:
        """The term's value; KeyError where it was not recorded."""
        return self.run.series[f"term/{self.loss}/{self.name}"]


def terms(run: Run, what: str = "term") -> list[Term]:
    """All terms of all losses that have a series `what`."""
    parts = (s.name.split("/", 2) for s in run.matching(f"{what}/*/*"))
    return [Term(loss, name, run) for _, loss, name in parts]


def terms_by_loss(run: Run, what: str = "term") -> Iterator[list[Term]]:
    """For every loss with two terms or more, its terms that have a series `what`."""
    losses: dict[str, list[Term]] = {}
    for term in terms(run, what):
        losses.setdefault(term.loss, []).append(term)
    return (group for group in losses.values() if len(group) > 1)


FALLEN = 0.06  # share of its start left: the terms of collapsed runs kept 0.03 or less (LOG.md)


def fallen_term(run: Run) -> Term | None:
    """The term that lost most of its start, if any lost all but the share `FALLEN`."""
    fallen = [t for t in terms(run) if share_left(t.values) < FALLEN]
    return min(fallen, key=lambda t: share_left(t.values), default=None)


def pulling_term(run: Run, latent: str) -> Term | None:
    """The term whose descent shrinks the spread of a latent most steadily, if any does.

    Reads `latent/<latent>/pull/<loss>:<term>`, a cosine.
    """
    pulls: dict[tuple[str, str], float] = {}
    for series in run.matching(f"latent/{latent}/pull/*"):
        loss, _, name = series.name.split("/pull/", 1)[1].partition(":")
        pulls[loss, name] = median(series)
    strongest = max(pulls, key=lambda key: pulls[key], default=None)
    if strongest is None or not pulls[strongest] > 0:
        return None
    return Term(*strongest, run)


def divergences(run: Run) -> list[Term]:
    """The terms that are a Kullback-Leibler divergence by their names."""
    return [t for t in terms(run) if {"kl", "kld", "kldiv", "divergence"} & set(words_of(t.name))]
