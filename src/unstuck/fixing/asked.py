"""What a fix was asked for, fixed in its folder, so that the same command goes on where it was."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from unstuck import atomic
from unstuck.fixing.confirm import PAIRS
from unstuck.fixing.script import Script

FILE = "asked.json"
SCHEMA = "unstuck.fix/1"
LOCK = "lock"  # of the process that works in the folder


@dataclass(frozen=True, slots=True)
class Asked:
    """Everything that decides which runs a fix makes and how they are judged."""

    words: tuple[str, ...]
    metric: str = ""
    higher: bool | None = None
    margin: float = 0.0
    confidence: float = 0.95
    pairs: int = PAIRS
    treatments: int = 6
    only: str = ""
    runs: int | None = None
    budget: float | None = None
    against: str = ""
    recorded: str = ""  # a run that was recorded earlier


def begin(folder: Path, asked: Asked, script: Script) -> None:
    """Note what is asked for; ValueError where the folder holds another fix.

    Until something has been tried, all but the script and its arguments may be asked anew.
    """
    wanted: dict[str, Any] = json.loads(
        json.dumps({"schema": SCHEMA, **asdict(asked), "script": _digest(script)})
    )
    file = folder / FILE
    if not file.exists():
        if folder.exists() and any(path.name != LOCK for path in folder.iterdir()):
            raise ValueError(f"{folder} is not empty and holds no fix: choose another --out")
        atomic.write_text(file, json.dumps(wanted, indent=2) + "\n")
        return
    try:
        there = json.loads(file.read_text(encoding="utf-8"))
        fixed = wanted if (folder / "race").exists() else ("schema", "words", "recorded", "script")
        differing = [key for key in fixed if there.get(key) != wanted[key]]
    except (OSError, ValueError, AttributeError) as error:
        raise ValueError(f"{file} cannot be read: {error}") from None
    if differing == ["script"]:
        raise ValueError(f"the script has changed since {folder} was begun: choose another --out")
    if differing:
        raise ValueError(
            f"{folder} holds another fix (it differs in {', '.join(differing)}): ask the same "
            f"again, or choose another --out"
        )
    atomic.write_text(file, json.dumps(wanted, indent=2) + "\n")


def _digest(script: Script) -> str:
    file = script.file
    return hashlib.sha256(file.read_bytes()).hexdigest() if file else ""
