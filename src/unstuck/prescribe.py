"""Diagnosis -> Treatments: what could be tried, for the likeliest cause first."""

import re

from unstuck import catalog
from unstuck.changes import parsed
from unstuck.detector import Detector
from unstuck.records import Diagnosis, Treatment
from unstuck.remedy import Remedy


def prescribe(diagnosis: Diagnosis) -> tuple[Treatment, ...]:
    """Treatments that answer the causes found, each set of changes once, in the order of the
    causes and, for one cause, in the order in which its page names the remedies.
    """
    pages = {detector.code: detector for detector in catalog.detectors()}
    found: dict[tuple[tuple[str, object], ...], Treatment] = {}
    for cause in diagnosis.causes:
        code = cause.finding.code
        for remedy in _answering(code, pages.get(code)):
            for treatment in remedy(diagnosis.run, cause.finding):
                if _can_be_asked_for(treatment):
                    found.setdefault(tuple(sorted(treatment.changes.items())), treatment)
    return tuple(found.values())


def _can_be_asked_for(treatment: Treatment) -> bool:
    """Whether its live changes can be written: a name out of a foreign log may hold a slash."""
    try:
        parsed({name: value for name, value in treatment.changes.items() if "/" in name})
    except ValueError:
        return False
    return True


def _answering(code: str, detector: Detector | None) -> list[Remedy]:
    """The remedies of a code, the ones named first under "What to try" first."""
    advice = detector.page.partition("## What to try")[2] if detector else ""
    named = re.findall(r"`([a-z0-9-]+)`", advice.partition("\n## ")[0])
    answering = [remedy for remedy in catalog.remedies() if code in remedy.answers]
    return sorted(answering, key=lambda r: named.index(r.name) if r.name in named else len(named))
