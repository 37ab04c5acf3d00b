"""What a project wants to hear of: codes chosen, severities set, findings accepted and why."""

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase

from unstuck import catalog
from unstuck.diagnose import arranged
from unstuck.records import Accepted, Diagnosis, Finding, Severity

KNOWN_BEFORE = "in the baseline"
_FAMILY = re.compile(r"[A-Z]{3}")
Known = frozenset[tuple[str, str, str]]  # run, code, where


@dataclass(frozen=True, slots=True)
class Exemption:
    """In runs whose name matches a shell pattern, a code (or family) is accepted, and why."""

    runs: str
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Policy:
    """Codes are written out (`OPT003`) or as a family (`OPT`). The empty policy changes nothing."""

    select: tuple[str, ...] = ()  # empty: all
    ignore: tuple[str, ...] = ()
    severity: Mapping[str, Severity] = field(default_factory=dict)
    exemptions: tuple[Exemption, ...] = ()
    baseline: Known = frozenset()
    roles: Mapping[str, str] = field(default_factory=dict)
    fail_on: Severity | None = None


def judged(diagnosis: Diagnosis, policy: Policy) -> Diagnosis:
    """The diagnosis as the policy wants it: what is left is arranged as causes anew."""
    ignored = tuple(d.code for d in catalog.detectors() if not _wanted(d.code, policy))
    left: list[Finding] = []
    accepted: list[Accepted] = []
    for finding in diagnosis.findings:
        if finding.code in ignored:
            continue
        reason = _reason(diagnosis.run.name, finding, policy)
        if reason:
            accepted.append(Accepted(finding, reason))
        else:
            left.append(replace(finding, severity=_severity(finding, policy)))
    return replace(
        diagnosis,
        causes=arranged(left, diagnosis.run.last_step + 1),
        unchecked=tuple(u for u in diagnosis.unchecked if u.code not in ignored),
        accepted=tuple(accepted),
        ignored=ignored,
    )


def checked_code(code: str, where: str) -> str:
    """The code or family as it is known; ValueError names the nearest one where it is not.

    >>> checked_code("opt003", "--ignore"), checked_code("GEN", "--ignore")
    ('OPT003', 'GEN')
    """
    known = {d.code for d in catalog.detectors()}
    known |= {c[:3] for c in known}
    plain = code.strip().upper()
    names = {d.name: d.code for d in catalog.detectors()}
    plain = names.get(code.strip().lower(), plain)
    if plain in known:
        return plain
    near = difflib.get_close_matches(plain, sorted(known), 1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise ValueError(f"{where}: no pathology is called {code[:80]!r}{hint}")


def matches(code: str, wanted: str) -> bool:
    """Whether a code is the wanted one or of the wanted family."""
    return code == wanted or (bool(_FAMILY.fullmatch(wanted)) and code.startswith(wanted))


def _wanted(code: str, policy: Policy) -> bool:
    chosen = not policy.select or any(matches(code, s) for s in policy.select)
    return chosen and not any(matches(code, i) for i in policy.ignore)


def _severity(finding: Finding, policy: Policy) -> Severity:
    said = policy.severity
    return said.get(finding.code) or said.get(finding.code[:3]) or finding.severity


def _reason(run: str, finding: Finding, policy: Policy) -> str:
    for exemption in policy.exemptions:
        if fnmatchcase(run, exemption.runs) and matches(finding.code, exemption.code):
            return exemption.reason
    known = (run, finding.code, finding.where) in policy.baseline
    return KNOWN_BEFORE if known else ""
