"""Run -> Diagnosis. Read this file first."""

from unstuck import catalog
from unstuck.records import SEVERITIES, Cause, Diagnosis, Finding, Run, Unchecked


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
    return Diagnosis(run, arranged(findings), tuple(unchecked))


def arranged(findings: list[Finding]) -> tuple[Cause, ...]:
    """Findings as causes with the symptoms they explain, likeliest root cause first.

    A finding whose code a found cause explains is shown under it and not beside it. Causes are
    ordered by severity, then by how much they explain, then by how early they began.
    """
    explains = explained_codes({f.code for f in findings})
    explained = set().union(*explains.values()) if explains else set()
    causes = []
    claimed: set[int] = set()
    roots = [f for f in findings if f.code not in explained]
    roots.sort(key=lambda f: (SEVERITIES.index(f.severity), -len(explains[f.code]), f.since))
    for root in roots:
        mine = [f for f in findings if f.code in explains[root.code] and id(f) not in claimed]
        claimed |= {id(f) for f in mine}
        causes.append(Cause(root, tuple(mine)))
    return tuple(causes)


def explained_codes(found: set[str]) -> dict[str, set[str]]:
    """For each found code, the found codes it explains, directly or through another."""
    direct = {d.code: set(d.explains) & found for d in catalog.detectors() if d.code in found}
    reached = {code: set(direct.get(code, ())) for code in found}
    for _ in found:
        for code in found:
            for other in tuple(reached[code]):
                reached[code] |= reached[other]
    return reached
