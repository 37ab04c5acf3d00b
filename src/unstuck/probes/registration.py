"""registration: whether paired pictures lie on each other, and use sees what training saw.

## Why
A loss that compares pixels asks for the offset of the pairs, too: what is learned is shifted, or
blurred where every pair lies elsewhere, and a term that wants input and output alike can never be
met. A model that is fed otherwise at use than in training does worse there for no fault of its own.

## How it is measured
Phase correlation of the edges of each pair, whose direction counts up to its sign, so that inverted
contrasts and other styles of one thing match; all pairs together give the offset to a hundredth of
a pixel, resampled pairs its interval. Pairs that show nothing in common have their own offsets all
over the place: then nothing is claimed, nor where any first matches any second. Pairs that match
far better than shuffled ones and yet disagree are jittered. Where quarters of the pictures are
offset differently, the pairs are turned or scaled against each other. Looked at are (inputs,
targets) that are both pictures of 16 px or more (or what `paired` gives), of up to eight batches,
half a million pixels in all.

With `at_inference`: the same pictures as they are prepared at use against the model's input in
training; order of channels, side, offset, then gain and bias of the brightness, then detail.

## Facts
- `registration/<model>/dx`, `dy`: how far the second picture lies right of and below the first, px
- `registration/<model>/offset`, `low`, `high`: the length of that, and its 95 % interval, px
- `registration/<model>/agreement`: share of pairs whose own offset is within 1 px of it
- `registration/<model>/scatter`: median distance of the pairs' own offsets from it, px
- `registration/<model>/same`: correlation of grey values, the second moved back (1: the same)
- `registration/<model>/likeness`: how sharply pairs match over how sharply shuffled ones do
- `registration/<model>/turn` (degrees), `stretch` (%): of the second against the first
- `registration/<model>/pairs`, `batches`: how many were looked at
- `preparation/<model>/order`, `flip`, `dx`, `dy` (px), `gain`, `bias` (spreads of the input),
  `sharpness`, `correlation`, `shape` (where it differs): use against training

## Example
>>> import torch
>>> from unstuck import Subject
>>> from unstuck.examine import performed
>>> from unstuck.probes.registration import registration
>>> _ = torch.manual_seed(0)
>>> smooth = torch.nn.AvgPool2d(5, 1)
>>> x = smooth(torch.rand(8, 1, 40, 40))
>>> model = torch.nn.Conv2d(1, 1, 3, padding=1)
>>> pairs = (x, 1 - x.roll(2, 3))  # inverted, and two pixels further to the right
>>> facts = performed(registration, Subject(model, pairs, torch.nn.functional.mse_loss)).facts
>>> round(facts["registration/model/dx"], 1), abs(round(facts["registration/model/dy"], 1))
(2.0, 0.0)

## References
- Kuglin & Hines, The Phase Correlation Image Alignment Method, IEEE Conference on Cybernetics and
  Society, 1975
- Guizar-Sicairos, Thurman & Fienup, Efficient Subpixel Image Registration Algorithms, 2008,
  <https://doi.org/10.1364/OL.33.000156>
"""

import math
from typing import Any

import numpy as np
from torch import Tensor

from unstuck.experiment import Listing, NotProbed, Picture, Result, probe
from unstuck.lab.batch import tensors
from unstuck.lab.phase import SMALLEST, Complexes, Offsets, edges, heights, offsets, overlap
from unstuck.lab.pictures import gathered, numbers
from unstuck.lab.preparation import Preparation, compared
from unstuck.lab.subject import Subject
from unstuck.records import Floats, Scalar

BATCHES = 8
NEAR = 1.0  # px: pairs closer to the common offset agree with it
MOST = 0.6  # of the pairs; of unrelated ones at most a third agree (LOG.md)
RELATED = 1.5  # times as sharp as shuffled pairs; unrelated ones reach 1.4, related ones 1.9
RIM = 0.5  # px
SEEN = 0.25  # px, and the offset below which pairs are said to lie on each other

Told = tuple[dict[str, Scalar], list[str], list[Picture]]


@probe("registration/*/*", "preparation/*/*", cheap=True)
def registration(subject: Subject, *, seconds: float = math.inf) -> Result:
    facts: dict[str, Scalar] = {}
    said: list[str] = []
    pictures: list[Picture] = []
    try:
        told = [_pairs(subject)]
    except NotProbed:
        if subject.at_inference is None:
            raise
        told = []
    if subject.at_inference is not None:
        told.append(_preparation(subject))
    for more, sentences, drawn in told:
        facts |= more
        said += sentences
        pictures += drawn
    return Result(facts, tuple(said), tuple(pictures))


def _pairs(subject: Subject) -> Told:
    first, second, batches, times = gathered(subject.more(BATCHES), subject.paired)
    if len(first) < 2 or min(first.shape[2:]) < SMALLEST:
        raise NotProbed(
            f"only {len(first)} pairs of pictures {first.shape[2]} px high are not of one colour: "
            f"two of {SMALLEST} px or more are needed"
        )
    a, b = edges(first), edges(second)
    found = offsets(a, b)
    shuffled = heights(a, np.roll(b, 1, 0))
    agreement = float((found.apart < NEAR).mean())
    likeness = float(np.median(found.height) / max(float(np.median(shuffled)), 1e-12))
    name = f"registration/{subject.name}"
    facts: dict[str, Scalar] = {
        f"{name}/dx": found.dx * times,
        f"{name}/dy": found.dy * times,
        f"{name}/offset": found.length * times,
        f"{name}/low": found.low * times,
        f"{name}/high": found.high * times,
        f"{name}/agreement": agreement,
        f"{name}/scatter": float(np.median(found.apart)) * times,
        f"{name}/likeness": likeness,
        f"{name}/same": _same(first, second, found),
        f"{name}/pairs": len(first),
        f"{name}/batches": batches,
    }
    said = [_said(found, agreement, likeness, times, len(first))]
    if agreement > MOST and likeness >= RELATED:
        turned = _turned(a, b, found)
        facts |= {f"{name}/{what}": value for what, value in turned.items()}
        if turned:
            said += _said_of_turn(turned, min(first.shape[2:]))
    return facts, said, [_table(found, times)]


def _same(first: Floats, second: Floats, found: Offsets) -> float:
    """Median correlation of the grey values of pairs, the second moved back by whole pixels."""
    moved = np.rint([found.dy, found.dx]).astype(np.int64)
    a, b = (x.mean(1) for x in (first, second))
    pair = overlap(a, b, moved)
    a, b = (x.reshape(len(x), -1) - x.reshape(len(x), -1).mean(1, keepdims=True) for x in pair)
    size = np.sqrt((a * a).sum(1) * (b * b).sum(1))
    return float(np.median((a * b).sum(1) / np.maximum(size, 1e-12)))


def _said(found: Offsets, agreement: float, likeness: float, times: int, pairs: int) -> str:
    if agreement > MOST and likeness < RELATED:
        return (
            f"Any first picture lies {found.length * times:.2f} px off any second one as sharply "
            f"as off its own ({likeness:.2f} times), as where all show the same: whether pairs lie "
            "on each other cannot be told."
        )
    if agreement > MOST:
        interval = (
            f"{found.length * times:.2f} px ({found.low * times:.2f} to {found.high * times:.2f})"
        )
        if found.low * times > SEEN:
            return (
                f"The second pictures lie {interval} off the first, {found.dx * times:+.2f} px to "
                f"the right and {found.dy * times:+.2f} px down, in {agreement:.0%} of {pairs} "
                "pairs alike: look for a crop, a padding or a resizing that only one of them has."
            )
        return f"The pairs lie on each other: {interval} apart over {pairs} pairs."
    if likeness > RELATED:
        return (
            "The pictures of a pair match, but each pair lies elsewhere: "
            f"{agreement:.0%} of {pairs} within 1 px of their common offset, half more than "
            f"{np.median(found.apart) * times:.2f} px from it. A loss that compares pixels learns "
            "to blur; if the motion between them is what is to be learned, this is as it should be."
        )
    return (
        f"Pairs match no better than shuffled ones do ({likeness:.2f} times as sharply, "
        f"{agreement:.0%} of {pairs} agree): nothing can be said about their offset."
    )


def _turned(a: Complexes, b: Complexes, whole: Offsets) -> dict[str, float]:
    """Degrees and percent by which the second pictures are turned and larger, from the offsets of
    the four quarters; empty where one of them does not show it."""
    a, b = overlap(a, b, np.rint([whole.dy, whole.dx]).astype(np.int64))
    height, width = a.shape[1] // 2, a.shape[2] // 2
    if min(height, width) < SMALLEST:
        return {}
    turn = stretch = 0.0
    for down in (0, 1):
        for right in (0, 1):
            cut = (
                slice(None),
                slice(down * height, (down + 1) * height),
                slice(right * width, (right + 1) * width),
            )
            found = offsets(a[cut], b[cut], draws=1)
            if (found.apart < NEAR).mean() < MOST:
                return {}
            x, y = (right - 0.5) * width, (down - 0.5) * height
            turn += (x * found.dy - y * found.dx) / (width**2 + height**2)
            stretch += (x * found.dx + y * found.dy) / (width**2 + height**2)
    return {"turn": math.degrees(turn), "stretch": 100 * stretch}


def _said_of_turn(turned: dict[str, float], side: int) -> list[str]:
    """Where it moves the rim: half a pixel by a turn, more by a size, which styles differ in."""
    said = []
    turn, stretch = math.radians(turned["turn"]) * side / 2, turned["stretch"] / 100 * side / 2
    if abs(turn) > RIM:
        said.append(
            f"They are turned by {turned['turn']:.1f} degrees: {abs(turn):.1f} px at the rim."
        )
    if abs(stretch) > 2 * RIM:
        said.append(
            f"They are {turned['stretch']:+.1f} % larger, {abs(stretch):.1f} px at the rim; or "
            "their strokes are thicker, which looks the same."
        )
    return said


def _table(found: Offsets, times: int) -> Listing:
    rows = [
        (i, *(round(float(v) * times, 2) for v in each), round(float(gap) * times, 2))
        for i, (each, gap) in enumerate(zip(found.each[:20], found.apart[:20], strict=True))
    ]
    return Listing(
        "Offsets of the pairs one by one, px",
        ("pair", "to the right", "down", "from that of all"),
        tuple(rows),
    )


def _preparation(subject: Subject) -> Told:
    """As training feeds the model against as it is fed at use."""
    assert subject.at_inference is not None
    trained, used = _input(subject), _first(subject.at_inference(subject.batch))
    name = f"preparation/{subject.name}"
    if trained.shape[1:] != used.shape[1:] or trained.ndim != 4:
        shapes = [" x ".join(str(n) for n in t.shape[1:]) for t in (trained, used)]
        if trained.ndim == 4 and used.ndim == 4:
            return (
                {f"{name}/shape": f"{shapes[1]} for {shapes[0]}"},
                [f"Training feeds the model {shapes[0]}, use feeds it {shapes[1]}."],
                [],
            )
        raise NotProbed(
            f"inputs of shape {shapes[0]} in training and {shapes[1]} at use: only pictures "
            "(n, c, h, w) can be compared"
        )
    count = min(len(trained), len(used), 64)
    found = compared(numbers(trained[:count]), numbers(used[:count]))
    facts: dict[str, Scalar] = {
        f"{name}/{what}": getattr(found, what) for what in Preparation.__dataclass_fields__
    }
    return facts, [_said_of_preparation(found)], []


def _said_of_preparation(found: Preparation) -> str:
    parts = [
        (found.order != "same", "its channels are in reversed order"),
        (found.flip != "none", f"it is flipped ({found.flip})"),
        (math.hypot(found.dx, found.dy) > SEEN, f"moved {found.dx:+.2f} px, {found.dy:+.2f} px"),
        (abs(found.gain - 1) > 0.05, f"scaled by {found.gain:.3g}"),
        (abs(found.bias) > 0.05, f"its mean moved by {found.bias:.2g} spreads"),
        (abs(math.log(max(found.sharpness, 1e-9))) > 0.1, f"detail x{found.sharpness:.2f}"),
    ]
    differs = [text for seen, text in parts if seen]
    if not differs:
        return f"Use sees the pictures as training does (correlation {found.correlation:.3f})."
    left = f"what is left correlates {found.correlation:.3f}"
    return f"At use the input is not what training saw: {', '.join(differs)}; {left}."


def _input(subject: Subject) -> Tensor:
    """What the model is called with in training, else the batch's first tensor."""
    try:
        call = subject.call()
    except NotProbed:
        return _first(subject.batch)
    return _first((call.args, call.kwargs))


def _first(held: Any) -> Tensor:
    for tensor in tensors(held):
        if tensor.ndim > 1:
            return tensor.detach()
    raise NotProbed("at_inference must give the input at use: a tensor with a sample per entry")
