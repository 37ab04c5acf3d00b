"""memory-plan: what a training step needs in memory, and the largest batch that fits a card.

## Why

A run that ends with "out of memory" after the first long sample, or a batch of 8 on a card that
would hold 200: both come of guessing. What a step needs can be known before a card is rented,
from a few steps on small batches.

## How it is measured

One real training step each on batches of two or three small sizes, on the device the model is on.
Every storage is followed from the operation that made it until it is freed; the scratch memory of
kernels is counted by torch's profiler (on a GPU: by its allocator). Each moment of the step is
then continued to larger batches by itself, as bytes = fixed + per sample x batch, with a term for
pairs of samples where the loss compares all with all; the peak is the largest of them. Optimizer
state is what the optimizer itself holds after a step.

The same again under `torch.autocast` in bfloat16 (float16 takes as much), which halves what is
kept of matrix products and convolutions and adds a half copy of their weights, and with
checkpointing: each block of the outermost sequences of blocks is recomputed in the backward pass,
a single plain sequence in about sqrt(n) pieces. The tools are tried, not calculated.

For a card, 0.67 GB are taken off for the CUDA context and a tenth of the rest for fragmentation:
the context was measured as 0.67 GB with all kernels loaded, 0.29 GB with only those used
(pytorch#86509). A tenth is also the error that this plan promises to stay within. Planned on a
CPU, the optimizer is measured in the implementation that GPUs use, and the scratch memory of the
CPU's kernels stands for that of the GPU's.

## Facts

- `memory_plan/<model>/parameters`, `gradients`, `optimizer`, `buffers` (B)
- `memory_plan/<model>/peak` (B): at the worst moment of a step on the batch in use
- `memory_plan/<model>/per_sample`, `fixed` (B): the peak's two parts at larger batches (8 to 16 x)
- `memory_plan/<model>/peak_autocast`, `peak_checkpointed`, `peak_both` (B)
- with a card: `memory_plan/<model>/card` (B, what it leaves for training), `share` (peak over it),
  `largest_batch` (samples), also `largest_batch_autocast`, `_checkpointed`, `_both`

## Example

>>> import torch
>>> from torch import nn
>>> from unstuck import Subject
>>> from unstuck.lab.sizes import bytes_of
>>> net = nn.Sequential(nn.Linear(100, 100), nn.ReLU(), nn.Linear(100, 10))
>>> adam = torch.optim.Adam(net.parameters())
>>> batch = (torch.randn(32, 100), torch.randint(10, (32,)))
>>> loss = nn.functional.cross_entropy
>>> plan = memory_plan(Subject(net, batch, loss, adam, gpu_memory=bytes_of("15GB"))).facts
>>> plan["memory_plan/model/parameters"], plan["memory_plan/model/optimizer"]
(44440, 88896)
>>> plan["memory_plan/model/share"] < 0.001, plan["memory_plan/model/largest_batch"] > 1_000_000
(True, True)

## References

- Chen, Xu, Zhang, Guestrin, "Training Deep Nets with Sublinear Memory Cost" (2016),
  https://arxiv.org/abs/1604.06174
- Gao et al., "Estimating GPU Memory Consumption of Deep Learning Models" (ESEC/FSE 2020),
  https://doi.org/10.1145/3368089.3417050
- Micikevicius et al., "Mixed Precision Training" (2018), https://arxiv.org/abs/1710.03740
"""

import contextlib
import math
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from unstuck.experiment import Bars, Listing, NotProbed, Result, probe
from unstuck.lab.allocation import shown, warmed_up
from unstuck.lab.allocation_growth import Growth
from unstuck.lab.allocation_ways import measured, sample
from unstuck.lab.subject import Subject
from unstuck.records import Scalar

CONTEXT = 0.67e9  # bytes of a CUDA context with all kernels loaded: pytorch#86509
MARGIN = 0.9  # share of the rest that may be planned: see the page
SPAN = 10.0  # seconds that measuring may take where nothing else is asked
BASES = (8, 4, 2)  # smallest of the batch sizes k, 2k, 3k
WAYS = {
    "as it is": (False, False, ""),
    "autocast": (True, False, "_autocast"),
    "checkpointing": (False, True, "_checkpointed"),
    "autocast and checkpointing": (True, True, "_both"),
}
SHOWN_LAYERS = 20
TROUBLE = (RuntimeError, ValueError, TypeError, IndexError, KeyError, AssertionError, UserWarning)


@dataclass(frozen=True, slots=True)
class _Plan:
    ways: dict[str, Growth]
    sizes: tuple[int, ...]
    left_out: tuple[str, ...]

    @property
    def grows(self) -> bool:
        """Whether it can be said how memory grows with the batch."""
        return len(self.sizes) > 1


@probe("memory_plan/*", cheap=True)
def memory_plan(subject: Subject, *, seconds: float = math.inf) -> Result:
    if not any(module.training for module in subject.model.modules()):
        subject.model.train()
    plan = _measured(subject, seconds)
    card = _card(subject)
    return Result(
        _facts(subject, plan, card),
        tuple(_sentences(subject, plan, card)),
        (
            _stack(subject, plan, card),
            _layers(subject, plan),
            _listing(subject, plan, card if plan.grows else None),
        ),
    )


def _measured(subject: Subject, seconds: float) -> _Plan:
    base, took = _first_step(subject)
    room = min(seconds, SPAN)
    sizes = _working(subject, _sizes(subject, base, took, room / len(WAYS)))
    foreach = subject.gpu_memory is not None and subject.device.type == "cpu"
    ways: dict[str, Growth] = {}
    left_out: list[str] = []
    began = time.monotonic()
    for way, (autocast, recompute, _) in WAYS.items():
        tried = len(ways) + len(left_out)
        if tried and (time.monotonic() - began) * (tried + 1) / tried > room:
            left_out.append(f"{way}: no time was left")
            continue
        try:
            ways[way] = measured(
                subject, sizes, autocast=autocast, recompute=recompute, foreach=foreach
            )
        except TROUBLE as error:
            if not ways:
                raise
            left_out.append(f"{way}: {' '.join(str(error).split())[:100] or type(error).__name__}")
    return _Plan(ways, sizes, tuple(left_out))


@contextlib.contextmanager
def _no_broadcasting() -> Iterator[None]:
    """A loss that stretches a fixed target over the samples does not work on their number."""
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="Using a target size")
        yield


def _working(subject: Subject, sizes: tuple[int, ...]) -> tuple[int, ...]:
    """These sizes, or that of the batch alone where the loss knows no other."""
    try:
        with _no_broadcasting():
            for size in sizes:
                subject.value(sample(subject.batch, size))
    except TROUBLE:
        return (subject.samples,)
    return sizes


def _first_step(subject: Subject) -> tuple[int, float]:
    """The smallest number of samples that a training step works on, and how long it takes."""
    if not any(p.requires_grad for p in subject.model.parameters()):
        raise NotProbed("no parameter of the model asks for gradients: there is no step to plan")
    reason = ""
    for base in dict.fromkeys((BASES[-1], subject.samples)):
        batch = sample(subject.batch, base)
        try:
            with _no_broadcasting():
                graph = subject.value(batch).grad_fn
            if graph is None:
                raise NotProbed("the loss has no gradient: its graph was cut")
            warmed_up(subject, batch)  # the first one also prepares kernels
            began = time.monotonic()
            warmed_up(subject, batch)
            return base, time.monotonic() - began
        except NotProbed:
            raise
        except TROUBLE as error:
            reason = " ".join(str(error).split())[:200]
    raise NotProbed(f"no training step on {base} samples could be made: {reason}")


def _sizes(subject: Subject, base: int, took: float, room: float) -> tuple[int, ...]:
    """Batch sizes to measure at: larger ones where a step is quick, as kernels change with them."""
    present = subject.samples
    most = present if subject.device.type == "cuda" else max(2 * present, 3 * BASES[-1])
    wanted: list[tuple[int, ...]] = [(k, 2 * k, 3 * k) for k in BASES]
    if base != BASES[-1]:
        wanted = [(base, 2 * base, 3 * base)]
    elif present > base:
        wanted.insert(-1, (base, present))  # then the batch in use is measured, not continued
    for sizes in wanted:
        if sizes[-1] <= most and sum(sizes) / base * took <= room:
            return sizes
    return (max(1, most // 2), most) if 1 < most < 2 * base else (base, 2 * base)


def _card(subject: Subject) -> float | None:
    """Bytes that training may take of the card; None where none is known."""
    total = subject.gpu_memory
    if total is None and subject.device.type == "cuda":
        total = torch.cuda.get_device_properties(subject.device).total_memory
    return None if total is None else max(0.0, total - CONTEXT) * MARGIN


def _facts(subject: Subject, plan: _Plan, card: float | None) -> dict[str, Scalar]:
    now = plan.ways["as it is"]
    parts, batch = now.parts(subject.samples), subject.samples
    found: dict[str, Scalar] = {
        "parameters": parts.get("parameters", 0),
        "gradients": now.gradients,
        "optimizer": parts.get("optimizer", 0),
        "buffers": parts.get("buffers", 0),
    }
    if plan.grows:
        found["per_sample"], found["fixed"] = now.line(batch)
    for way, growth in plan.ways.items():
        found[f"peak{WAYS[way][2]}"] = growth.peak(batch)
        if card is not None and plan.grows:
            found[f"largest_batch{WAYS[way][2]}"] = growth.largest(card)
    if card is not None:
        found |= {"card": int(card), "share": now.peak(batch) / card if card else math.inf}
    return {f"memory_plan/{subject.name}/{name}": value for name, value in found.items()}


def _sentences(subject: Subject, plan: _Plan, card: float | None) -> list[str]:
    now, batch = plan.ways["as it is"], subject.samples
    peak = now.peak(batch)
    said = [f"A step on {batch} sample{'s' * (batch > 1)} takes {shown(peak)} at its worst moment"]
    if plan.grows:
        said[0] += (
            f"; larger batches take {shown(now.line(batch)[0])} a sample "
            f"(measured on {', '.join(map(str, plan.sizes))} samples)."
        )
    else:
        said[0] += "; the loss works on no other number of samples."
    if subject.optimizer is None:
        said[0] += " No optimizer was given: its state is not counted."
    if card is not None and plan.grows:
        said.append(_fitting(plan, card))
        said.append(_accumulated(now, subject.wanted_batch or batch, card))
    elif card is not None:
        said.append(f"The card leaves {shown(card)}: {'enough' if peak <= card else 'too little'}.")
    if plan.left_out:
        said.append(f"Not tried: {'; '.join(plan.left_out)}.")
    return said


def _fitting(plan: _Plan, card: float) -> str:
    largest = {way: growth.largest(card) for way, growth in plan.ways.items()}
    others = "".join(f", {n} with {way}" for way, n in largest.items() if way != "as it is")
    return f"The card leaves {shown(card)}: at most {largest['as it is']} samples fit{others}."


def _accumulated(now: Growth, wanted: int, card: float) -> str:
    micro, times = now.split(wanted, card)
    if not micro:
        return "Not even one sample fits: a smaller model, autocast or checkpointing is needed."
    if times == 1:
        return f"A batch of {wanted} fits as it is."
    return f"A batch of {wanted} fits as {times} micro-batches of {micro}, accumulated."


def _stack(subject: Subject, plan: _Plan, card: float | None) -> Bars:
    rows = {
        way: {part: float(size) for part, size in growth.parts(subject.samples).items()}
        for way, growth in plan.ways.items()
    }
    title = f"Memory at the worst moment of a step on {subject.samples} samples"
    return Bars(title, rows, "B", stacked=True, limit=card)


def _layers(subject: Subject, plan: _Plan) -> Bars:
    kept = plan.ways["as it is"].by_layer(subject.samples)
    first = dict(list(kept.items())[:SHOWN_LAYERS])
    rest = sum(kept.values()) - sum(first.values())
    rows = {name: {"kept": float(size)} for name, size in first.items()}
    if rest:
        rows[f"{len(kept) - len(first)} others"] = {"kept": float(rest)}
    return Bars("Kept for the backward pass, by the layer that made it", rows, "B")


def _listing(subject: Subject, plan: _Plan, card: float | None) -> Listing:
    batch, wanted = subject.samples, subject.wanted_batch or subject.samples
    columns = ["way", f"peak at {batch} (B)", "per sample (B)"]
    columns += ["largest batch", f"for {wanted}: micro-batch", "times"] if card is not None else []
    rows: list[tuple[Scalar, ...]] = []
    for way, growth in plan.ways.items():
        row = (way, growth.peak(batch), growth.line(batch)[0])
        fitting = (growth.largest(card), *growth.split(wanted, card)) if card is not None else ()
        rows.append((*row, *fitting))
    return Listing("The plan", tuple(columns), tuple(rows))
