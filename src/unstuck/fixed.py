"""The values of a fix: what is judged by, how each candidate fared, what is proven.

Diagnosis -> candidates -> Race -> Confirmation -> Fixed. Plain frozen values, like `records`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from unstuck.records import Diagnosis, Treatment, Trial, Verdict, VerdictWord

Kind = Literal["asked", "validation", "return", "training loss", "none"]
Judging = Literal["effect", "ranks", "finding"]
Word = Literal["proven", "finding gone", "harmed", "not proven", "nothing to try", "nothing to fix"]

GOOD: tuple[Word, ...] = ("proven", "finding gone", "nothing to fix")


@dataclass(frozen=True, slots=True)
class Yardstick:
    """The number a fix is judged by and why it was chosen.

    Kind "none": no number of this run can be compared, so that only the finding is judged;
    `metric` is then recorded and no more. `start`: what the untreated run began with, where that is
    known; a run that fails counts as one that never got away from it.
    """

    metric: str
    higher_is_better: bool
    kind: Kind
    why: str
    start: float | None = None

    @property
    def floor(self) -> float:
        """The worth (higher is better) of a run that fails, in units of the metric."""
        if self.start is None:
            return -math.inf
        return self.start if self.higher_is_better else -self.start


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A remedy that only a person can apply, or a treatment that was not tried, and why."""

    code: str
    remedy: str
    text: str


@dataclass(frozen=True, slots=True)
class Standing:
    """How one candidate fared in the race.

    `differences`: seed -> metric against the untreated run of that seed, better = positive; NaN
    where one of the two failed. Where only the finding is judged: 1 where it is gone.
    `left_after` is the round it was dropped after, 0 for the winner.
    """

    treatment: Treatment
    differences: Mapping[int, float]
    failed: int = 0
    left_after: int = 0
    why: str = ""


@dataclass(frozen=True, slots=True)
class Race:
    """Candidates against the untreated script on the race's own seeds, fewer each round."""

    standings: tuple[Standing, ...]
    seeds: tuple[tuple[int, ...], ...]  # of each round
    untreated: Mapping[int, float]  # seed -> metric, NaN where the run failed
    runs: int = 0
    seconds: float = 0.0  # of training, all runs together
    note: str = ""

    @property
    def winner(self) -> Standing | None:
        return next((s for s in self.standings if not s.left_after), None)


@dataclass(frozen=True, slots=True)
class Ranks:
    """Pairs in which the treated run was better, worse or the same; a failed run is worst."""

    better: int
    worse: int
    same: int
    p: float  # exact two-sided signed-rank test
    median: float  # of the differences of pairs that both ended; NaN where there is none
    low: float  # exact interval of that median
    high: float


@dataclass(frozen=True, slots=True)
class Confirmation:
    """One treatment against the baseline on fresh seeds, judged as planned beforehand."""

    treatment: Treatment
    trial: Trial
    judging: Judging
    word: VerdictWord
    ranks: Ranks | None = None
    note: str = ""

    @property
    def verdict(self) -> Verdict:
        return self.trial.verdicts[0]

    @property
    def seconds(self) -> float:
        return sum(o.seconds for o in self.trial.outcomes)


@dataclass(frozen=True, slots=True)
class Opponent:
    """Random search over the same knobs: as many runs in search, the same confirmation."""

    drawn: int
    runs: int
    seconds: float
    confirmation: Confirmation | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting as it was and as it is proposed, as text."""

    name: str
    before: str
    after: str
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Fixed:
    """All that came of one `unstuck fix`."""

    script: str  # the command line, for people
    diagnosis: Diagnosis
    word: Word
    yardstick: Yardstick | None = None
    candidates: tuple[Treatment, ...] = ()
    suggested: tuple[Suggestion, ...] = ()
    race: Race | None = None
    confirmation: Confirmation | None = None
    opponent: Opponent | None = None
    settings: tuple[Setting, ...] = ()
    again: str = ""  # the command line that trains with the proven change
    patch: str = ""  # a unified diff
    patch_note: str = ""
    notes: Sequence[str] = field(default=())
    seconds: float = 0.0  # of all runs together, the first one included
    runs: int = 0
