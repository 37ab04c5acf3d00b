"""Diagnosis -> Treatments: what could be tried, for the likeliest cause first."""

from unstuck import catalog
from unstuck.records import Diagnosis, Treatment


def prescribe(diagnosis: Diagnosis) -> tuple[Treatment, ...]:
    """Treatments that answer the causes found, each kind once, in the order of the causes."""
    found: dict[tuple[str, tuple[tuple[str, object], ...]], Treatment] = {}
    for cause in diagnosis.causes:
        for remedy in catalog.remedies():
            if cause.finding.code in remedy.answers:
                for treatment in remedy(diagnosis.run, cause.finding):
                    key = (treatment.remedy, tuple(treatment.changes.items()))
                    found.setdefault(key, treatment)
    return tuple(found.values())
