"""A diagnosis as a dashboard shows it: Markdown, and short tags. Names in it are untrusted."""

import html
import re

from unstuck.prescribe import prescribe
from unstuck.records import Cause, Diagnosis, Finding
from unstuck.report import story
from unstuck.report.text import clean

MOST_FINDINGS = 50
MOST_TREATMENTS = 10


def markdown(diagnosis: Diagnosis) -> str:
    """Causes with their evidence and symptoms, what could be tried, what was not looked for."""
    lines = [f"# unstuck: {plain(diagnosis.run.name) or 'run'}", ""]
    if not diagnosis.causes:
        lines += [f"Nothing found: {plain(story.checked(diagnosis))}.", ""]
    for cause in diagnosis.causes[:MOST_FINDINGS]:
        lines += _cause(cause)
    treatments = prescribe(diagnosis)[:MOST_TREATMENTS]
    if treatments:
        lines += ["## What to try", ""]
        for treatment in treatments:
            changes = ", ".join(story.changes(treatment, diagnosis.run.recipe))
            answers = " ".join(clean(code, 20) for code in treatment.answers)
            lines.append(f"- **{plain(treatment.name)}** ({plain(answers)}): {plain(changes)}")
        lines.append("")
    if diagnosis.causes:
        lines.append(plain(story.checked(diagnosis)) + ".")
    for missing, codes in story.unchecked_groups(diagnosis):
        lines.append(f"- not checked: {plain(' '.join(codes))}, no {plain(', '.join(missing))}")
    return "\n".join(lines) + "\n"


def _cause(cause: Cause) -> list[str]:
    finding = cause.finding
    lines = [f"## {finding.severity}: {plain(story.headline(finding))}", ""]
    for evidence in finding.evidence[:6]:
        lines.append(f"- {plain(evidence.series.name)} {plain(story.claim(evidence))}")
    if cause.symptoms:
        lines.append("- explains:")
    lines += [f"    - {plain(story.headline(s))}" for s in cause.symptoms[:MOST_FINDINGS]]
    return [*lines, ""]


def tags(diagnosis: Diagnosis) -> dict[str, str]:
    """The findings in a few words each: by code, all codes, and how bad the worst is."""
    found: dict[str, str] = {}
    for finding in diagnosis.findings[:MOST_FINDINGS]:
        found.setdefault(finding.code, short(finding))
    codes = " ".join(found)
    worst = next((s for s in ("error", "warning", "info") if diagnosis.at_least(s)), "none")
    return {"findings": codes or "none", "worst": worst, **found}


def short(finding: Finding) -> str:
    """Severity, name and message in one line."""
    return f"{finding.severity}: {clean(story.headline(finding), 300)}"


def plain(text: str) -> str:
    r"""Text that Markdown and HTML take for nothing but text.

    >>> plain("loss/<b>*x*[a](b)`")
    'loss/&lt;b&gt;\\*x\\*\\[a\\]\\(b\\)\\`'
    """
    return re.sub(r"([\\`*_\[\](){}#|~!])", r"\\\1", html.escape(clean(text, 2000), quote=False))
