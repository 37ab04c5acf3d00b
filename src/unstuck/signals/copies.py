"""Held-out samples that are trained on, too."""

from collections.abc import Iterator

from unstuck.records import Evidence, Run
from unstuck.signals.known import from_the_start, known

SHARED = 0.1  # of the held-out samples; of the test images of CIFAR-100 a tenth (Barz & Denzler)
CHANCE = 0.1  # of these that may be equal because there are few different inputs


def shared_samples(run: Run) -> Iterator[tuple[str, float, Evidence]]:
    """Models of which many held-out samples are copies of trained ones; the share; the evidence.

    >>> def shared(overlap, by_chance=0.0):
    ...     facts = {"labels/net/overlap": overlap, "labels/net/by_chance": by_chance}
    ...     return [where for where, _, _ in shared_samples(Run.of(facts=facts))]
    >>> shared(0.12), shared(0.08), shared(0.5, by_chance=0.1)
    (['net'], [], [])
    """
    for name in run.facts_matching("labels/*/overlap"):
        place, share = name.removesuffix("/overlap"), known(run, name)
        if share > SHARED and known(run, f"{place}/by_chance") < CHANCE * share:
            yield place.split("/", 1)[1], share, from_the_start(run, name, ">", SHARED)
