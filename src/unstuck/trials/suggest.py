"""What to try next: Optuna's tree-structured Parzen estimator, asked anew each time.

The study is rebuilt from what is known, so nothing of it is kept between two calls or on disk, and
a search that was interrupted goes on as if it had not been.

Reference: Bergstra et al., Algorithms for Hyper-Parameter Optimization, 2011.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from unstuck.records import Scalar
from unstuck.trials.knobs import Knob
from unstuck.trials.plan import PlanError

FIRST = 3  # random suggestions before the model is asked, and two more for each knob
FAILED = -sys.float_info.max  # worse than anything: the model reads the order of values alone
TRIES = 20  # suggestions that were made before, until there seems to be nothing else


@dataclass(frozen=True, slots=True)
class Tried:
    """A suggestion made before. `worth`: mean so far, higher is better, None where it failed.

    `state`: all its runs are done, some are still to come, or it was given up after the first ones.
    """

    changes: Mapping[str, Scalar]
    state: str  # "done", "running" or "given up"
    worth: float | None = None
    runs: int = 0


def suggested(knobs: Sequence[Knob], tried: Sequence[Tried], seed: int) -> dict[str, Scalar] | None:
    """Values for all knobs that were not tried yet; None where there seem to be no others.

    Raises PlanError where Optuna is missing.
    """
    optuna = loaded()
    before = [dict(t.changes) for t in tried]
    distributions = {knob.change: _distribution(optuna, knob) for knob in knobs}
    trials = [_trial(optuna, knobs, distributions, t) for t in tried]
    for attempt in range(TRIES):
        sampler = optuna.samplers.TPESampler(
            seed=(seed * 1_000_003 + len(tried) * TRIES + attempt) % 2**32,
            n_startup_trials=min(10, FIRST + 2 * len(knobs)),
            multivariate=True,
            constant_liar=True,  # what still runs is not suggested again
        )
        study = optuna.create_study(direction="maximize", sampler=sampler)
        study.add_trials(trials)
        drawn = study.ask(distributions).params
        changes = {k.change: drawn[k.change] if k.choices else _value(k, drawn) for k in knobs}
        if changes not in before:
            return changes
    return None


def loaded() -> ModuleType:
    """Optuna, quiet. Raises PlanError where it is missing."""
    try:
        import optuna
    except ImportError:
        raise PlanError("a search needs Optuna: pip install 'unstuck[tune]'") from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    module: ModuleType = optuna
    return module


def _distribution(optuna: Any, knob: Knob) -> Any:
    kinds = optuna.distributions
    if knob.choices:
        return kinds.CategoricalDistribution(knob.choices)
    if knob.whole:
        return kinds.IntDistribution(int(knob.low), int(knob.high), log=knob.log)
    return kinds.FloatDistribution(knob.low, knob.high, log=knob.log)


def _trial(
    optuna: Any, knobs: Sequence[Knob], distributions: Mapping[str, Any], tried: Tried
) -> Any:
    states = optuna.trial.TrialState
    state = {"done": states.COMPLETE, "running": states.RUNNING, "given up": states.PRUNED}
    worth = FAILED if tried.worth is None else tried.worth
    return optuna.trial.create_trial(
        state=state[tried.state],
        params={knob.change: _parameter(knob, tried.changes[knob.change]) for knob in knobs},
        distributions=distributions,
        value=worth if tried.state == "done" else None,
        intermediate_values={tried.runs: worth} if tried.state == "given up" else {},
    )


def _value(knob: Knob, drawn: Mapping[str, Any]) -> Scalar:
    return knob.value(float(drawn[knob.change]))


def _parameter(knob: Knob, value: Scalar) -> Any:
    """The number behind a value: rounding may have taken it past an end."""
    if knob.choices:
        return value
    number = min(max(float(str(value).removeprefix("x")), knob.low), knob.high)
    return round(number) if knob.whole else number
