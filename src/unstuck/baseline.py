"""A file of findings that are known and accepted, so that only new ones raise an alarm."""

import json
from collections.abc import Iterable
from pathlib import Path

from unstuck import atomic
from unstuck.policy import Known
from unstuck.records import Diagnosis

SCHEMA = "unstuck.baseline/1"
MOST_BYTES = 100_000_000


def write(path: Path, diagnoses: Iterable[Diagnosis]) -> int:
    """Write every finding of some runs, the accepted ones too; their number."""
    known = sorted(
        {
            (d.run.name, f.code, f.where)
            for d in diagnoses
            for f in (*d.findings, *(a.finding for a in d.accepted))
        }
    )
    rows = [{"run": run, "code": code, "where": where} for run, code, where in known]
    text = json.dumps({"schema": SCHEMA, "findings": rows}, indent=2) + "\n"
    atomic.write_text(path, text)
    return len(rows)


def read(path: Path) -> Known:
    """The findings in a baseline file; ValueError says in one line what is wrong with it."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ValueError(f"{path} is larger than {MOST_BYTES:,} bytes: no baseline")
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["schema"] != SCHEMA:
            raise ValueError(f"{path} is {content['schema']!r}, not {SCHEMA}")
        return frozenset(
            (str(r["run"]), str(r["code"]), str(r["where"])) for r in content["findings"]
        )
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror})") from None
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, RecursionError):
        raise ValueError(f"{path} is no baseline; write one with --write-baseline {path}") from None
