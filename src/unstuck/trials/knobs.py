"""What can be turned in a watched run: the live changes its remedies make, and how far each goes.

The same set serves a search (`unstuck tune`) and random search as an opponent of the remedies.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from unstuck.changes import parsed
from unstuck.records import Run, Scalar, Treatment
from unstuck.signals.games import is_discriminators_optimizer
from unstuck.signals.levels import median
from unstuck.signals.terms import terms

MOST_TURNED = 3  # knobs of one random treatment
DIGITS = 3  # of a drawn value: two draws that agree so far are one


@dataclass(frozen=True, slots=True)
class Knob:
    """One live change (or, without a slash, one field of the recipe) and its values.

    Either `choices`, or numbers from `low` to `high`: `whole` ones, on a `log` scale, or as a
    `multiple` of the present value ("x0.1").
    """

    change: str
    low: float = 0.0
    high: float = 0.0
    whole: bool = False
    log: bool = False
    multiple: bool = False
    choices: tuple[Scalar, ...] = ()

    def value(self, number: float) -> Scalar:
        """A number between `low` and `high` as the change takes it.

        >>> Knob("lr/sgd", 0.01, 100, log=True, multiple=True).value(0.033333)
        'x0.0333'
        """
        if self.whole:
            return round(min(max(number, self.low), self.high))
        text = f"{number:.{DIGITS}g}"
        return f"x{text}" if self.multiple else float(text)


def sampled(knob: Knob, rng: np.random.Generator) -> Scalar:
    """One value of a knob, drawn evenly on its scale."""
    if knob.choices:
        return knob.choices[int(rng.integers(len(knob.choices)))]
    edge = 0.5 if knob.whole else 0.0  # every whole number is as likely as the others
    low, high = knob.low - edge, knob.high + edge
    if knob.log:
        return knob.value(math.exp(rng.uniform(math.log(low), math.log(high))))
    return knob.value(rng.uniform(low, high))


def random_treatment(knobs: Sequence[Knob], rng: np.random.Generator) -> Treatment:
    """One to three knobs of different kinds turned at random.

    The kind is drawn before the place, so that a loss of many terms does not crowd out the rest.
    Raises ValueError where there is no knob.
    """
    kinds: dict[str, list[Knob]] = {}
    for knob in knobs:
        kinds.setdefault(kind_of(knob), []).append(knob)
    if not kinds:
        raise ValueError("nothing can be turned: the run has no optimizer and no model")
    count = int(rng.integers(1, min(MOST_TURNED, len(kinds)) + 1))
    chosen = rng.choice(sorted(kinds), size=count, replace=False)
    changes = {}
    for kind in chosen.tolist():
        knob = kinds[kind][int(rng.integers(len(kinds[kind])))]
        changes[knob.change] = sampled(knob, rng)
    return treatment_of(changes, remedy="random search")


def treatment_of(changes: dict[str, Scalar], remedy: str) -> Treatment:
    """Changes as a treatment that is named after them."""
    name = ", ".join(f"{change} {value}" for change, value in changes.items())
    return Treatment(name, remedy, changes, "a better metric, nothing more is known beforehand")


def kind_of(knob: Knob) -> str:
    """The kind of live change, or the field of the recipe."""
    return knob.change.split("/")[0]


def knobs_of(run: Run) -> tuple[Knob, ...]:
    """Every knob of a watched run that remedies turn, by name; none for a log nobody watched."""
    knobs = (*_of_optimizers(run), *_of_models(run), *_of_terms(run), *_of_functions(run))
    return tuple(sorted((k for k in knobs if _possible(k)), key=lambda k: k.change))


def _of_optimizers(run: Run) -> Iterator[Knob]:
    steps = run.last_step + 1
    for name in optimizers(run):
        yield Knob(f"lr/{name}", 0.01, 100.0, log=True, multiple=True)
        yield Knob(f"warmup/{name}", 2, max(2, steps // 2), whole=True, log=True)
        shapes = ("constant", f"cosine:{max(1, steps)}", f"linear:{max(1, steps)}")
        yield Knob(f"schedule/{name}", choices=shapes)
        usual = _level(run, f"grad_norm/{name}")
        yield Knob(f"clip/{name}", 0.01 * usual, 10 * usual, log=True)
        yield Knob(f"interval/{name}", 2, 8, whole=True)
        yield Knob(f"accumulation/{name}", 2, 8, whole=True)
        yield Knob(f"zero_grad/{name}", choices=("after-step",))
        yield Knob(f"finite/{name}", choices=("only",))
        if any(run.facts_matching("orphaned/*").values()):
            yield Knob(f"orphans/{name}", choices=("added",))
        decay = Knob(f"weight_decay/{name}", 1e-6, 0.1, log=True)
        if (present := run.series.get(f"weight_decay/{name}")) is not None and median(present) > 0:
            decay = replace(decay, low=0.01, high=100.0, multiple=True)
        yield decay


def optimizers(run: Run) -> list[str]:
    """The optimizers of a run, by name, without their groups."""
    series = {s.name.split("/")[1] for s in run.matching("lr/*")}
    return sorted(series | {name.split("/")[1] for name in run.facts_matching("optimizer/*")})


def _of_models(run: Run) -> Iterator[Knob]:
    models = [name.split("/", 1)[1] for name in run.facts_matching("parameters/*")]
    for name in models:
        yield Knob(f"initialisation/{name}", choices=("kaiming", "xavier", "default"))
        yield Knob(f"input/{name}", choices=("standardised",))
        if run.matching("mode/*"):  # some layer does different things in the two modes
            yield Knob(f"mode/{name}", choices=("by-gradient",))
        if len(models) > 1:  # a lone model that is frozen learns nothing
            yield Knob(f"freeze/{name}", choices=("on",))
            if is_discriminators_optimizer(name):
                yield Knob(f"r1/{name}", 0.01, 100.0, log=True)
                yield Knob(f"r2/{name}", 0.01, 100.0, log=True)


def _of_terms(run: Run) -> Iterator[Knob]:
    for term in terms(run):
        yield Knob(f"weight/{term.loss}/{term.name}", 0.001, 1000.0, log=True, multiple=True)


def _of_functions(run: Run) -> Iterator[Knob]:
    functions = {n.split("/")[1].split(".")[0] for n in run.series if n.startswith("prediction/")}
    if "cross_entropy" in functions:
        yield Knob("label_smoothing/cross_entropy", 0.01, 0.4)
    if functions & {"cross_entropy", "binary_cross_entropy_with_logits", "nll_loss"}:
        yield Knob("scores/cross_entropy", choices=("raw",))
    if run.matching("broadcast/*"):
        yield Knob("targets/elementwise", choices=("shaped",))
    if run.matching("loss_scale/*"):
        yield Knob("precision/loss", choices=("float32",))


def _level(run: Run, name: str) -> float:
    series = run.series.get(name)
    level = math.nan if series is None else median(series)
    return level if math.isfinite(level) and level > 0 else 1.0


def _possible(knob: Knob) -> bool:
    """Whether the change can be written: a name out of a foreign script may have a slash of its
    own.
    """
    value = knob.choices[0] if knob.choices else knob.value(knob.low)
    try:
        parsed({knob.change: value})
    except ValueError:
        return False
    return True
