"""The values that flow through unstuck.

Run -> Finding -> Diagnosis -> Treatment -> Trial -> Verdict. Every record is frozen, holds plain
numbers and text only, and knows nothing about where it came from or how it is shown.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Op = Literal[">", "<", "not finite"]
Severity = Literal["error", "warning", "info"]
Scalar = float | int | str | bool
Recipe = Mapping[str, Scalar]
Floats = NDArray[np.float64]

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")  # worst first


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """One number over training time. Steps strictly increase.

    A reading that was not taken is absent; NaN and inf are readings like any other.
    `wall` is the wall time of each reading in seconds since the epoch, where it is known.
    """

    name: str
    step: NDArray[np.int64]
    value: Floats
    wall: Floats | None = None

    def __post_init__(self) -> None:
        step = np.array(self.step, dtype=np.int64)
        value = np.array(self.value, dtype=np.float64)
        if step.shape != value.shape or step.ndim != 1:
            raise ValueError(f"{self.name}: step and value must be 1-D and equally long")
        if np.any(np.diff(step) <= 0):
            raise ValueError(f"{self.name}: steps must strictly increase")
        wall = None if self.wall is None else np.array(self.wall, dtype=np.float64)
        if wall is not None and wall.shape != step.shape:
            raise ValueError(f"{self.name}: wall must be as long as step")
        for array in (step, value, wall):
            if array is not None:
                array.setflags(write=False)
        object.__setattr__(self, "step", step)
        object.__setattr__(self, "value", value)
        object.__setattr__(self, "wall", wall)

    def __len__(self) -> int:
        return int(self.step.size)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Series)
            and self.name == other.name
            and np.array_equal(self.step, other.step)
            and np.array_equal(self.value, other.value, equal_nan=True)
        )

    __hash__ = None  # type: ignore[assignment]


@dataclass(frozen=True, slots=True)
class Run:
    """What was asked for (recipe), what was measured (series), what is known once (facts).

    `roles` says what a series is for ("generator", "validation", ...), where that is known.
    """

    series: Mapping[str, Series]
    recipe: Recipe = field(default_factory=dict)
    facts: Mapping[str, Scalar] = field(default_factory=dict)
    roles: Mapping[str, str] = field(default_factory=dict)
    name: str = ""

    @classmethod
    def of(
        cls,
        recipe: Recipe | None = None,
        facts: Mapping[str, Scalar] | None = None,
        **columns: Sequence[float],
    ) -> "Run":
        """Build a small run from plain lists; `__` in a keyword stands for `/`.

        >>> Run.of(loss__train=[2.0, 1.5]).series["loss/train"].value.tolist()
        [2.0, 1.5]
        """
        names = {key.replace("__", "/"): values for key, values in columns.items()}
        series = {
            n: Series(n, np.arange(len(v)), np.array(v, dtype=float)) for n, v in names.items()
        }
        return cls(series, recipe or {}, facts or {})

    def matching(self, pattern: str) -> list[Series]:
        """The series whose name matches a shell pattern (`loss/*`), ordered by name."""
        return [s for name, s in sorted(self.series.items()) if fnmatchcase(name, pattern)]

    def facts_matching(self, pattern: str) -> dict[str, Scalar]:
        """The facts whose name matches a shell pattern, ordered by name."""
        return {n: v for n, v in sorted(self.facts.items()) if fnmatchcase(n, pattern)}

    @property
    def last_step(self) -> int:
        """The largest step of any series; -1 where nothing was read."""
        return max((int(s.step[-1]) for s in self.series.values() if len(s)), default=-1)


def beyond(value: Floats, op: Op, limit: float) -> NDArray[np.bool_]:
    """Where `value op limit` is true; NaN is beyond no limit, but it is not finite."""
    if op == "not finite":
        return np.logical_not(np.isfinite(value))
    return np.greater(value, limit) if op == ">" else np.less(value, limit)


@dataclass(frozen=True, slots=True)
class Evidence:
    """A claim that can be re-checked: `series op limit` throughout `span` (first, last step)."""

    series: Series
    op: Op
    limit: float
    span: tuple[int, int]

    @classmethod
    def of_fact(cls, run: Run, name: str, op: Op, limit: float) -> "Evidence":
        """Evidence on a number known once: a series of one reading, at the end of the run."""
        step = max(run.last_step, 0)
        series = Series(name, np.array([step]), np.array([float(run.facts[name])]))
        return cls(series, op, limit, (step, step))

    def holds(self) -> bool:
        first, last = self.span
        inside = (self.series.step >= first) & (self.series.step <= last)
        value = self.series.value[inside]
        return bool(value.size) and bool(np.all(beyond(value, self.op, self.limit)))


@dataclass(frozen=True, slots=True)
class Finding:
    """One pathology seen in one place over one span of steps.

    `message` (at most 120 characters, no full stop): where, the number, since when.
    """

    code: str
    where: str
    message: str
    evidence: tuple[Evidence, ...]
    severity: Severity = "warning"

    @property
    def since(self) -> int:
        """The first step of the earliest evidence."""
        return min(e.span[0] for e in self.evidence)


@dataclass(frozen=True, slots=True)
class Unchecked:
    """A detector that could not look, and what it lacked. Silence must never mean 'not checked'.

    `partly`: it looked, but what would make a finding of its a sure one was not there.
    """

    code: str
    missing: tuple[str, ...]
    partly: bool = False


@dataclass(frozen=True, slots=True)
class Cause:
    """A finding no other finding explains, with the findings that are only its symptoms."""

    finding: Finding
    symptoms: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Accepted:
    """A finding that somebody knows of and lives with, and why."""

    finding: Finding
    reason: str


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What was found in a run, likeliest root cause first, and what could not be looked for.

    `accepted` findings raise no alarm; `ignored` are the codes nobody wanted to hear of.
    """

    run: Run
    causes: tuple[Cause, ...]
    unchecked: tuple[Unchecked, ...] = ()
    accepted: tuple[Accepted, ...] = ()
    ignored: tuple[str, ...] = ()

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Every finding, causes before their own symptoms."""
        return tuple(f for c in self.causes for f in (c.finding, *c.symptoms))

    def at_least(self, severity: Severity) -> tuple[Finding, ...]:
        """The findings that are as bad as `severity` or worse."""
        worst = SEVERITIES.index(severity)
        return tuple(f for f in self.findings if SEVERITIES.index(f.severity) <= worst)


@dataclass(frozen=True, slots=True)
class Treatment:
    """A remedy with its numbers for this run.

    `changes` maps a recipe field to its new value; a name with a `/` is instead a live change of
    the watched run, under the name of the series it moves (`weight/<loss>/<term>`,
    `lr/<optimizer>`), to an absolute value or, as text, to a multiple (`"x0.1"`).
    """

    name: str
    remedy: str
    changes: Mapping[str, Scalar]
    expectation: str
    answers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """A trial as it was fixed before its first result."""

    metric: str
    baseline: Recipe
    treatments: tuple[Treatment, ...]
    seeds: tuple[int, ...]
    higher_is_better: bool = True
    margin: float = 0.0  # practical equivalence, in units of the metric
    confidence: float = 0.95
    unit: str = ""
    name: str = "trial"
    finding: str = ""  # the code a treatment is hoped to remove, where there is one
    stop_early: bool = False  # look after every seed, and stop where the verdict is clear


@dataclass(frozen=True, slots=True)
class Outcome:
    """One arm run once: its metrics, the codes found in it, or the error it ended with."""

    arm: str
    seed: int
    metrics: Mapping[str, float] = field(default_factory=dict)
    codes: tuple[str, ...] | None = None  # None: the run was not diagnosed
    seconds: float = 0.0
    error: str = ""


VerdictWord = Literal["helped", "harmed", "no difference", "undecided"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the paired runs say about one treatment.

    `effect` is the mean paired difference to the baseline in units of the metric, positive where
    the treatment is better; `low`..`high` its interval at `confidence` after Holm's correction.
    Where a trial that stops early has called it, `effect` is the median unbiased estimate.
    """

    treatment: Treatment
    word: VerdictWord
    effect: float
    low: float
    high: float
    confidence: float
    p: float
    pairs: int  # whole pairs that were used
    lost_finding: int | None = None  # pairs in which the baseline had the finding and lost it
    had_finding: int | None = None
    more_pairs: int | None = None  # further pairs that would settle an undecided verdict
    note: str = ""
    planned_pairs: int | None = None


@dataclass(frozen=True, slots=True)
class Trial:
    """A plan, what came of each run, and what it means."""

    plan: Plan
    outcomes: tuple[Outcome, ...]
    verdicts: tuple[Verdict, ...]
