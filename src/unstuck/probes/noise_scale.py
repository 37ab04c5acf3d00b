"""noise-scale: how many samples a step needs before its gradient is signal rather than noise.

## Why
Below that number a batch twice as large nearly halves the steps, and so does accumulating two
batches; far above it a larger batch gives the same step for more work. It says which of the two a
run is in before hours are spent on finding out. It is small when training begins and grows as the
loss falls.

## How it is measured
Gradients of micro-batches, as small as the model allows, over the batch and the further batches of
the subject. What they have in common is the signal, their spread the noise (unbiased estimates of
both); noise over signal is the scale B. A batch of b samples needs 1 + B / b times the fewest steps
(McCandlish et al. 2018, equation 2.11). The interval is a jackknife over the micro-batches. Where
the signal cannot be told from zero there is only a lower bound.

- Batch normalisation: micro-batches of eight or more, in training mode.
- Dropout and other random numbers are drawn anew each time and counted as noise; drawn twice for
  the same samples they show their own share.
- A loss that is no mean or sum over samples (contrastive): whole batches, six or more of them.
- Adam and its kin: also in the coordinates in which their step is plain descent, that is with each
  gradient divided by the fourth root of its second moment. They must have made a step.

## Facts
- `noise_scale/<model>/samples`: B, in samples; `unknown` where only a bound is known
- `noise_scale/<model>/low`, `.../high`: its 95 % interval; `high` is `unknown` without an upper end
- `noise_scale/<model>/batch`: samples in the subject's batch
- `noise_scale/<model>/used`: samples that were looked at
- `noise_scale/<model>/adam`, `.../adam_low`: the same as the adaptive optimizer sees it
- `noise_scale/<model>/random`: share of the noise that is the model's own random numbers

## Example
>>> import torch
>>> from unstuck import Subject
>>> from unstuck.examine import performed
>>> from unstuck.probes.noise_scale import noise_scale
>>> _ = torch.manual_seed(0)
>>> model = torch.nn.Linear(10, 1, bias=False)
>>> with torch.no_grad():
...     _ = model.weight.fill_(10**-0.5)
>>> data = [(torch.randn(512, 10), torch.randn(512, 1)) for _ in range(4)]
>>> subject = Subject(model, data[0], torch.nn.functional.mse_loss, batches=data)
>>> facts = performed(noise_scale, subject).facts
>>> round(facts["noise_scale/model/samples"], -1)  # 21 exactly: 10 + 1 + 10 times noise over signal
20.0
>>> facts["noise_scale/model/batch"], facts["noise_scale/model/used"]
(512, 2048)

## References
- McCandlish, Kaplan & Amodei, An Empirical Model of Large-Batch Training, 2018,
  <https://arxiv.org/abs/1812.06162>
- Shallue et al., Measuring the Effects of Data Parallelism on Neural Network Training, 2018,
  <https://arxiv.org/abs/1811.03600>
"""

import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unstuck.experiment import Bars, Curve, NotProbed, Result, probe
from unstuck.lab import batch as batches_of
from unstuck.lab.adaptive import divisors
from unstuck.lab.flat_gradient import Flat, let_gradients_be
from unstuck.lab.gradient_noise import NoiseScale, noise_scale_of, products, spread
from unstuck.lab.micro_batches import CANNOT, batch_norms, cut, into_training, others, samples_first
from unstuck.lab.noise_scale_said import advice, measured, span
from unstuck.lab.subject import Subject
from unstuck.records import Floats, Scalar

FACTS = ("samples", "low", "high", "batch", "used", "adam", "adam_low", "random")
MOST = 256  # micro-batches
MOST_OF_ONE = 128  # where there is one batch; where there are more, an eighth of it from each
FEWEST = 6  # below it the interval tells nothing
TOGETHER = 8  # samples that batch normalisation needs
MOST_NUMBERS = 1 << 17  # of each gradient that are kept
LONGEST = 8.0  # s: a useful answer is there by then
NOT_A_MEAN = 0.25  # of the gradient; by which micro-batches of a mean do not miss the whole one
CHECKED = 8  # micro-batches that are compared with what they make up
REPEATS = 8  # micro-batches whose random numbers are drawn twice
GROUPS = 12


@dataclass(slots=True)
class _Look:
    """Gradients (k, p) of micro-batches of `size` samples; `repeated`: some with other numbers."""

    flat: Flat
    size: int
    vectors: Tensor
    repeated: Tensor
    remarks: list[str]


@probe(*(f"noise_scale/*/{fact}" for fact in FACTS), cheap=True)
def noise_scale(subject: Subject, *, seconds: float = math.inf) -> Result:
    samples_first(subject.batch)
    into_training(subject.model)
    let_gradients_be(subject.model)
    look = _looked(subject, time.monotonic() + min(seconds * 0.8, LONGEST))
    gram = products(look.vectors)
    if not np.isfinite(gram).all():
        raise NotProbed("the gradient is not finite: find out why before asking how noisy it is")
    if not np.trace(gram) > 0:
        raise NotProbed("the gradient is zero on every sample: no parameter would move")
    found = noise_scale_of(gram, look.size)
    name, batch, used = f"noise_scale/{subject.name}", subject.samples, len(gram) * look.size
    facts: dict[str, Scalar] = {f"{name}/batch": batch, f"{name}/used": used}
    facts |= _facts(name, found)
    said = [measured(found, used, len(gram)), *advice(found, batch)]
    adam = _adam(subject, look)
    if adam is not None:
        facts |= {f"{name}/adam": _known(adam.samples), f"{name}/adam_low": adam.low}
        said.append(f"As {type(subject.optimizer).__name__} scales its steps it is {span(adam)}.")
    share = facts[f"{name}/random"] = _random_share(look, gram)
    if share:
        said.append(
            f"{share:.0%} of the noise are the random numbers of model and loss (dropout and the "
            "like), the rest is the choice of samples."
        )
    return Result(facts, (*said, *look.remarks), (_by_group(look), *_curve(found, batch)))


def _looked(subject: Subject, until: float) -> _Look:
    flat = Flat.of(subject, MOST_NUMBERS)
    further = others(subject)
    some = list(islice(further, 1))
    rest = chain(some, further)
    count = batches_of.size(subject.batch)
    norms = batch_norms(subject.model)
    parts = MOST_OF_ONE // (8 if some else 1)
    size = max(TOGETHER if norms else 1, math.ceil(count / parts))
    remarks = []
    if norms:
        remarks.append(
            f"Batch normalisation ({len(norms)} layers) mixes samples: micro-batches of {size}."
        )
    why = _uncut(flat, subject, size, bool(norms))
    if why:
        size = count
        remarks.append(f"Whole batches were compared: {why}.")
    return _gathered(flat, subject, size, chain([subject.batch], rest), until, remarks)


def _uncut(flat: Flat, subject: Subject, size: int, mixed: bool) -> str:
    """Why the batch cannot be cut into micro-batches of this size; empty where it can."""
    parts = cut(subject.batch, size)[:CHECKED]
    if len(parts) < 2:
        return ""
    used = batches_of.taken(subject.batch, slice(len(parts) * size))
    try:
        whole = flat.gradient(subject, used, seed=0)
        vectors = torch.stack([flat.gradient(subject, part, seed=0) for part in parts])
    except CANNOT as error:
        return f"a part of one fails ({type(error).__name__})"
    if bool(whole.isfinite().all()) and not bool(vectors.isfinite().all()):
        return "a part of one has no finite gradient"
    if mixed:
        return ""
    noise = float((vectors - vectors.mean(0)).square().sum()) / (len(parts) - 1) / len(parts)
    miss = min(float((whole - vectors.mean(0)).norm()), float((whole - vectors.sum(0)).norm()))
    miss -= NOT_A_MEAN * math.sqrt(float(whole.square().sum()) + noise)
    if miss > 0 and miss > 3 * float((whole - flat.gradient(subject, used, seed=1)).norm()):
        return "the loss is neither a mean nor a sum over samples"
    return ""


def _gathered(
    flat: Flat, subject: Subject, size: int, batches: Iterable[Any], until: float, remarks: Any
) -> _Look:
    vectors: list[Tensor] = []
    repeated: list[Tensor] = []
    random = False
    for number, part in enumerate(_parts(batches, size)):
        vectors.append(flat.gradient(subject, part, seed=2 * number))
        if number == 0 or (random and number < REPEATS):
            repeated.append(flat.gradient(subject, part, seed=2 * number + 1))
            random = not torch.equal(vectors[-1], repeated[-1])
        late = time.monotonic() > until and len(vectors) >= FEWEST
        if late or len(vectors) == MOST:
            remarks += ["Cut short, as the time was over."] * late
            break
    if len(vectors) < FEWEST:
        raise NotProbed(
            f"noise is told from signal by {FEWEST} parts of the data and there are {len(vectors)} "
            f"(samples in a part: {size}); give batches=... of the training data. "
            + " ".join(remarks)
        )
    none = torch.zeros(0, len(vectors[0]))
    return _Look(
        flat, size, torch.stack(vectors), torch.stack(repeated) if random else none, remarks
    )


def _parts(batches: Iterable[Any], size: int) -> Iterator[Any]:
    for batch in batches:
        yield from cut(batch, size)


def _facts(name: str, found: NoiseScale) -> dict[str, Scalar]:
    ends = {"samples": found.samples, "low": found.low, "high": found.high}
    return {f"{name}/{end}": _known(value) for end, value in ends.items()}


def _known(value: float) -> Scalar:
    return value if math.isfinite(value) else "unknown"


def _random_share(look: _Look, gram: Floats) -> float:
    """Half the square distance of two draws over the spread of all."""
    if not len(look.repeated):
        return 0.0
    apart = look.repeated - look.vectors[: len(look.repeated)]
    own = float(apart.square().sum(1).mean()) / 2
    return min(1.0, own / max(spread(gram), 1e-300))


def _adam(subject: Subject, look: _Look) -> NoiseScale | None:
    divided = divisors(subject.optimizer, look.flat.parameters)
    if divided is None:
        return None
    scale = look.flat.taken(divided).clamp_min(1e-30).rsqrt()
    gram = products(look.vectors, scale)
    return noise_scale_of(gram, look.size) if np.trace(gram) > 0 else None


def _by_group(look: _Look) -> Bars:
    """The same by groups of layers; where the signal is lost, the lower bound."""
    rows: dict[str, dict[str, float]] = {}
    for group, spans in look.flat.groups(GROUPS).items():
        part = torch.cat([look.vectors[:, span] for span in spans], 1)
        gram = products(part)
        if np.trace(gram) > 0:
            found = noise_scale_of(gram, look.size)
            known = math.isfinite(found.samples)
            rows[group] = {
                "samples" if known else "at least": found.samples if known else found.low
            }
    return Bars("Noise scale by group of layers", rows, "samples", log=True)


def _curve(found: NoiseScale, batch: int) -> Iterator[Curve]:
    if not (math.isfinite(found.samples) and found.samples > 0):
        return
    middle = found.samples
    sizes = np.geomspace(min(batch, middle) / 16, max(batch, middle) * 16, 64)
    sizes = sizes[sizes >= 1]
    interval = (found.low, found.high) if math.isfinite(found.high) else None
    yield Curve(
        "Steps for the same progress",
        sizes,
        1 + middle / sizes,
        "samples in a step",
        "times the fewest steps",
        log_x=True,
        span=interval,
        marks={"batch": float(batch), "noise scale": middle},
    )
