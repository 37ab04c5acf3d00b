"""A project's settings, `unstuck.toml` or `[tool.unstuck]` in pyproject.toml -> a Policy.

select = ["OPT", "GEN001"]      # codes or families; leave out for all
ignore = ["GEN003"]
fail-on = "warning"
baseline = "unstuck-baseline.json"

[severity]
OPT005 = "info"

[roles]
my_err = "validation"

[per-run]                       # runs by shell pattern; every code with its reason
"frozen-*" = ["OPT004 # the backbone is frozen in this stage"]
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unstuck import baseline
from unstuck.naming import ROLES
from unstuck.policy import Exemption, Policy, checked_code
from unstuck.records import SEVERITIES, Severity

FILE = "unstuck.toml"
KEYS = ("select", "ignore", "fail-on", "baseline", "severity", "roles", "per-run")
MOST_BYTES = 1_000_000


def find(start: Path) -> Path | None:
    """The settings nearest to a directory: in it or above it."""
    for folder in (start.resolve(), *start.resolve().parents):
        if (folder / FILE).is_file():
            return folder / FILE
        project = folder / "pyproject.toml"
        if project.is_file() and "unstuck" in _parsed(project).get("tool", {}):
            return project
    return None


def policy_of(file: Path) -> Policy:
    """The policy a file asks for; ValueError says in one line what is wrong in it."""
    table = _parsed(file)
    if file.name == "pyproject.toml":
        table = table.get("tool", {}).get("unstuck", {})
    unknown = sorted(set(table) - set(KEYS))
    if unknown:
        raise ValueError(f"{file}: unknown key {unknown[0]!r}; there are {', '.join(KEYS)}")
    wanted = table.get("baseline")
    if wanted is not None and not isinstance(wanted, str):
        raise ValueError(f"{file}: baseline must be the name of a file")
    return Policy(
        select=_codes(table, "select", file),
        ignore=_codes(table, "ignore", file),
        severity={
            checked_code(code, f"{file}, severity"): severity_of(word, f"{file}, severity")
            for code, word in _table(table, "severity", file).items()
        },
        exemptions=tuple(_exemptions(_table(table, "per-run", file), file)),
        baseline=baseline.read(file.parent / wanted) if wanted else frozenset(),
        roles=roles_of(_table(table, "roles", file), f"{file}, roles"),
        fail_on=severity_of(table["fail-on"], f"{file}, fail-on") if "fail-on" in table else None,
    )


def severity_of(word: object, where: str) -> Severity:
    found = next((s for s in SEVERITIES if s == word), None)
    if found is None:
        raise ValueError(f"{where}: {word!r} is none of {', '.join(SEVERITIES)}")
    return found


def roles_of(said: Mapping[str, object], where: str) -> dict[str, str]:
    """Name -> role, every role a known one."""
    for name, role in said.items():
        if role not in ROLES:
            raise ValueError(f"{where}: {name} = {role!r} is no role; there are {', '.join(ROLES)}")
    return {name: str(role) for name, role in said.items()}


def _exemptions(table: Mapping[str, object], file: Path) -> list[Exemption]:
    found = []
    for runs, lines in table.items():
        for line in lines if isinstance(lines, list) else [lines]:
            code, mark, reason = str(line).partition("#")
            if not (mark and reason.strip()):
                raise ValueError(
                    f"{file}, per-run {runs!r}: write {str(line)[:80]!r} with its reason, "
                    'as in "OPT004 # the backbone is frozen"'
                )
            found.append(Exemption(runs, checked_code(code, f"{file}, per-run"), reason.strip()))
    return found


def _codes(table: Mapping[str, Any], key: str, file: Path) -> tuple[str, ...]:
    said = table.get(key, [])
    if not isinstance(said, list) or not all(isinstance(code, str) for code in said):
        raise ValueError(f"{file}: {key} must be a list of codes")
    return tuple(checked_code(code, f"{file}, {key}") for code in said)


def _table(table: Mapping[str, Any], key: str, file: Path) -> dict[str, object]:
    said = table.get(key, {})
    if not isinstance(said, dict):
        raise ValueError(f"{file}: {key} must be a table, [{key}]")
    return said


def _parsed(file: Path) -> dict[str, Any]:
    try:
        if file.stat().st_size > MOST_BYTES:
            raise ValueError(f"{file} is larger than {MOST_BYTES:,} bytes: no settings")
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{file} is no TOML: {error}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{file} is no UTF-8 text") from None
    except OSError as error:
        raise ValueError(f"{file} cannot be read ({error.strerror})") from None
