"""Which correction carries the effect on wide canvases, and what the claims are worth.

    python -m unstuck.cases.nca.study --workers 2                about an hour, 2 cores
    python -m unstuck.cases.nca.study --only alone
    python -m unstuck.cases.nca.study --seeds 2 --set iterations=20

Paired trials of the flow task at 12 -> 48 cells, kept in runs/study-nca/ and taken up again where
they stopped. Prints Markdown.

    alone     each remedy alone on the reported form
    advice    the repaired form against what the notes did
    places    coordinates where the flow depends on the place
    taken     each part taken away from the repaired form
    grow      the same question for a picture that is grown
    faults    what each fault costs, and what is named
    claims    every claim with the arm that tests it
"""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

import unstuck
from unstuck import Trial, Verdict, case_options
from unstuck.cases.nca import train as training
from unstuck.cases.nca.faults import FAULTS, GROWING
from unstuck.cases.nca.recipe import Scalar, made
from unstuck.cases.nca.study_arms import CLAIMS, TRIALS, Changes

PARTS = (*TRIALS, "faults", "claims")
BASELINE = "baseline"
HALVED = 0.3  # log10 of an error


class Study:
    """The trials of one set of options; each is run, or taken up, when it is first asked for."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        asked = case_options.changes_of(options.changes)
        known = dict(made(asked).flat())
        self.fixed: dict[str, Scalar] = {key: known[key] for key in asked}
        self._trials: dict[str, Trial] = {}

    @property
    def folder(self) -> Path:
        """By everything that the plans depend on."""
        words = [f"seeds-{self.options.seeds}"]
        words += [f"{key}-{value}" for key, value in sorted(self.fixed.items())]
        return Path(self.options.out) / "-".join(words)

    def trial(self, name: str) -> Trial:
        """A trial of `TRIALS`, or that of the faults."""
        if name not in self._trials:
            faults: Mapping[str, Changes] = {fault: made for fault, (made, _) in FAULTS.items()}
            self._trials[name] = self._run(name, *TRIALS.get(name, (GROWING, faults)))
        return self._trials[name]

    def _run(self, name: str, base: Changes, arms: Mapping[str, Changes]) -> Trial:
        baseline = made({**base, **self.fixed}).flat()
        changed = {
            arm: {key: value for key, value in changes.items() if key not in self.fixed}
            for arm, changes in arms.items()
        }
        return unstuck.trial(
            f"{training.__name__}:train",
            baseline,
            {arm: changes for arm, changes in changed.items() if changes},
            metric=training.METRIC,
            higher_is_better=training.HIGHER_IS_BETTER,
            unit=training.UNIT,
            margin=training.MARGIN,
            seeds=self.options.seeds,
            workers=self.options.workers,
            watch=name == "faults",
            stop_early=False,
            name=f"nca-{name}",
            out=self.folder / name,
        )

    def lines(self, part: str) -> Iterator[str]:
        if part == "claims":
            return claim_table({name: self.trial(name) for name in TRIALS})
        return arm_table(self.trial(part))


def arm_table(trial: Trial) -> Iterator[str]:
    """Every arm: its errors, what its log10 gains on the baseline's, what is named of it."""
    named = case_options.named_first
    yield "| arm | error | at 4x steps | at 10x steps | gain, log10 | verdict | named first |"
    yield "|---|---|---|---|---|---|---|"
    yield f"| baseline | {_errors(trial, BASELINE)} | | | {named(trial, BASELINE)} |"
    for verdict in trial.verdicts:
        arm = verdict.treatment.name
        yield (
            f"| {arm} | {_errors(trial, arm)} | {_gain(verdict)} | {verdict.word} | "
            f"{named(trial, arm)} |"
        )


def _errors(trial: Trial, arm: str) -> str:
    """Geometric means over seeds of the errors at 1, 4 and 10 times the trained steps."""
    cells = []
    for metric in ("error", "error_x4", "error_x10"):
        found = [o.metrics.get(metric, np.nan) for o in trial.outcomes if o.arm == arm]
        mean = float(np.exp(np.mean(np.log(np.clip(found, 1e-12, 1e12)))))
        cells.append(f"{mean:.3g}" if mean < 1e3 else "lost")
    return " | ".join(cells)


def _gain(verdict: Verdict) -> str:
    return f"{verdict.effect:+.2f} ({verdict.low:+.2f} to {verdict.high:+.2f})"


def claim_table(trials: Mapping[str, Trial]) -> Iterator[str]:
    """Claim, the arm that tests it, what the runs say."""
    yield "| id | claim | tested by | gain, log10 | verdict |"
    yield "|---|---|---|---|---|"
    for claim in CLAIMS:
        found = {v.treatment.name: v for v in trials[claim.trial].verdicts}
        verdict = found.get(claim.arm)
        if verdict is None:
            continue
        yield (
            f"| {claim.key} | {claim.text} | {claim.trial}: {claim.arm} | {_gain(verdict)} | "
            f"{said(claim.says, verdict)} |"
        )


def said(says: str, verdict: Verdict) -> str:
    """supported, refuted or undecided: the interval's side of zero, or within the margin.

    What is said to cure or to bridge the gap has to halve the error.
    """
    if says == "cured":
        cured, not_cured = verdict.low > HALVED, verdict.high < HALVED
        return "supported" if cured else "refuted" if not_cured else "undecided"
    better, worse = verdict.low > 0, verdict.high < 0
    same = verdict.low > -training.MARGIN and verdict.high < training.MARGIN
    if says == "same":
        return "supported" if same else "refuted" if better or worse else "undecided"
    right, wrong = (better, worse or same) if says == "better" else (worse, better or same)
    return "supported" if right else "refuted" if wrong else "undecided"


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        study = Study(options)
        for part in PARTS:
            if options.only in (None, part):
                lines = list(study.lines(part))
                print(f"\n### {part}, {options.seeds} seeds\n")
                print("\n".join(lines), flush=True)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt as stopped:  # what is done is kept; it says how to go on
        print(stopped, file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    about = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser("python -m unstuck.cases.nca.study", description=about)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", choices=PARTS)
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="changes",
        help="in every recipe, whatever an arm says: iterations=20",
    )
    parser.add_argument("--out", type=Path, default=Path("runs/study-nca"))
    return parser


if __name__ == "__main__":
    sys.exit(main())
