"""Examination -> go or no-go, with the reasons: what a person wants to know before hours are spent.

No-go: a finding that says nothing useful will come of it (*error*), or a batch that does not fit
the card. What costs quality or time (*warning*) is told and does not stop anybody. Where no probe
could look there is no answer at all.
"""

from dataclasses import dataclass

from unstuck.experiment import Examination
from unstuck.records import Scalar

FULL = 1.0  # share of the card's memory


@dataclass(frozen=True, slots=True)
class Decision:
    """`go` is None where nothing could be probed."""

    go: bool | None
    reasons: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def word(self) -> str:
        if self.go is None:
            return "no answer"
        return "go" if self.go else "no-go"


def decided(examination: Examination) -> Decision:
    """Whether to start the training that was examined."""
    if not examination.results:
        told = [f"{name}: {reason}" for name, reason in examination.left_out.items()]
        return Decision(None, tuple(told) or ("no probe was asked for",), ())
    findings = examination.diagnosis.findings
    errors = tuple(f"{f.code} {f.message}" for f in findings if f.severity == "error")
    errors += _too_large(examination.facts)
    warnings = tuple(f"{f.code} {f.message}" for f in findings if f.severity == "warning")
    return Decision(not errors, errors, warnings + _not_the_same(examination.facts))


def _too_large(facts: dict[str, Scalar]) -> tuple[str, ...]:
    told = []
    for name, value in facts.items():
        what, _, which = name.rpartition("/")
        if what.startswith("memory_plan/") and which == "share" and float(value) > FULL:
            told.append(
                f"the batch in use needs {100 * float(value):.0f} % of the card's memory; the "
                f"largest that fits is {facts.get(f'{what}/largest_batch', 0)}"
            )
    return tuple(told)


def _not_the_same(facts: dict[str, Scalar]) -> tuple[str, ...]:
    return tuple(
        f"the same seed gives other numbers, first in {facts.get(name[:-4] + 'first_op', '?')}"
        for name, value in facts.items()
        if name.startswith("determinism/") and name.endswith("/same") and not value
    )
