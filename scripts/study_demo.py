"""Does every form of the contrast case name its own cause, and does the demo hold, seed by seed?

    python scripts/study_demo.py [--seeds 5] [--only forms|demo] [--out runs/study-demo]

Trains each preset and each fault watched, for every seed, and prints how often the planted cause
was named first; then runs the demo's trial over all seeds and prints its verdicts on the three
seeds each base seed would have used.
Finished runs are kept in `--out` and not run again.
"""

import argparse
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from rich.progress import Progress

import unstuck
from unstuck.trials.judge import judge

PRESETS = {"reported": "COL004", "notes": "COL004", "repaired": "nothing"}


def forms() -> dict[str, tuple[list[str], str]]:
    """Name -> command line of the case, and the code that must be named first."""
    from unstuck.cases.contrast.faults import FAULTS

    found = {f"preset {p}": (["--preset", p], code) for p, code in PRESETS.items()}
    for name, (changes, codes) in FAULTS.items():
        chosen = [w for k, v in changes.items() for w in ("--set", f"{k}={v}")]
        found[f"fault {name}"] = (["--preset", "repaired", *chosen], codes[0])
    return found


def unstuck_command(words: list[str]) -> None:
    done = subprocess.run([sys.executable, "-m", "unstuck", *words], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"unstuck {' '.join(words)} failed:\n{done.stderr[-2000:]}")


def first_cause(folder: Path, words: list[str]) -> str:
    """The code named first among warnings and errors, or `nothing`."""
    if not (folder / "metrics.json").exists():
        for old in folder.glob("run.sqlite*"):
            old.unlink()
        record = ["--record", str(folder), "contrast", *words, "--out", str(folder)]
        unstuck_command(["case", "run", *record])
    diagnosis = unstuck.diagnose(unstuck.load(folder))
    bad = diagnosis.at_least("warning")
    return bad[0].code if bad else "nothing"


def study_forms(out: Path, seeds: int) -> None:
    jobs = [(name, seed) for name in forms() for seed in range(seeds)]

    def job(item: tuple[str, int]) -> str:
        name, seed = item
        words, _ = forms()[name]
        return first_cause(out / name.replace(" ", "-") / str(seed), [*words, "--seed", str(seed)])

    named: dict[str, list[str]] = {}
    with ThreadPoolExecutor(2) as pool, Progress() as progress:
        bar = progress.add_task("forms", total=len(jobs))
        for (name, _), code in zip(jobs, pool.map(job, jobs), strict=True):
            named.setdefault(name, []).append(code)
            progress.advance(bar)
    print("| form | planted | named first | right |\n|---|---|---|---|")
    for name, (_, planted) in forms().items():
        count = Counter(named[name])
        told = ", ".join(f"{code} x {n}" for code, n in count.most_common())
        print(f"| {name} | {planted} | {told} | {count[planted]} of {seeds} |")


def study_demo(out: Path, seeds: int) -> None:
    """The demo's trial over all seeds, and its verdicts for each base seed s on s, s+1, s+2."""
    from unstuck.cases.contrast import train
    from unstuck.cases.contrast.faults import TREATMENTS
    from unstuck.cases.contrast.recipe import PRESETS

    trial = unstuck.trial(
        "unstuck.cases.contrast.train:train",
        PRESETS["notes"].flat(),
        TREATMENTS,
        metric=train.METRIC,
        higher_is_better=train.HIGHER_IS_BETTER,
        unit=train.UNIT,
        margin=train.MARGIN,
        seeds=seeds,
        finding="COL004",
        stop_early=False,
        out=out / "trial",
    )
    print("\n| seeds | " + " | ".join(t.name for t in TREATMENTS) + " |")
    print("|---|" + "---|" * len(TREATMENTS))
    triples = [tuple((s + k) % seeds for k in range(3)) for s in range(seeds)]
    for chosen in (*triples, tuple(range(seeds))):
        outcomes = [o for o in trial.outcomes if o.seed in chosen]
        verdicts = judge(replace(trial.plan, seeds=chosen), outcomes)
        told = [f"{v.word} {v.effect:+.2f} ({v.low:.2f} to {v.high:.2f})" for v in verdicts]
        print(f"| {', '.join(map(str, chosen))} | {' | '.join(told)} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", choices=("forms", "demo"))
    parser.add_argument("--out", type=Path, default=Path("runs/study-demo"))
    options = parser.parse_args()
    if options.only != "demo":
        study_forms(options.out, options.seeds)
    if options.only != "forms":
        study_demo(options.out, options.seeds)


if __name__ == "__main__":
    main()
