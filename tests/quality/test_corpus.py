"""How good the diagnoses are on every recorded run, whole and as a mere log.

Wrong alarms are worse than misses. `pytest -s` prints every run that misses a bar's aim.
"""

from pathlib import Path

import pytest
from corpus import CODES, VIEWS, cells, first_cause, halved, logged, noisy, recorded, shown_by
from recorded import until

from unstuck import diagnose

MOST_WARNED = 0.02  # of the healthy runs
# of the sick runs whose code can be seen there; epochs' means hide what single batches do
LEAST_DETECTED = {"watched": 0.95, "logged": 0.95, "by epoch": 0.85}
LEAST_NAMED = 0.85
MOST_CHANGED = 0.02  # of all cells
MATRIX = Path(__file__).parent / "matrix.tsv"
HEALTHY = [it for it in recorded() if it.healthy]
SICK = [it for it in recorded() if it.planted and set(it.planted) & set(CODES)]


def test_the_corpus_is_large_enough():
    """Trainings, not seeds of one."""
    assert len({it.name.rsplit(" ", 1)[0] for it in HEALTHY}) >= 60
    assert len({it.name.rsplit(" ", 1)[0] for it in SICK}) >= 60


@pytest.mark.parametrize("share", [0.25, 0.5, 1.0])
@pytest.mark.parametrize("view", VIEWS)
def test_healthy_runs_raise_next_to_no_alarm(view, share):
    warned = {}
    for it in HEALTHY:
        found = diagnose(until(VIEWS[view](it.run), share)).at_least("warning")
        if found:
            warned[it.name] = [f"{f.code} {f.message}" for f in found]
    print(f"\n{view}, {share:.0%}: {len(warned)} of {len(HEALTHY)} healthy runs warned of {warned}")
    assert len(warned) <= MOST_WARNED * len(HEALTHY)


@pytest.mark.parametrize("view", VIEWS)
def test_sick_runs_are_detected_and_named(view):
    seen = [it for it in SICK if shown_by(it.planted, VIEWS[view](it.run))]
    first = {it.name: first_cause(VIEWS[view](it.run)) for it in seen}
    detected = [name for name, code in first.items() if code]
    named = [it.name for it in seen if first[it.name] in it.planted]
    missed = {it.name: (it.planted, first[it.name]) for it in seen if it.name not in named}
    print(f"\n{view}: of {len(seen)} sick runs {len(detected)} detected, {len(named)} named first")
    print(f"missed: {missed}")
    assert len(seen) >= 60
    assert len(detected) >= LEAST_DETECTED[view] * len(seen)
    assert len(named) >= LEAST_NAMED * len(seen)


@pytest.mark.parametrize("change", [halved, noisy])
@pytest.mark.parametrize("view", VIEWS)
def test_logging_half_as_often_or_noisily_changes_few_cells(view, change):
    changed = []
    for it in recorded():
        run = VIEWS[view](it.run)
        before, after = cells(run), cells(change(run))
        changed += [
            f"{it.name}: {c} {before.get(c, '-')} -> {after.get(c, '-')}"
            for c in CODES
            if before.get(c) != after.get(c)
        ]
    count = len(CODES) * len(recorded())
    print(f"\n{view}, {change.__name__}: {len(changed)} of {count} cells changed {changed}")
    assert len(changed) <= MOST_CHANGED * count


def test_the_matrix_of_runs_and_detectors_is_the_one_kept():
    """`make matrix` writes it anew; a changed cell is a changed diagnosis and wants a reason."""
    kept = dict(line.split("\t", 1) for line in MATRIX.read_text().splitlines())
    changed = {
        name: (kept.get(name, "(not kept)"), now)
        for name, now in rows().items()
        if kept.get(name) != now
    }
    gone = sorted(set(kept) - set(rows()))
    told = "\n".join(f"{name}: {was} -> {now}" for name, (was, now) in changed.items())
    assert not changed and not gone, f"changed cells:\n{told}\nruns that are gone: {gone}"


def rows():
    """Run -> what was planted, what is found when watched, what is found in its log."""
    found = {}
    for it in recorded():
        watched, log = cells(it.run), cells(logged(it.run))
        found[it.name] = f"{'+'.join(it.planted) or 'healthy'}\t{_told(watched)}\t{_told(log)}"
    return found


def _told(found):
    return " ".join(f"{code}:{found[code]}" for code in CODES if code in found) or "-"


if __name__ == "__main__":
    MATRIX.write_text("".join(f"{name}\t{row}\n" for name, row in rows().items()))
    print(f"{len(rows())} runs written to {MATRIX.name}")
