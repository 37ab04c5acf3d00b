"""accumulation-equality: whether micro-batches give the step that one large batch would give.

## Why
Accumulation is written by hand in most scripts and fails without an error: the sum is not divided,
gradients are cleared in between, one network is never stepped. And where it is written well, a
model can differ all the same: batch normalisation and losses that compare samples see the
micro-batch only.

## How it is measured
The gradient of the whole batch, and that of each of its k micro-batches (`micro_batches`, else
four), with dropout switched off. If the first is not the mean of the others, the probe looks for
the reason: batch normalisation, if the difference goes away with the layers frozen; a loss that is
a sum; micro-batches that count unequally, as where padding is left out of a mean; a state that each
pass changes (spectral normalisation), if it goes away with the state put back in between; else the
loss couples samples (contrastive losses, statistics of the batch in the loss).

With `accumulate`, the training's own code, the gradient with which it makes its step is taken, and
found again as a combination of the micro-batches': all of them k times too large is *unscaled*, the
last ones only is *discarded*, all cut to one length is *clipped per micro-batch*. Parameters that
the batch's step would move and this one does not are *frozen*. Without it the sum of the losses
over k is taken. The optimizer's own step is made from both gradients and compared, too: Adam
does not mind a factor.

## Facts
- `accumulation/<model>/gap`: difference of the two gradients over the batch's
- `accumulation/<model>/ratio`: how many times as large the accumulated one is along the batch's
- `accumulation/<model>/step_gap`, `.../step_ratio`: the same of the optimizer's step
- `accumulation/<model>/parts`, `.../size`: micro-batches, and samples in each
- `accumulation/<model>/cause`: what makes the difference, `none` where there is none
- `accumulation/<model>/told`: there where the training's own accumulation was looked at
- `accumulation/<model>/kept`: micro-batches that the step was made with
- `accumulation/<model>/worst`: the parameter with the largest difference
- `accumulation/<model>/frozen`: with `told`, share of the parameters that the batch moves
  and this step does not
- `accumulation/<model>/norm_gap`: the gap that batch normalisation makes alone
- `accumulation/<model>/random`: the gap that random numbers make between two equal batches

## Example
>>> import torch
>>> from unstuck import Subject
>>> from unstuck.examine import performed
>>> from unstuck.probes.accumulation_equality import accumulation_equality
>>> _ = torch.manual_seed(0)
>>> model, loss = torch.nn.Linear(10, 3), torch.nn.functional.cross_entropy
>>> def unscaled(model, micro_batches):
...     for x, y in micro_batches:
...         loss(model(x), y).backward()
>>> batch = torch.randn(32, 10), torch.randint(3, (32,))
>>> facts = performed(accumulation_equality, Subject(model, batch, loss)).facts
>>> facts["accumulation/model/cause"], facts["accumulation/model/gap"] < 1e-5
('none', True)
>>> facts = performed(accumulation_equality, Subject(model, batch, loss, accumulate=unscaled)).facts
>>> facts["accumulation/model/cause"], round(facts["accumulation/model/ratio"], 3)
('unscaled', 4.0)

## References
- Goyal et al., Accurate, Large Minibatch SGD, 2017, section 3, <https://arxiv.org/abs/1706.02677>
- Ott et al., Scaling Neural Machine Translation (micro-batches of unequal length), 2018,
  <https://arxiv.org/abs/1806.00187>
- Wu & He, Group Normalization, 2018, <https://arxiv.org/abs/1803.08494>
"""

import math
import time
from typing import Any

import torch
from torch import Tensor

from unstuck.experiment import Listing, NotProbed, Result, probe
from unstuck.lab import batch as batches_of
from unstuck.lab.accumulated import Told, gap, matched, near
from unstuck.lab.accumulating import Step, by_the_book, step
from unstuck.lab.accumulation_said import said
from unstuck.lab.cut_gradients import OfModel, alone, of_model
from unstuck.lab.flat_gradient import Flat, let_gradients_be
from unstuck.lab.micro_batches import (
    CANNOT,
    batch_norms,
    cut,
    into_training,
    others,
    samples_first,
    silence,
)
from unstuck.lab.subject import Subject
from unstuck.records import Scalar

FACTS = (
    "gap", "ratio", "step_gap", "step_ratio", "parts", "size", "cause", "told", "kept", "worst",
    "frozen", "norm_gap", "random",
)  # fmt: skip
PARTS = 4  # micro-batches, where nobody says how many
MOST_NUMBERS = 1 << 22  # of each gradient that are compared
PASSES = 12  # over the batch, all in all
PASSES_DRAWN = 45  # the same where random numbers are drawn again and again
SEED = 0
ROWS = 12


@probe(*(f"accumulation/*/{fact}" for fact in FACTS), cheap=True)
def accumulation_equality(subject: Subject, *, seconds: float = math.inf) -> Result:
    samples_first(subject.batch)
    into_training(subject.model)
    let_gradients_be(subject.model)
    batch, parts = _cut(subject)
    flat = Flat.of(subject, MOST_NUMBERS)
    began = time.monotonic()
    random = _random(subject, flat, batch)
    needed = (time.monotonic() - began) / 2 * (PASSES_DRAWN if random > 0 else PASSES)
    if needed > seconds:
        fewer = int(batches_of.size(parts[0]) * seconds / needed)
        batch, parts = _shortened(parts, max(fewer, 2 if batch_norms(subject.model) else 1))
    silence(subject.model)
    model = of_model(subject, flat, batch, parts, SEED)
    right = step(subject, flat, lambda: subject.value(batch).backward(), SEED)
    made = _accumulated(subject, flat, parts)
    told, frozen = _told(subject, flat, model, right, made)
    gaps = _by_parameter(flat, made.gradient, right.gradient)
    facts: dict[str, Scalar] = {
        "gap": gap(made.gradient, right.gradient),
        "ratio": _ratio(made.gradient, right.gradient),
        "parts": len(parts),
        "size": batches_of.size(parts[0]),
        "cause": told.cause or "none",
        "kept": told.kept,
        "random": random,
    }
    if made.moved is not None and right.moved is not None and bool(right.moved.any()):
        facts["step_gap"] = gap(made.moved, right.moved)
        facts["step_ratio"] = _ratio(made.moved, right.moved)
    facts["worst"] = next(iter(gaps), "") if told.cause else ""
    if subject.accumulate is not None:
        facts |= {"told": True, "frozen": frozen}
    if model.norm_gap is not None:
        facts["norm_gap"] = model.norm_gap
    listing = Listing(
        "Gradient of the micro-batches against that of the batch",
        ("parameter", "difference", "times as large"),
        tuple((name, *numbers) for name, numbers in list(gaps.items())[:ROWS]),
    )
    return Result(
        {f"accumulation/{subject.name}/{name}": value for name, value in facts.items()},
        said(facts),
        (listing,),
    )


def _cut(subject: Subject) -> tuple[Any, list[Any]]:
    """A batch and its micro-batches of one size; further batches where one has too few samples."""
    least = 2 if batch_norms(subject.model) else 1
    count, wanted = subject.samples, max(2, subject.micro_batches or PARTS)
    batch = subject.batch
    if count < least * wanted:
        more = [subject.batch]
        for one in others(subject):
            if len(more) == wanted:
                break
            if batches_of.size(one) == count:
                more.append(one)
        if len(more) == wanted and count >= least:
            return batches_of.together(more), more
        wanted = count // least
    if wanted < 2:
        raise NotProbed(
            f"a batch of {count} cannot be cut into micro-batches of {least} or more samples: give "
            "a larger batch, or batches=..."
        )
    size = count // wanted
    return batches_of.taken(batch, slice(size * wanted)), cut(batch, size)[:wanted]


def _shortened(parts: list[Any], size: int) -> tuple[Any, list[Any]]:
    """Smaller micro-batches, where time is short, and the batch they make up."""
    fewer = [batches_of.taken(part, slice(size)) for part in parts]
    return batches_of.together(fewer), fewer


def _random(subject: Subject, flat: Flat, batch: Any) -> float:
    """By how much two gradients of one batch differ for dropout and the like."""
    first, second = (alone(subject, flat, batch, seed) for seed in (SEED, SEED + 1))
    if not bool(torch.isfinite(first).all()):
        raise NotProbed("the gradient is not finite: nothing can be compared with it")
    if not bool(first.any()):
        raise NotProbed("the gradient of the batch is zero: nothing would be accumulated")
    return gap(second, first)


def _accumulated(subject: Subject, flat: Flat, parts: list[Any]) -> Step:
    own = subject.accumulate
    if own is None:
        return step(subject, flat, lambda: by_the_book(subject, parts), SEED)
    try:
        return step(subject, flat, lambda: own(subject.model, list(parts)), SEED)
    except CANNOT as error:
        raise NotProbed(
            f"accumulate(model, micro_batches) fails on {len(parts)} parts: "
            f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        ) from error


def _told(
    subject: Subject, flat: Flat, model: OfModel, right: Step, made: Step
) -> tuple[Told, float]:
    """What is wrong, the training's own fault before the model's; share of frozen parameters."""
    count = len(model.parts)
    if subject.accumulate is None:
        return Told(model.cause, count), 0.0
    frozen = _frozen(flat, right, made)
    if frozen and (made.elsewhere or bool(made.gradient.any())):
        return Told("frozen", count), frozen
    even = torch.full_like(model.weights, 1 / count)
    if model.cause == "unequal micro-batches" and near(
        made.gradient, even @ model.parts, model.tolerance
    ):
        return Told(model.cause, count), frozen
    told = matched(made.gradient, model.parts, model.weights, model.tolerance)
    if told.cause == "other" and model.random > model.tolerance:  # drawn in another order
        told = matched(made.gradient, model.parts, model.weights, min(0.5, 1.5 * model.random))
        told = Told("random numbers", count) if told.cause == "other" else told
    return (told if told.cause else Told(model.cause, count)), frozen


def _frozen(flat: Flat, right: Step, made: Step) -> float:
    """Share of the parameters that the batch's step moves and the accumulated one does not."""
    still = 0
    for span in flat.spans:
        meant = bool(right.gradient[span].any())
        if right.moved is not None and made.moved is not None:
            meant = meant and bool(right.moved[span].any())
            still += meant and not bool(made.moved[span].any())
        else:
            still += meant and not bool(made.gradient[span].any())
    return still / len(flat.spans)


def _by_parameter(flat: Flat, made: Tensor, right: Tensor) -> dict[str, tuple[float, float]]:
    """Difference and factor of each parameter that counts, the largest difference first."""
    least = 1e-3 * float(right.norm()) / math.sqrt(len(flat.names))
    found = {}
    for name, span in zip(flat.names, flat.spans, strict=True):
        if float(right[span].norm()) > least or float(made[span].norm()) > least:
            found[name] = gap(made[span], right[span]), _ratio(made[span], right[span])
    return dict(sorted(found.items(), key=lambda row: -row[1][0]))


def _ratio(made: Tensor, right: Tensor) -> float:
    return float(made @ right / right.square().sum().clamp_min(1e-30))
