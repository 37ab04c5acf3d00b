"""Subject -> Examination: probes one by one, everything put back, the facts diagnosed."""

import time
from collections.abc import Callable, Iterable, Sequence

import torch

from unstuck import catalog
from unstuck.diagnose import diagnose
from unstuck.experiment import Examination, NotProbed, Probe, Result
from unstuck.lab.generators import generators
from unstuck.lab.subject import Subject
from unstuck.lab.untouched import untouched
from unstuck.records import Run

Told = Callable[[str], None]


def chosen(names: Iterable[str] = (), *, cheap: bool = False) -> tuple[Probe, ...]:
    """Probes by name, all for none; ValueError names the ones there are."""
    known = {probe.name: probe for probe in catalog.probes()}
    wanted = list(names)
    for name in wanted:
        if name not in known:
            raise ValueError(f"there is no probe {name[:80]!r}; there are: {', '.join(known)}")
    if wanted:
        return tuple(known[name] for name in wanted)
    return tuple(p for p in known.values() if p.cheap or not cheap)


def examined(
    subject: Subject,
    probes: Sequence[Probe],
    *,
    seconds: float = float("inf"),
    about: Told = lambda name: None,
) -> Examination:
    """Run the probes; the subject is bitwise what it was after each, also where one is broken off.

    `seconds`: time for all of them, of which each gets an equal share of what is left. `about` is
    told each probe's name before it runs. An experiment that fails (out of memory, a model that
    cannot run in evaluation mode) is left out with its reason and costs only itself.
    """
    results: dict[str, Result] = {}
    left_out: dict[str, str] = {}
    took: dict[str, float] = {}
    began = time.monotonic()
    for index, probe in enumerate(probes):
        left = seconds - (time.monotonic() - began)
        if left <= 0:
            left_out[probe.name] = f"no time was left of {seconds:.3g} s"
            continue
        about(probe.name)
        start = time.monotonic()
        try:
            results[probe.name] = performed(probe, subject, left / (len(probes) - index))
        except NotProbed as reason:
            left_out[probe.name] = str(reason)
        except Exception as error:  # the user's model may raise anything in an odd mode
            left_out[probe.name] = f"failed: {type(error).__name__}: {' '.join(str(error).split())}"
        took[probe.name] = time.monotonic() - start
    facts = {name: value for result in results.values() for name, value in result.facts.items()}
    run = Run({}, facts=facts, name=subject.name)
    return Examination(results, left_out, took, diagnose(run))


def performed(probe: Probe, subject: Subject, seconds: float = float("inf")) -> Result:
    """One probe, and everything put back."""
    held = generators(subject)
    modules = (subject.model, *subject.others)
    try:
        with untouched(modules, subject.optimizer), torch.enable_grad():
            return probe(subject, seconds=seconds)
    finally:
        for restore in held.values():
            restore()
