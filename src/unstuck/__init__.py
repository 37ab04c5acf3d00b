"""unstuck finds out why a training run is stuck, names the cause and proves the fix.

`watch`, `log`, `note` and `probe` need torch and are loaded when first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from unstuck.diagnose import diagnose as diagnose
from unstuck.load import load as load
from unstuck.records import Cause as Cause
from unstuck.records import Diagnosis as Diagnosis
from unstuck.records import Evidence as Evidence
from unstuck.records import Finding as Finding
from unstuck.records import Outcome as Outcome
from unstuck.records import Plan as Plan
from unstuck.records import Run as Run
from unstuck.records import Series as Series
from unstuck.records import Treatment as Treatment
from unstuck.records import Trial as Trial
from unstuck.records import Unchecked as Unchecked
from unstuck.records import Verdict as Verdict
from unstuck.source import UnreadableRunError as UnreadableRunError
from unstuck.watcher.telling import embedding as embedding
from unstuck.watcher.telling import generated as generated
from unstuck.watcher.telling import pair as pair
from unstuck.watcher.telling import pool as pool
from unstuck.watcher.telling import targets as targets

if TYPE_CHECKING:
    from unstuck.lab.families import Family as Family
    from unstuck.lab.families import Recovery as Recovery
    from unstuck.lab.families_checkpoint import recovered_from_file as recovered_from_file
    from unstuck.lab.paths import path_reliance as path_reliance
    from unstuck.lab.subject import Rollout as Rollout
    from unstuck.lab.subject import Subject as Subject
    from unstuck.trials import trial as trial
    from unstuck.watcher.session import log as log
    from unstuck.watcher.session import note as note
    from unstuck.watcher.session import probe as probe
    from unstuck.watcher.session import watch as watch

_LATER = {
    "watch": "unstuck.watcher.session",
    "log": "unstuck.watcher.session",
    "note": "unstuck.watcher.session",
    "probe": "unstuck.watcher.session",
    "Family": "unstuck.lab.families",
    "Recovery": "unstuck.lab.families",
    "recovered_from_file": "unstuck.lab.families_checkpoint",
    "Subject": "unstuck.lab.subject",
    "Rollout": "unstuck.lab.subject",
    "trial": "unstuck.trials",
    "path_reliance": "unstuck.lab.paths",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module 'unstuck' has no attribute {name!r}")
    try:
        return getattr(import_module(_LATER[name]), name)
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise ImportError(f"unstuck.{name} needs torch: pip install 'unstuck[torch]'") from None
