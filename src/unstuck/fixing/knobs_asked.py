"""What a search turns: what is asked for, what a remedy changes, or what the diagnosis proposes."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from difflib import get_close_matches

from unstuck import catalog
from unstuck.fixing.candidates import MOST_CAUSES, candidates
from unstuck.fixing.script import Script
from unstuck.records import Diagnosis, Recipe, Scalar, Treatment
from unstuck.trials.knobs import Knob, knobs_of
from unstuck.trials.written_knobs import read_knob

BEYOND = 10.0  # how far a search goes past the numbers a remedy proposes
MOST = 50 * MOST_CAUSES  # proposals read: all there are


def knobs_asked(
    diagnosis: Diagnosis, script: Script, over: Sequence[str] = (), remedy: str = ""
) -> tuple[Knob, ...]:
    """The knobs written in `over`, those of one remedy, or those of all the diagnosis proposes.

    Raises ValueError with one clear line where there are none.
    """
    if over and remedy:
        raise ValueError("give --over or --remedy, not both")
    there = knobs_of(diagnosis.run)
    if over:
        knobs = tuple(read_knob(text, own_fields(script)) for text in over)
        for knob in knobs:
            _check_place(knob, there)
        return knobs
    _check_remedy(remedy)
    proposed = candidates(diagnosis, MOST, remedy)
    found = (*_live(proposed, there), *_flags(proposed, own_fields(script)))
    if not found:
        who = f"the remedy {remedy}" if remedy else "the diagnosis"
        raise ValueError(
            f"{who} proposes no number for this run: say what to turn with --over, and see what "
            f"there is with --list"
        )
    return found


def own_fields(script: Script) -> dict[str, Scalar]:
    """The script's own flags that can be set anew; its seed belongs to the pairs."""
    seed = script.seed.field if script.seed else None
    return {
        f.field: f.value
        for f in script.flags
        if f.value is not None and f.sets is None and f.field != seed
    }


def _live(proposed: Sequence[Treatment], there: Sequence[Knob]) -> Iterator[Knob]:
    """Knobs on live changes: numbers from a tenth of the least proposed one to ten times the
    largest, as far as the knob goes.
    """
    for knob in there:
        values = [t.changes[knob.change] for t in proposed if knob.change in t.changes]
        numbers = [n for v in values if (n := _number(knob, v)) is not None]
        if len(knob.choices) > 1 and values:
            yield knob
        elif numbers and knob.log:
            low = max(knob.low, min(numbers) / BEYOND)
            high = min(knob.high, max(numbers) * BEYOND)
            if low < high:
                yield replace(knob, low=low, high=high)
        elif numbers and not knob.choices:
            yield knob


def _number(knob: Knob, value: Scalar) -> float | None:
    """A proposed value on the knob's own scale, above zero; None for a word or another scale."""
    text = str(value)
    if text.startswith("x") != knob.multiple:
        return None
    try:
        number = float(text.removeprefix("x"))
    except ValueError:
        return None
    return number if number > 0 else None


def _flags(proposed: Sequence[Treatment], fields: Recipe) -> Iterator[Knob]:
    """Knobs on the script's own flags, around its value and the proposed ones."""
    for field in sorted({c for t in proposed for c in t.changes if c in fields}):
        values = [fields[field], *(t.changes[field] for t in proposed if field in t.changes)]
        numbers = [float(v) for v in values if type(v) in (int, float)]
        if len(numbers) == len(values) and min(numbers) > 0:
            low, high = min(numbers) / BEYOND, max(numbers) * BEYOND
            whole = type(fields[field]) is int
            if whole:
                low, high = max(1, round(low)), round(high)
            yield Knob(field, low, high, whole=whole, log=True)


def _check_remedy(name: str) -> None:
    """Raise ValueError where there is no remedy of this name."""
    names = [remedy.name for remedy in catalog.remedies()]
    if name and name not in names:
        near = get_close_matches(name, names, n=3)
        told = f": did you mean {', '.join(near)}?" if near else ""
        raise ValueError(f"there is no remedy called {name!r}{told}")


def _check_place(knob: Knob, there: Sequence[Knob]) -> None:
    """Raise ValueError where the run has others of this kind, and neither this one nor its
    model.
    """
    kind, slash, place = knob.change.partition("/")
    others = [k.change.partition("/")[2] for k in there if k.change.startswith(f"{kind}/")]
    if slash and others and not any(place == o or place.startswith(f"{o}.") for o in others):
        known = ", ".join(f"{kind}/{other}" for other in others[:5])
        raise ValueError(f"there is no {knob.change} in the run (it has: {known})")
