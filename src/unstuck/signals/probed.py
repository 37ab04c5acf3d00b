"""What a probe has told of each model."""

from unstuck.records import Run, Scalar


def told_of(run: Run, subject: str) -> dict[str, dict[str, Scalar]]:
    """The facts `<subject>/<model>/<what>` by model; a model's name may hold slashes.

    >>> told_of(Run.of(facts={"rate/net/low": 0.1, "rate/net/high": 0.4}), "rate")
    {'net': {'high': 0.4, 'low': 0.1}}
    """
    found: dict[str, dict[str, Scalar]] = {}
    for name, value in run.facts_matching(f"{subject}/*/*").items():
        model, what = name.split("/", 1)[1].rsplit("/", 1)
        found.setdefault(model, {})[what] = value
    return found


def number(facts: dict[str, Scalar], what: str, otherwise: float) -> float:
    """A fact that is a number, or what is to be taken in its place."""
    value = facts.get(what)
    return float(value) if isinstance(value, int | float) else otherwise
