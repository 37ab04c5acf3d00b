"""A trial as it is fixed before its first result: checked, and to and from JSON."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from unstuck.changes import parsed
from unstuck.records import Plan, Recipe, Scalar, Treatment

BASELINE = "baseline"  # the name of the untreated arm


class PlanError(ValueError):
    """A trial that cannot be run as it is written; the message says what is wrong, what to do."""


def planned(
    metric: str,
    baseline: Recipe,
    treatments: Mapping[str, Recipe] | Sequence[Treatment],
    seeds: Sequence[int] | int,
    **rest: Any,
) -> Plan:
    """A checked plan; `rest` are the other fields of `Plan`. Raises PlanError.

    `seeds` is a list or a count; `treatments` maps names to recipe changes or is a list of
    `Treatment`. A treatment without changes makes an A/A comparison.

    >>> planned("psnr", {"lr": 0.1}, {"low": {"lr": 0.01}}, 3).seeds
    (0, 1, 2)
    """
    if isinstance(treatments, Mapping):
        treatments = [Treatment(str(n), "", _changes(n, c), "") for n, c in treatments.items()]
    plan = Plan(
        metric,
        plain(baseline, "the baseline"),
        tuple(_plain_treatment(t) for t in treatments),
        _seeds(seeds),
        **rest,
    )
    _check_numbers(plan)
    _check_treatments(plan)
    return plan


def plain(recipe: Recipe, of: str) -> dict[str, Scalar]:
    """The recipe with plain Python numbers and text only; `of` names it in errors."""
    if not isinstance(recipe, Mapping):
        raise PlanError(f"{of} must map recipe fields to values, not be {type(recipe).__name__}")
    return {str(name): _scalar(value, f"{name} of {of}") for name, value in recipe.items()}


def arms(plan: Plan) -> dict[str, dict[str, Scalar]]:
    """The recipe of every arm, live changes included: the baseline first, then the treatments."""
    recipes = {BASELINE: dict(plan.baseline)}
    for treatment in plan.treatments:
        recipes[treatment.name] = {**plan.baseline, **treatment.changes}
    return recipes


def asked(recipe: Recipe) -> dict[str, Scalar]:
    """The part of an arm's recipe that the training is given."""
    return {name: value for name, value in recipe.items() if "/" not in name}


def live(recipe: Recipe) -> dict[str, Scalar]:
    """The part of an arm's recipe that changes the watched run: names with a slash."""
    return {name: value for name, value in recipe.items() if "/" in name}


def to_json(plan: Plan) -> dict[str, Any]:
    """The plan as JSON values; a plan that does not stop early reads as it did in older folders."""
    fields = asdict(plan)
    if not plan.stop_early:
        del fields["stop_early"]
    return fields


def from_json(values: Mapping[str, Any]) -> Plan:
    """The plan `to_json` wrote. Raises PlanError where it is none."""
    try:
        fields = dict(values)
        treatments = [
            Treatment(**{**t, "answers": tuple(t["answers"])}) for t in fields.pop("treatments")
        ]
        return planned(
            fields.pop("metric"), fields.pop("baseline"), treatments, fields.pop("seeds"), **fields
        )
    except (KeyError, TypeError) as error:
        raise PlanError(f"this is no plan of a trial: {error}") from error


def _scalar(value: Any, of: str) -> Scalar:
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        value = value.item()  # a numpy number
    if not isinstance(value, (bool, int, float, str)):
        kind = type(value).__name__
        raise PlanError(f"{of} must be a number, text or true/false, not {kind}")
    if isinstance(value, float) and not math.isfinite(value):
        raise PlanError(f"{of} must be finite, not {value}")
    return value


def _changes(name: str, changes: Any) -> dict[str, Scalar]:
    return plain(changes, f"treatment '{name}'")


def _plain_treatment(treatment: Treatment) -> Treatment:
    if not isinstance(treatment, Treatment):
        kind = type(treatment).__name__
        raise PlanError(f"treatments must map names to recipe changes, found a {kind}")
    return Treatment(
        treatment.name,
        treatment.remedy,
        _changes(treatment.name, treatment.changes),
        treatment.expectation,
        tuple(treatment.answers),
    )


def _seeds(seeds: Sequence[int] | int) -> tuple[int, ...]:
    values = tuple(range(seeds)) if isinstance(seeds, int) else tuple(seeds)
    if not values:
        raise PlanError("a trial needs seeds: a list of them or a count of at least 1")
    for value in values:
        if isinstance(value, bool) or not hasattr(value, "__index__") or int(value) < 0:
            raise PlanError(f"a seed must be a whole number from 0 on, not {value!r}")
    twice = sorted({int(v) for v in values if values.count(v) > 1})
    if twice:
        raise PlanError(f"seed {twice[0]} is given twice: each pair needs its own")
    return tuple(int(v) for v in values)


def _check_numbers(plan: Plan) -> None:
    if not isinstance(plan.metric, str) or not plan.metric.strip():
        raise PlanError("a trial needs a metric: the name of the number to compare")
    for name in ("higher_is_better", "stop_early"):
        if not isinstance(getattr(plan, name), bool):
            raise PlanError(f"{name} must be true or false, not {getattr(plan, name)!r}")
    for name, low, high in (("margin", 0.0, math.inf), ("confidence", 0.5, 1.0)):
        value = getattr(plan, name)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise PlanError(f"{name} must be a number, not {value!r}")
        if not low <= value < high:
            raise PlanError(f"{name} must be at least {low:g} and below {high:g}, not {value}")
    for name in ("unit", "name", "finding"):
        if not isinstance(getattr(plan, name), str):
            raise PlanError(f"{name} must be text, not {getattr(plan, name)!r}")


def _check_treatments(plan: Plan) -> None:
    if not plan.treatments:
        raise PlanError("a trial needs at least one treatment to compare with the baseline")
    names = [BASELINE, *(t.name for t in plan.treatments)]
    for name in names:
        if not name.strip():
            raise PlanError("a treatment needs a name")
        if names.count(name) > 1:
            raise PlanError(f"two arms are called '{name}': give each treatment its own name")
    for of, recipe in ((BASELINE, plan.baseline), *((t.name, t.changes) for t in plan.treatments)):
        try:
            parsed(live(recipe))
        except ValueError as error:
            raise PlanError(f"'{of}': {error}") from None
    for treatment in plan.treatments:
        for field in treatment.changes:
            if "/" not in field and field not in plan.baseline:
                known = ", ".join(plan.baseline) or "none"
                raise PlanError(
                    f"treatment '{treatment.name}' changes '{field}', which the baseline does "
                    f"not have (it has: {known})"
                )
