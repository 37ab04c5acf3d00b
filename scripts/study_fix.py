"""Does `unstuck fix` prove remedies for the project's own faults, and better than random search?

    python scripts/study_fix.py [--only NAME ...] [--sample N] [--seconds S] [--workers 2] [--page]

For every fault: watch, diagnose, race the treatments, confirm the winner on fresh seeds; random
search over the same knobs with as many runs and the same confirmation; and what was proven once
more on seeds that neither has seen. Finished faults are kept in runs/study-fix and not done again;
Ctrl-C or a kill loses no finished run. The faults come in an order drawn with --seed, so that those
done are a fair sample at any time. Writes docs/study-fix.md.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from study_fix_faults import Fault, contrast, ordered, trainings
from study_fix_page import write

from unstuck import atomic
from unstuck.fixed import Confirmation, Fixed
from unstuck.fixing import fix, ranks
from unstuck.fixing.asked import Asked
from unstuck.fixing.conducted import Conditions, conducted
from unstuck.trials import ledger
from unstuck.trials.budget import Resources
from unstuck.trials.plan import BASELINE
from unstuck.trials.schedule import slug

ROOT = Path(__file__).resolve().parent.parent
OUT = Path("runs") / "study-fix"
TREATMENTS = 4  # in a race
PAIRS = 8  # of a confirmation at most
AGAIN = tuple(
    range(3001, 3007)
)  # seeds of the last look: the race has 1.., the confirmation 1001..
RESULT = "study.json"


def studied(fault: Fault, out: Path) -> dict[str, Any]:
    """Everything about one fault as JSON values."""
    asked = Asked(
        fault.words,
        metric=fault.metric,
        higher=fault.higher,
        pairs=PAIRS,
        treatments=TREATMENTS,
        against="random",
    )
    conditions = Conditions(Resources(workers=1), progress=False)
    examined = fix.examine(asked, out)
    planned = fix.plan(examined, 1)
    fixed = fix.carry_out(planned, conditions)
    causes = [c.finding.code for c in fixed.diagnosis.causes]
    told = {
        "name": fault.name,
        "planted": fault.code,
        "causes": causes,
        "answered": bool(planned.candidates)
        and planned.candidates[0].answers[:1] == tuple(causes[:1]),
        "candidates": [t.name for t in planned.candidates],
        "kind": fixed.yardstick.kind if fixed.yardstick else "",
        "metric": fixed.yardstick.metric if fixed.yardstick else "",
        "word": fixed.word,
        "runs": fixed.runs,
        "seconds": round(fixed.seconds, 1),
        "fix": _confirmed(fixed.confirmation),
        "race_note": fixed.race.note if fixed.race else "",
        "random": _confirmed(fixed.opponent.confirmation if fixed.opponent else None),
        "random_note": fixed.opponent.note if fixed.opponent else "",
        "again": None,
    }
    if fixed.word in ("proven", "finding gone") and fixed.confirmation is not None:
        told["again"] = _again(planned, fixed, conditions, out)
    return told


def _confirmed(it: Confirmation | None) -> dict[str, Any] | None:
    if it is None:
        return None
    verdict = it.verdict
    numbers = {n: round(getattr(verdict, n), 6) for n in ("effect", "low", "high")}
    return {
        "treatment": it.treatment.name,
        "remedy": it.treatment.remedy,
        "changes": dict(it.treatment.changes),
        "judging": it.judging,
        "word": it.word,
        "pairs": verdict.pairs,
        "note": it.note,
        **numbers,
    }


def _again(planned: fix.Planned, fixed: Fixed, conditions: Conditions, out: Path) -> dict[str, int]:
    """Pairs in which what was proven is better, worse or the same on seeds nobody has seen."""
    assert fixed.confirmation is not None
    assert fixed.yardstick is not None
    treatment, examined = fixed.confirmation.treatment, planned.examined
    trial = conducted(
        examined.script,
        [treatment],
        AGAIN,
        fixed.yardstick,
        conditions,
        out / "again",
        finding=planned.finding,
    )
    by_finding = fixed.confirmation.judging == "finding"
    worth = ranks.by_finding(planned.finding) if by_finding else ranks.by_metric(trial.plan)
    found = {(o.arm, o.seed): worth(o) for o in trial.outcomes}
    signs = [ranks.sign(found[treatment.name, s], found[BASELINE, s]) for s in AGAIN]
    return {"better": signs.count(1), "worse": signs.count(-1), "same": signs.count(0)}


def work(faults: list[Fault], out: Path, until: float) -> None:
    """Do the faults that nobody has done or is doing, one after another."""
    os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
    for fault in faults:
        folder = out / slug(fault.name)
        if _done(folder):
            continue
        if time.monotonic() > until:
            return
        try:
            with ledger.held(folder):
                began = time.monotonic()
                told = _studied_or_why_not(fault, folder) | {"wall": 0.0}
                told["wall"] = round(time.monotonic() - began, 1)
                atomic.write_text(folder / RESULT, json.dumps(told, indent=1) + "\n")
                for arms in folder.rglob("arms"):  # the recorded runs: gigabytes, all together
                    shutil.rmtree(arms, ignore_errors=True)
                print(f"{fault.name:44} {told['word']:14} {told['wall']:6.0f} s", flush=True)
        except ValueError:  # another worker has it
            continue


def _studied_or_why_not(fault: Fault, folder: Path) -> dict[str, Any]:
    try:
        return studied(fault, folder)
    except Exception as error:  # one fault that cannot be done is a result like any other
        told = "".join(traceback.format_exception(error))[-4000:]
        return {"name": fault.name, "planted": fault.code, "word": "failed", "error": told}


def _done(folder: Path) -> bool:
    """Whether a fault has a result; one that failed is tried again."""
    file = folder / RESULT
    return file.exists() and json.loads(file.read_text())["word"] != "failed"


def results(faults: list[Fault], out: Path) -> list[dict[str, Any]]:
    files = [out / slug(fault.name) / RESULT for fault in faults]
    return [json.loads(file.read_text()) for file in files if file.exists()]


def workers(count: int, arguments: list[str]) -> None:
    """So many of this program at a time, each with its own runs."""
    command = [sys.executable, __file__, *arguments, "--workers", "0"]
    running = [subprocess.Popen(command) for _ in range(count)]
    for process in running:
        while True:
            try:
                process.wait()
                break
            except KeyboardInterrupt:
                continue  # it has heard it too


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="*", default=[], metavar="NAME")
    parser.add_argument("--sample", type=int, help="so many faults (default: all)")
    parser.add_argument("--seed", type=int, default=0, help="of the order (default 0)")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin none after that")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument(
        "--contrast", action="store_true", help="the contrast case's faults instead"
    )
    parser.add_argument("--page", action="store_true", help="write the page, run nothing")
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    os.chdir(ROOT)
    faults = ordered(contrast() if options.contrast else trainings(), options.seed)
    if options.only:
        faults = [fault for fault in faults if fault.name in options.only]
    faults = faults[: options.sample]
    if not options.page and options.workers:
        workers(options.workers, sys.argv[1:])
    elif not options.page:
        try:
            work(faults, options.out, time.monotonic() + options.seconds)
        except KeyboardInterrupt:
            sys.exit("stopped; the same command goes on")
        return
    everything = [*trainings(), *contrast()]
    write(ROOT / "docs" / "study-fix.md", results(everything, options.out), len(everything))


if __name__ == "__main__":
    main()
