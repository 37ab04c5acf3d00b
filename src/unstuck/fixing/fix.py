"""Script -> Fixed, in three steps: what is wrong, what will be tried, what is proven. Read first.

Everything lies in one folder, and the same call goes on where an interrupted one stopped:

asked.json   what was asked for
before/      the script as it is, watched
race/        round-1, round-2 ...: each a trial
confirm/     the winner on fresh seeds: a trial
against/     random search: search and confirm, where it was asked for
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from unstuck.diagnose import diagnose
from unstuck.fixed import Confirmation, Fixed, Opponent, Race, Suggestion, Word, Yardstick
from unstuck.fixing import asked as folder_of
from unstuck.fixing import candidates as chosen
from unstuck.fixing import confirm, opponent, ranks, yardstick
from unstuck.fixing.asked import Asked
from unstuck.fixing.before import Before, recorded, trained
from unstuck.fixing.conducted import Conditions, conducted, length
from unstuck.fixing.cost import Cost, fitted
from unstuck.fixing.race import raced, seeds_of_rounds
from unstuck.fixing.ranks import Worth
from unstuck.fixing.script import Script
from unstuck.records import Diagnosis, Plan, Run, Treatment, Trial
from unstuck.trials.local import usual_workers

STARTING = 3.0  # seconds that a Python with torch takes to begin


@dataclass(frozen=True, slots=True)
class Examined:
    """The script, its first run, and what is wrong in it."""

    asked: Asked
    script: Script
    out: Path
    before: Before
    diagnosis: Diagnosis


@dataclass(frozen=True, slots=True)
class Planned:
    """What will be tried and how it will be judged, before anything is spent on it."""

    examined: Examined
    candidates: tuple[Treatment, ...]
    suggested: tuple[Suggestion, ...]
    yardstick: Yardstick | None
    cost: Cost | None

    @property
    def finding(self) -> str:
        return self.candidates[0].answers[0] if self.candidates else ""


def examine(asked: Asked, out: Path) -> Examined:
    """Run the script watched, unless `out` has it already, and diagnose it.

    Raises ValueError for what cannot be fixed, UnreadableRunError where it never trained.
    """
    script = Script.of(asked.words)
    folder_of.begin(out, asked, script)
    if asked.recorded:
        run = trained(Path(asked.recorded), asked.recorded)
        before = Before(run, _lasted(run))
    else:
        before = recorded(script, out / "before")
    return Examined(asked, script, out, before, diagnose(before.run))


def plan(examined: Examined, workers: int | None = None) -> Planned:
    """Choose candidates, the number to judge by, and how many pairs the budget allows."""
    asked, diagnosis = examined.asked, examined.diagnosis
    every = chosen.candidates(diagnosis, asked.treatments, asked.only)
    able = [t for t in every if not examined.script.can(t)]
    unable = [(t, examined.script.can(t)) for t in every if examined.script.can(t)]
    suggested = chosen.suggestions(diagnosis, every)
    if not able:
        return Planned(examined, (), (*suggested, *_left(unable)), None, None)
    judged_by = yardstick.chosen(diagnosis.run, able, asked.metric, asked.higher)
    tried, left = _judged(able, judged_by)
    at_once = workers or usual_workers(examined.script.command(tried)[0])
    cost = Cost(len(tried), asked.pairs, examined.before.seconds, at_once)
    cost = fitted(cost, asked.runs, asked.budget)
    left += [(t, "the budget is too small for it") for t in tried[cost.candidates :]]
    tried = tried[: cost.candidates]
    return Planned(examined, tuple(tried), (*suggested, *_left(unable + left)), judged_by, cost)


def carry_out(planned: Planned, conditions: Conditions) -> Fixed:
    """Race the candidates, confirm the winner on fresh seeds, and say what is proven."""
    examined = planned.examined
    told = Fixed(
        examined.script.line,
        examined.diagnosis,
        "nothing to try" if chosen.causes(examined.diagnosis) else "nothing to fix",
        planned.yardstick,
        planned.candidates,
        planned.suggested,
        runs=1,
        seconds=examined.before.seconds,
        notes=_notes(examined),
    )
    if planned.yardstick is None or planned.cost is None:
        return told
    stages = Stages(planned, planned.yardstick, conditions)
    race = stages.race()
    confirmation = stages.confirmation(race, race.winner.treatment) if race.winner else None
    against = stages.opponent(race) if examined.asked.against else None
    runs, seconds = race.runs, race.seconds
    for trial in _trials(confirmation, against):
        runs, seconds = runs + len(trial.outcomes), seconds + length(trial)
    if against is not None:
        runs, seconds = runs + against.runs, seconds + against.seconds
    return replace(
        told,
        word=_word(confirmation),
        race=race,
        confirmation=confirmation,
        opponent=against,
        notes=(*told.notes, *([race.note] if race.note else [])),
        runs=told.runs + runs,
        seconds=told.seconds + seconds,
    )


@dataclass(frozen=True, slots=True)
class Stages:
    """The trials of one fix."""

    planned: Planned
    yardstick: Yardstick
    conditions: Conditions

    def race(self) -> Race:
        avoided = self.planned.examined.script.own_seed
        rounds = seeds_of_rounds(len(self.planned.candidates), avoided)
        floor = self.yardstick.floor
        return raced(self.planned.candidates, self._round, rounds, self.worth, floor)

    def confirmation(self, race: Race, treatment: Treatment, where: str = "") -> Confirmation:
        judging = confirm.judging_of(race, self.yardstick)
        assert self.planned.cost is not None  # there is one where there is a race
        own = self.planned.examined.script.own_seed
        seeds = confirm.seeds_of(judging, self.planned.cost.pairs, own)
        finding = treatment.answers[0] if treatment.answers else self.planned.finding

        def run(of: Treatment, on: Sequence[int], stop_early: bool) -> Trial:
            folder = Path(where) / "confirm"
            return self._trial([of], on, folder, finding, stop_early)

        floor = self.yardstick.floor
        return confirm.confirmed(treatment, judging, seeds, finding, run, floor)

    def opponent(self, race: Race) -> Opponent:
        def search(drawn: Sequence[Treatment], seeds: Sequence[int]) -> Trial:
            return self._trial(drawn, seeds, Path("against") / "search", self.planned.finding)

        return opponent.searched(
            self.planned.examined.before.run,
            race,
            self.yardstick,
            self.worth,
            search,
            lambda best: self.confirmation(race, best, "against"),
        )

    def worth(self, plan: Plan) -> Worth:
        if self.yardstick.kind == "none":
            return ranks.by_finding(self.planned.finding)
        return ranks.by_metric(plan)

    def _round(self, number: int, still: Sequence[Treatment], seeds: Sequence[int]) -> Trial:
        folder = Path("race") / f"round-{number}"
        return self._trial(still, seeds, folder, self.planned.finding)

    def _trial(
        self,
        treatments: Sequence[Treatment],
        seeds: Sequence[int],
        folder: Path,
        finding: str,
        stop_early: bool = False,
    ) -> Trial:
        examined = self.planned.examined
        return conducted(
            examined.script,
            treatments,
            seeds,
            self.yardstick,
            self.conditions,
            examined.out / folder,
            finding=finding,
            stop_early=stop_early,
        )


def _judged(
    able: Sequence[Treatment], by: Yardstick
) -> tuple[list[Treatment], list[tuple[Treatment, str]]]:
    """Who can be judged by this yardstick; without any, those that answer the first cause."""
    if by.kind == "none":
        first = able[0].answers
        others = [(t, "only the first cause is judged by its finding") for t in able]
        return [t for t in able if t.answers == first], [o for o in others if o[0].answers != first]
    why = f"it changes what {by.metric} means: give a --metric that it leaves alone"
    left = [(t, why) for t in able if not yardstick.comparable(by, t)]
    return [t for t in able if yardstick.comparable(by, t)], left


def _left(pairs: Sequence[tuple[Treatment, str]]) -> tuple[Suggestion, ...]:
    return tuple(
        Suggestion(t.answers[0] if t.answers else "", t.name, f"not tried: {why}")
        for t, why in pairs
    )


def _trials(confirmation: Confirmation | None, against: Opponent | None) -> list[Trial]:
    both = (confirmation, against.confirmation if against else None)
    return [it.trial for it in both if it is not None]


def _word(confirmation: Confirmation | None) -> Word:
    if confirmation is None or confirmation.word in ("undecided", "no difference"):
        return "not proven"
    if confirmation.word == "harmed":
        return "harmed"
    return "finding gone" if confirmation.judging == "finding" else "proven"


def _notes(examined: Examined) -> tuple[str, ...]:
    status = examined.before.status
    if not status:
        return ()
    return (
        f"the script itself ended with exit status {status}: a run that ends well counts as better",
    )


def _lasted(run: Run) -> float:
    """Seconds from the first reading of a recorded run to the last."""
    walls = [s.wall for s in run.series.values() if s.wall is not None and len(s)]
    if not walls:
        return STARTING
    return STARTING + float(max(w[-1] for w in walls) - min(w[0] for w in walls))
