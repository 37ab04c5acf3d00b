"""Does a treatment help? Paired runs, an interval, a verdict."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from unstuck.trials.plan import PlanError as PlanError

if TYPE_CHECKING:
    from unstuck.trials.budget import Resources as Resources
    from unstuck.trials.command_line import plan_of as plan_of
    from unstuck.trials.conduct import load_trial as load_trial
    from unstuck.trials.conduct import run_plan as run_plan
    from unstuck.trials.conduct import run_spec as run_spec
    from unstuck.trials.conduct import trial as trial
    from unstuck.trials.spec import read_spec as read_spec

_LATER = {  # a worker starts without scipy and rich
    "Resources": "unstuck.trials.budget",
    "plan_of": "unstuck.trials.command_line",
    "load_trial": "unstuck.trials.conduct",
    "run_plan": "unstuck.trials.conduct",
    "run_spec": "unstuck.trials.conduct",
    "trial": "unstuck.trials.conduct",
    "read_spec": "unstuck.trials.spec",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module 'unstuck.trials' has no attribute {name!r}")
    return getattr(import_module(_LATER[name]), name)
