"""INI001 surprising-initial-loss: a classifier begins far more sure of itself than guessing.

## Why is this bad?
A softmax over C classes should begin near log C. One that begins with scores far apart is wrong and
sure of it: the first steps go into shrinking its weights, and part of them may never recover.

## How it is detected
The last layer's output (`activation/<model>.<layer>/std`) has a standard deviation above `APART`
when it is first read, within `SOON` steps of the first reading of a loss that is a cross-entropy:
by its name, or because an accuracy or a cross-entropy is measured in the run. Scores that are far
apart because the input is (root mean square above `LOUD`) are left to `unnormalised-input`.

Where only a log is there, the settings must tell the number of classes (`num_classes`, `n_labels`,
`vocab_size` and the like): such a loss that begins above `TIMES` times log C is reported. A sum
over the batch is as large, so it is an *info* unless the settings tell the batch size, and the loss
is not within `ALIKE` of batch size times log C.

The probe `start` compares the loss with what it is where all classes are guessed alike. Where that
loss is a cross-entropy and the optimizer has made no step, `start/<model>/ratio` above `TIMES` is
enough.

## Example
>>> from unstuck import Run
>>> def run(std=12.0, first=0, name="cross_entropy", loud=1.0, start=24.0, **more):
...     head = [float("nan")] * first + [std, 4.0, 4.0, 3.0]
...     return Run.of(**{"activation__net.input__std": [loud] * 4, f"loss__{name}": [start] * 40},
...                   **{"activation__net.head__std": head}, **more)
>>> [finding.message for finding in surprising_initial_loss(run())]
['outputs of net.head spread by 12 at step 0, before they mean anything; loss/cross_entropy is 24']
>>> [len(surprising_initial_loss(r)) for r in (run(8.0), run(first=18), run(loud=9.0))]
[1, 1, 1]
>>> len(surprising_initial_loss(run(start=7.5)))
1
>>> len(surprising_initial_loss(run(name="loss", metric__val__accuracy=[0.1, 0.9])))
1

A log whose settings are known:

>>> def logged(start=40.0, **recipe):
...     return Run.of(recipe=recipe, loss__cross_entropy=[start] + [2.0] * 40)
>>> (found,) = surprising_initial_loss(logged(num_classes=10, batch_size=32))
>>> found.message
'loss/cross_entropy begins at 40, 17 times log 10, the loss of guessing among 10 classes'
>>> sure = logged(15.0, classes=10, batch=16), logged(51.0, classes=10, batch=32)
>>> [surprising_initial_loss(r)[0].severity for r in (logged(num_classes=10), *sure)]
['info', 'warning', 'warning']

Facts of the probe alone:

>>> from unstuck import diagnose
>>> def probed(ratio=17.0, measure="cross_entropy", **more):
...     facts = {"loss": 2.3 * ratio, "expected": 2.3, "ratio": ratio, "measure": measure, **more}
...     run = Run.of(facts={f"start/net/{k}": v for k, v in facts.items()})
...     return [c.finding.message for c in diagnose(run).causes]
>>> probed(steps=0)
['the loss of net begins at 39.1, 17 times 2.3, the loss of guessing']

## Look-alikes
Scores of the usual spread, ones that were looked at later, loud inputs, outputs that are no scores,
and a network that is sure because it was trained before:

>>> surprising_initial_loss(run(5.0)) + surprising_initial_loss(run(first=26))
[]
>>> surprising_initial_loss(run(loud=14.0)) + surprising_initial_loss(run(name="mse"))
[]
>>> surprising_initial_loss(run(start=5.0))
[]

In a log: a loss of the usual size, one that is a sum over the batch, and settings that do not tell:

>>> surprising_initial_loss(logged(9.0, num_classes=10)) + surprising_initial_loss(logged())
[]
>>> surprising_initial_loss(logged(73.0, num_classes=10, batch_size=32))
[]
>>> surprising_initial_loss(logged(59.0, num_classes=10, batch_size=32))
[]

In a probe: a loss of the usual size, a model that has been trained, or may have been, and a loss of
numbers:

>>> probed(4.0, steps=0) + probed(steps=40) + probed() + probed(measure="mse_loss", steps=0)
[]

## What to try
`rescale-initialisation`

## References
- He et al., Delving Deep into Rectifiers, 2015, <https://arxiv.org/abs/1502.01852>
- Karpathy, A Recipe for Training Neural Networks ("verify loss at init"), 2019,
  <https://karpathy.github.io/2019/04/25/recipe/>
"""

import math
import re
from collections.abc import Iterator

from unstuck.detector import detector
from unstuck.records import Evidence, Finding, Run
from unstuck.signals.games import lone_losses
from unstuck.signals.layers import layers_of
from unstuck.signals.names import shown
from unstuck.signals.spans import finite

APART = 6.0  # healthy classifiers 0.02 to 2.5, badly begun ones 15.7 up (LOG.md)
SOON = 20  # steps; outputs are first read up to 13 steps after a network's first (LOG.md)
WRONG = 0.5  # of the deviation; scores without meaning 1.2 to 2.2, trained ones below 0.1 (LOG.md)
LOUD = 10.0  # root mean square: the limit of DAT001
TIMES = 5.0  # log C; healthy classifiers began at 1.4 at most, badly begun ones at 12 up (LOG.md)
ALIKE = 0.25  # relative; a sum over the batch began at 0.98 to 1.0 of it (LOG.md)
CLASSES = re.compile(r"(^|[._])(n|num|number)?_?(of_)?(class(es)?|labels|vocab(_?size)?)$")
BATCH = re.compile(r"batch(_?size)?$")
CROSS_ENTROPY = re.compile(r"cross_?entropy|(^|[/._])(ce|xent)($|[/._])|softmax")
CLASSIFIES = re.compile(r"accuracy|(^|[/._])acc($|[/._])|top_?[15]($|[/._])|cross_?entropy")


@detector(
    "INI001",
    needs=("loss/*",),
    sharpened_by=("activation/*/std", "start/*/ratio", "*class*", "*labels", "*vocab*"),
    by_step=True,
    or_facts=("start/*/ratio", "start/*/steps"),
)
def surprising_initial_loss(run: Run) -> Iterator[Finding]:
    yield from list(_watched(run)) or _probed(run)


def _probed(run: Run) -> Iterator[Finding]:
    """The first loss beside that of a guess, as the probe `start` has found them."""
    for name, ratio in run.facts_matching("start/*/ratio").items():
        key = name.removesuffix("/ratio")
        fresh = run.facts.get(f"{key}/steps", -1) == 0
        told = [run.facts.get(f"{key}/{what}", 0.0) for what in ("loss", "expected")]
        loss, guess = (float(v) if isinstance(v, int | float) else 0.0 for v in told)
        scores = run.facts.get(f"{key}/measure") == "cross_entropy"
        if fresh and scores and isinstance(ratio, int | float) and ratio > TIMES:
            model = key.split("/")[1]
            yield Finding(
                "INI001",
                where=model,
                message=(
                    f"the loss of {shown(model, 24)} begins at {loss:.3g}, {ratio:.3g} times "
                    f"{guess:.2g}, the loss of guessing"
                ),
                evidence=(Evidence.of_fact(run, name, ">", TIMES),),
            )


def _watched(run: Run) -> Iterator[Finding]:
    """Scores that are far apart when the last layer is first read."""
    if not run.matching("activation/*/std"):
        yield from _logged(run)
        return
    measured = any(CLASSIFIES.search(s.name.lower()) for s in run.matching("metric/*"))
    losses = [finite(s) for s in lone_losses(run)]
    losses = [
        s for s in losses if len(s) > 1 and (measured or CROSS_ENTROPY.search(s.name.lower()))
    ]
    for model, layers in layers_of(run, "activation", "std").items():
        layer, scores = list(layers.items())[-1]
        scores = finite(scores)
        if layer.endswith(".input") or not len(scores) or _loudness(run, model) > LOUD:
            continue
        step, spread = int(scores.step[0]), float(scores.value[0])
        begun = [s for s in losses if 0 <= step - s.step[0] <= SOON]
        if len(scores) < 2 or not (begun and spread > APART):
            continue
        loss = max(begun, key=lambda s: float(s.value[0]))
        if not loss.value[0] > WRONG * spread:
            continue
        yield Finding(
            "INI001",
            where=layer,
            message=(
                f"outputs of {shown(layer, 24)} spread by {spread:.2g} at step {step}, before they "
                f"mean anything; {shown(loss.name, 20)} is {loss.value[0]:.3g}"
            ),
            evidence=(Evidence(scores, ">", APART, (step, step)),),
        )


def _logged(run: Run) -> Iterator[Finding]:
    """A loss that begins far above the cost of guessing among the classes of the settings."""
    classes, batch = _setting(run, CLASSES), _setting(run, BATCH)
    if classes < 2:
        return
    guess = math.log(classes)
    for series in (finite(s) for s in lone_losses(run)):
        if len(series) < 2 or series.step[0] > SOON:
            continue
        ratio, step = float(series.value[0]) / guess, int(series.step[0])
        summed = batch > 1 and abs(ratio / batch - 1) < ALIKE
        if ratio > TIMES and not summed:
            yield Finding(
                "INI001",
                where=series.name,
                message=(
                    f"{shown(series.name)} begins at {series.value[0]:.3g}, {ratio:.0f} times "
                    f"log {classes:.0f}, the loss of guessing among {classes:.0f} classes"
                ),
                evidence=(Evidence(series, ">", TIMES * guess, (step, step)),),
                severity="warning" if batch > 1 else "info",
            )


def _setting(run: Run, known: re.Pattern[str]) -> float:
    """The first setting of such a name that is a number; 0 where there is none."""
    found = (v for k, v in run.recipe.items() if known.search(k.lower()))
    return next((float(v) for v in found if isinstance(v, int | float)), 0.0)


def _loudness(run: Run, model: str) -> float:
    """Root mean square of what the model is fed at first; 0 where it is not known."""
    parts = [run.series.get(f"activation/{model}.input/{what}") for what in ("mean", "std")]
    return math.hypot(*(float(s.value[0]) for s in parts if s is not None and len(s)))
