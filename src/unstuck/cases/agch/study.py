"""What the published claims are worth, which correction carries the effect, what each fault costs.

    python -m unstuck.cases.agch.study --seeds 5 --workers 2             about 45 minutes, 2 cores
    python -m unstuck.cases.agch.study --only gap
    python -m unstuck.cases.agch.study --seeds 2 --set epochs=2 --set hidden=64      a few minutes

Paired trials, kept in runs/study-agch/ and taken up again where they stopped. Prints Markdown.

    lengths      repaired and published form, 16 to 128 bits, and baselines on the same splits
    repairs      the notes' four repairs, each alone and each taken away again
    corrections  ours alone on the notes' form, and each taken away from the repaired form
    faults       what each fault of the repaired form costs, and what is named
    gap          protocol and method apart
    ablation     the published table again, on our data
    claims       every claim with the arms of the other parts that test it
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import unstuck
from unstuck import Trial, case_options
from unstuck.cases.agch import study_arms, study_runs, study_tables
from unstuck.cases.agch.faults import FAULTS
from unstuck.cases.agch.methods import BASELINES, UNCOMPRESSED
from unstuck.cases.agch.recipe import PRESETS, Scalar, made
from unstuck.cases.agch.study_arms import BEST, FIRST, FORMS, LENGTHS, SHORT, Changes, differences
from unstuck.cases.agch.train import HIGHER_IS_BETTER, MARGIN, METRIC, UNIT
from unstuck.data.package import PackageError


class Study:
    """The trials of one set of options; each is run, or taken up, when it is first asked for."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.bits = int(options.bits)
        self.fixed: dict[str, Scalar] = _fixed(options.changes)
        self.lengths = sorted({*LENGTHS, self.bits})
        self._trials: dict[str, Trial] = {}

    @property
    def folder(self) -> Path:
        """By everything that the plans depend on."""
        words = [f"bits-{self.bits}", f"seeds-{self.options.seeds}"]
        words += [f"{key}-{value}" for key, value in sorted(self.fixed.items())]
        return Path(self.options.out) / "-".join(words)

    def trial(self, name: str) -> Trial:
        """A trial by its name in `_plans`."""
        if name not in self._trials:
            self._trials[name] = self._run(name, *self._plans()[name]())
        return self._trials[name]

    def _plans(self) -> Mapping[str, Callable[[], tuple[Changes, Mapping[str, Changes]]]]:
        return {
            "lengths": lambda: (self._of("repaired", SHORT), self._forms()),
            "methods": lambda: (
                self._of("repaired", SHORT) | {"method": "random"},
                self._methods(),
            ),
            "added": lambda: (self._of("reported"), study_arms.ADDED),
            "removed": lambda: (self._of("notes"), study_arms.REMOVED),
            "corrected": lambda: (self._of("notes"), study_arms.CORRECTED),
            "uncorrected": lambda: (self._of("repaired"), study_arms.UNCORRECTED),
            "ablation": lambda: (
                self._of("paper", SHORT),
                {**study_arms.ABLATION, **study_arms.BEYOND},
            ),
            "gap": lambda: (
                self._of("notes"),
                {form: differences("notes", form) for form in FORMS if form != "notes"},
            ),
            "faults": lambda: (self._of("repaired"), {n: c for n, (c, _) in FAULTS.items()}),
        }

    def _of(self, preset: str, bits: int | None = None) -> dict[str, Scalar]:
        """The flat recipe of a preset; ValueError in one line where `--set` makes it none."""
        return made(PRESETS[preset].flat() | {"bits": bits or self.bits} | self.fixed).flat()

    def _forms(self) -> dict[str, Changes]:
        """The best forms at every length, but the one that they are changes of."""
        return {
            f"{form} {n}": {**differences("repaired", form), "bits": n}
            for form in BEST
            for n in self.lengths
            if (form, n) not in FIRST
        }

    def _methods(self) -> dict[str, Changes]:
        """Every baseline at every length; features have none."""
        found: dict[str, Changes] = {}
        for name in BASELINES:
            if name in UNCOMPRESSED:
                found[name] = {"method": name}
                continue
            lengths = (n for n in self.lengths if (name, n) not in FIRST)
            found |= {f"{name} {n}": {"method": name, "bits": n} for n in lengths}
        return found

    def _run(self, name: str, baseline: Changes, arms: Mapping[str, Changes]) -> Trial:
        changed = {
            arm: {key: value for key, value in changes.items() if key not in self.fixed}
            for arm, changes in arms.items()
        }
        train = study_runs.compared if name == "methods" else study_runs.trained
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
            name=f"agch-{name}",
            out=self.folder / name,
        )

    def lengths_part(self) -> Iterator[str]:
        yield from study_tables.length_tables(
            self.trial("lengths"), self.trial("methods"), self.lengths, self.bits
        )

    def repairs_part(self) -> Iterator[str]:
        yield from study_tables.arm_table(self.trial("added"), "reported")
        yield ""
        yield from study_tables.arm_table(self.trial("removed"), "notes")

    def corrections_part(self) -> Iterator[str]:
        yield from study_tables.arm_table(self.trial("uncorrected"), "repaired")
        yield ""
        yield from study_tables.arm_table(self.trial("corrected"), "notes")

    def faults_part(self) -> Iterator[str]:
        yield from study_tables.arm_table(self.trial("faults"), "repaired")

    def gap_part(self) -> Iterator[str]:
        yield from study_tables.gap_tables(self.trial("gap"), self.trial("methods"), self.bits)

    def ablation_part(self) -> Iterator[str]:
        yield from study_tables.ablation_table(self.trial("ablation"))

    def claims_part(self) -> Iterator[str]:
        names = ("added", "removed", "corrected", "uncorrected", "ablation")
        yield from study_tables.claim_table({name: self.trial(name) for name in names})


PARTS: Mapping[str, Callable[[Study], Iterator[str]]] = {
    "lengths": Study.lengths_part,
    "repairs": Study.repairs_part,
    "corrections": Study.corrections_part,
    "faults": Study.faults_part,
    "gap": Study.gap_part,
    "ablation": Study.ablation_part,
    "claims": Study.claims_part,
}


def _fixed(words: Sequence[str]) -> dict[str, Scalar]:
    """`--set` words as recipe fields that no arm changes; ValueError for a length."""
    found = dict(made(case_options.changes_of(words)).flat())
    asked = case_options.changes_of(words)
    if "bits" in asked:
        raise ValueError("the study sets the length of codes itself: give --bits instead")
    return {key: found[key] for key in asked}


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        study = Study(options)
        for name, part in PARTS.items():
            if options.only in (None, name):
                lines = list(part(study))
                print(f"\n### {name}, {options.seeds} seeds\n")
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
    parser = argparse.ArgumentParser("python -m unstuck.cases.agch.study", description=about)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--bits", type=int, default=64, help="length of all codes but of ablation")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", choices=tuple(PARTS))
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="changes",
        help="in every recipe, whatever an arm says: epochs=2, data=icons",
    )
    parser.add_argument("--out", type=Path, default=Path("runs/study-agch"))
    return parser


if __name__ == "__main__":
    sys.exit(main())
