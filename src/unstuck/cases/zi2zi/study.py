"""What the claims about batch sizes, rates and weights of the font GAN are worth.

    python -m unstuck.cases.zi2zi.study --seeds 3 --workers 2           about an hour, 2 cores
    python -m unstuck.cases.zi2zi.study --only batch
    python -m unstuck.cases.zi2zi.study --seeds 2 --set epochs=1 --set train_characters=64

Paired trials, kept in runs/study-zi2zi/ and taken up again where they stopped. Prints Markdown.

    forms    reported, notes and repaired, what the game and the perceptual term are worth
    game     learning rates, weights, losses and penalties of the two players
    batch    batch sizes at equal pictures and at equal updates, accumulation
    network  attention, skips, width, and the generator's other terms
    styles   two target fonts, labels shuffled between them
    faults   what each fault of the repaired form costs, and what is named
    claims   every claim with the arms that test it
"""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import unstuck
from unstuck import Trial, case_options
from unstuck.cases.zi2zi import study_runs, study_tables
from unstuck.cases.zi2zi.faults import FAULTS
from unstuck.cases.zi2zi.recipe import PRESETS, Scalar, made
from unstuck.cases.zi2zi.study_arms import BASES, SMALL, TRIALS, Changes
from unstuck.cases.zi2zi.train import HIGHER_IS_BETTER, MARGIN, METRIC, UNIT
from unstuck.data.package import PackageError

PARTS = (*TRIALS, "faults", "claims")


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
            preset, arms = TRIALS.get(name, ("repaired", _faults()))
            self._trials[name] = self._run(name, preset, arms)
        return self._trials[name]

    def _run(self, name: str, preset: str, arms: Mapping[str, Changes]) -> Trial:
        base = dict(SMALL) | dict(BASES.get(name, {}))
        baseline = made(PRESETS[preset].flat() | base | self.fixed).flat()
        changed = {
            arm: {key: value for key, value in changes.items() if key not in self.fixed}
            for arm, changes in arms.items()
        }
        train = study_runs.trained
        return unstuck.trial(
            f"{train.__module__}:{train.__name__}",
            baseline,
            {arm: changes for arm, changes in changed.items() if changes},
            metric=METRIC,
            higher_is_better=HIGHER_IS_BETTER,
            unit=UNIT,
            margin=MARGIN,
            seeds=self.options.seeds,
            workers=self.options.workers,
            watch=name == "faults",
            stop_early=False,
            name=f"zi2zi-{name}",
            out=self.folder / name,
        )

    def lines(self, part: str) -> Iterator[str]:
        if part == "claims":
            return study_tables.claim_table({name: self.trial(name) for name in TRIALS})
        preset = TRIALS[part][0] if part in TRIALS else "repaired"
        return study_tables.arm_table(self.trial(part), preset)


def _faults() -> dict[str, Changes]:
    return {name: changes for name, (changes, _) in FAULTS.items()}


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        study = Study(options)
        for part in PARTS:
            if options.only in (None, part):
                lines = list(study.lines(part))
                print(f"\n### {part}, {options.seeds} seeds\n")
                print("\n".join(lines), flush=True)
    except (ValueError, PackageError) as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt as stopped:  # what is done is kept; it says how to go on
        print(stopped, file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    about = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser("python -m unstuck.cases.zi2zi.study", description=about)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", choices=PARTS)
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="changes",
        help="in every recipe, whatever an arm says: epochs=2",
    )
    parser.add_argument("--out", type=Path, default=Path("runs/study-zi2zi"))
    return parser


if __name__ == "__main__":
    sys.exit(main())
