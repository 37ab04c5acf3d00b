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
            continue
        found = detector(run)
        findings += found
        wanting = detector.wanting(run)
        if wanting and all(f.severity == "info" for f in found):
            unchecked.append(Unchecked(detector.code, wanting, partly=True))
    return Diagnosis(run, arranged(findings, run.last_step + 1), tuple(unchecked))


def arranged(findings: list[Finding], steps: int = 0) -> tuple[Cause, ...]:
    """Findings as causes with the symptoms they explain, likeliest root cause first.

    A finding that another one explains is shown under it and not beside it. Causes are ordered by
    the severity of the worst they stand for, then by how much they explain, then by how early
    they began. `steps` is the length of the run.
    """
    direct = {d.code: d.explains for d in catalog.detectors()}

    def explains(cause: Finding, symptom: Finding) -> bool:
        return (
            symptom.code in direct.get(cause.code, ())
            and cause.since <= symptom.since + LATER * steps
            and not (cause.severity == "info" and symptom.severity != "info")
        )

    below = {id(f): [s for s in findings if explains(f, s)] for f in findings}
    explained = {id(s) for symptoms in below.values() for s in symptoms}
    causes = [Cause(f, _reached(f, below)) for f in findings if id(f) not in explained]
    causes.sort(key=lambda c: (_worst(c), -len(c.symptoms), c.finding.since))
    return tuple(_each_symptom_once(causes))


def _reached(cause: Finding, below: dict[int, list[Finding]]) -> tuple[Finding, ...]:
    """What a cause explains, directly or through another of its symptoms; the worst first."""
    reached: dict[int, Finding] = {}
    waiting = list(below[id(cause)])
    while waiting:
        finding = waiting.pop(0)
        if id(finding) not in reached:
            reached[id(finding)] = finding
            waiting += below[id(finding)]
    return tuple(sorted(reached.values(), key=lambda f: (SEVERITIES.index(f.severity), f.since)))


def _worst(cause: Cause) -> int:
    return min(SEVERITIES.index(f.severity) for f in (cause.finding, *cause.symptoms))


def _each_symptom_once(causes: list[Cause]) -> Iterator[Cause]:
    """Causes in their order, each with only those symptoms that no earlier one has claimed."""
    claimed: set[int] = set()
    for cause in causes:
        mine = tuple(f for f in cause.symptoms if id(f) not in claimed)
        claimed |= {id(f) for f in mine}
        yield Cause(cause.finding, mine)
