"""Findings as annotations of a GitHub workflow: one line each on standard output."""

from pathlib import Path

from unstuck.records import Diagnosis
from unstuck.report import story
from unstuck.report.text import clean

WORDS = {"error": "error", "warning": "warning", "info": "notice"}


def annotations(diagnosis: Diagnosis, path: Path) -> list[str]:
    """A workflow command for every cause, with the number of symptoms it explains.

    Source: GitHub's documentation of workflow commands, "Setting an error message".
    """
    return [
        f"::{WORDS[cause.finding.severity]} "
        f"file={_property(str(path))},"
        f"title={_property(f'{cause.finding.code} {story.name_of(cause.finding.code)}')}::"
        + _data(
            f"{clean(diagnosis.run.name)}: {story.message(cause.finding)}"
            + (f" (explains {len(cause.symptoms)} more)" if cause.symptoms else "")
        )
        for cause in diagnosis.causes
    ]


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(clean(text)).replace(":", "%3A").replace(",", "%2C")
