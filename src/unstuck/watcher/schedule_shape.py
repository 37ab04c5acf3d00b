"""What a scheduler of learning rates would have asked for, had it been stepped.

It is asked of a copy that holds copies of the optimizer's groups, so that nothing moves.
"""

import copy
import functools
import math
import sys
from types import SimpleNamespace
from typing import Any

from torch import Tensor
from torch.optim.lr_scheduler import CosineAnnealingWarmRestarts, LRScheduler

from unstuck.watcher.naming import is_library

LENGTHS = ("total_steps", "T_max", "total_iters")
EQUAL = 1e-9  # of a rate: less is rounding


def length(scheduler: LRScheduler) -> int:
    """Steps from its beginning to its end; 0 where it has no end or does not say."""
    found = (vars(scheduler).get(name) for name in LENGTHS)
    return next((n for n in found if isinstance(n, int) and n > 0), 0)


def share(scheduler: LRScheduler) -> float:
    """Its first rate over the one it was made for: the group where that is largest; 1 if unknown.

    Of OneCycleLR and CyclicLR: over the highest one.
    """
    now, groups = _rates(getattr(scheduler, "_last_lr", None)), scheduler.optimizer.param_groups
    made = [max(_number(g, "initial_lr"), _number(g, "max_lr")) for g in groups]
    found = [rate / high for rate, high in zip(now, made, strict=False) if high > 0]
    return max(found, default=1.0)


def is_quiet(scheduler: LRScheduler) -> bool:
    """Whether asking it runs none of the user's code, and waits for no device."""
    held = vars(scheduler)
    if any(isinstance(r, Tensor) and r.device.type != "cpu" for r in held.get("_last_lr") or ()):
        return False
    functions = [*(held.get("lr_lambdas") or ()), held.get("_scale_fn_custom")]
    module = sys.modules.get(type(scheduler).__module__)
    files = [getattr(module, "__file__", None) or "", *(_file(f) for f in functions if f)]
    return all(file and is_library(file) for file in files)


def first_move(scheduler: LRScheduler, most: int) -> int | None:
    """After how many steps it asks for another rate than its first; 0 if it has not by `most`.

    None where it cannot be said: it needs a metric, is made of others, or fails.
    """
    if type(scheduler).get_lr is LRScheduler.get_lr:
        return None
    if isinstance(scheduler, CosineAnnealingWarmRestarts):
        return 1
    try:
        return _first_move(scheduler, most)
    except Exception:  # whatever a user's own schedule does outside its loop
        return None


def _first_move(scheduler: LRScheduler, most: int) -> int:
    first = _rates(scheduler.get_last_lr())
    before, at = 0, 1
    while not _differ(_asked(scheduler, at), first):
        if at >= most:
            return 0
        before, at = at, min(2 * at, most)
    while at - before > 1:
        middle = (at + before) // 2
        if _differ(_asked(scheduler, middle), first):
            at = middle
        else:
            before = middle
    return at


def _asked(scheduler: LRScheduler, steps: int) -> list[float]:
    """The rates of all groups after so many steps."""
    shadow: Any = copy.copy(scheduler)
    rates = _rates(scheduler.get_last_lr())
    groups = [
        {**group, "params": [], "lr": rate}
        for group, rate in zip(scheduler.optimizer.param_groups, rates, strict=True)
    ]
    shadow.optimizer = SimpleNamespace(param_groups=groups)
    shadow.last_epoch = scheduler.last_epoch + steps
    shadow._get_lr_called_within_step = True
    closed = getattr(shadow, "_get_closed_form_lr", None)
    return _rates(closed() if closed is not None else shadow.get_lr())


def _differ(asked: list[float], first: list[float]) -> bool:
    return any(
        not math.isclose(a, b, rel_tol=EQUAL, abs_tol=0.0)
        for a, b in zip(asked, first, strict=True)
    )


def _rates(values: Any) -> list[float]:
    return [float(value) for value in values or ()]


def _number(group: dict[str, Any], key: str) -> float:
    value = group.get(key)
    return float(value) if value is not None else 0.0


def _file(function: Any) -> str:
    while isinstance(function, functools.partial):
        function = function.func
    code = getattr(function, "__code__", None)
    return code.co_filename if code is not None else ""
