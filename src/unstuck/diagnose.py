"""Run -> Diagnosis. Read this file first."""

from collections.abc import Iterator

from unstuck import catalog
from unstuck.records import SEVERITIES, Cause, Diagnosis, Finding, Run, Unchecked

LATER = 0.1  # share of the run by which a cause may be seen after its symptom: looks are sparse


def diagnose(run: Run) -> Diagnosis:
    """Look for every known pathology; say which ones could not be looked for."""
    findings: list[Finding] = []
    unchecked: list[Unchecked] = []
    for detector in catalog.detectors():
        missing = detector.missing(run)
        if missing:
            unchecked.append(Unchecked(detector.code, missing))
        else:
            findings += detector(run)
    return Diagnosis(run, arranged(findings, run.last_step + 1), tuple(unchecked))


def arranged(findings: list[Finding], steps: int = 0) -> tuple[Cause, ...]:
    """Findings as causes with the symptoms they explain, likeliest root cause first.

    A finding that another one explains is shown under it and not beside it. Causes are ordered by
    the severity of the worst they stand for, then by how much they explain, then by how early
    they began. `steps` is the length of the run.
    """
    explains = explained_codes({f.code for f in findings})

    def explained(symptom: Finding, cause: Finding) -> bool:
        return (
            symptom.code in explains[cause.code]
            and cause.since <= symptom.since + LATER * steps
            and not (cause.severity == "info" and symptom.severity != "info")
        )

    roots = [f for f in findings if not any(explained(f, other) for other in findings)]
    found = [Cause(r, tuple(f for f in findings if explained(f, r))) for r in roots]
    found.sort(key=lambda c: (_worst(c), -len(c.symptoms), c.finding.since))
    return tuple(_each_symptom_once(found))


def _worst(cause: Cause) -> int:
    return min(SEVERITIES.index(f.severity) for f in (cause.finding, *cause.symptoms))


def _each_symptom_once(causes: list[Cause]) -> Iterator[Cause]:
    """Causes in their order, each with only those symptoms that no earlier one has claimed."""
    claimed: set[int] = set()
    for cause in causes:
        mine = tuple(f for f in cause.symptoms if id(f) not in claimed)
        claimed |= {id(f) for f in mine}
        yield Cause(cause.finding, mine)


def explained_codes(found: set[str]) -> dict[str, set[str]]:
    """For each found code, the found codes it explains, directly or through another."""
    direct = {d.code: set(d.explains) & found for d in catalog.detectors() if d.code in found}
    reached = {code: set(direct.get(code, ())) for code in found}
    for _ in found:
        for code in found:
            for other in tuple(reached[code]):
                reached[code] |= reached[other]
    return reached
