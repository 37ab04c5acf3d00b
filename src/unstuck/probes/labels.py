"""labels: whether labels can be told from inputs at all, and which samples are there twice.

## Why
A join by the wrong key, a shuffled column or a shifted index leaves inputs and labels that have
nothing to do with each other. Training on them looks like any other that does not learn, or like
overfitting. And held-out samples that training sees, too, make every choice a blind one.

## How it is measured
Over the batch and the further batches, up to some thousands of samples: ridge regressions and
nearest neighbours on the inputs (pixels averaged down, quantiles, answers of random filters, counts
of tokens) tell each sample's label from the other samples. The best of them against the best on
shuffled labels gives a permutation test. `detectable` is what this many samples would have shown
four times in five: where it is large, silence means nothing. Copies are left out before.

Then the model itself: its loss with the labels shuffled within the batch over its loss with the
right ones; 1: it knows nothing of them. On held-out batches that is what it has learnt, on training
batches also what it has memorised. Labels that only an order or a rule of many parts connects with
the inputs (parity, jigsaws) no simple probe can tell; a model that learns them shows it here.

A loss of (model, batch) may do anything with its batch: there the inputs must be what the model is
called with, and the labels must not be (the class a generator is asked for is no label).

Copies: equal bit by bit, or nearer than a tenth of the usual distance to the nearest sample.

## Facts
- `labels/<model>/samples`, `classes`: looked at without copies; 0 classes for targets
- `labels/<model>/linear`, `neighbour`, `accuracy` (the better one), `majority` (the commonest
  class): share of labels told right; for targets the share of their variance
- `labels/<model>/correlation`, `detectable`, `p`: of the best probe's answers with the labels
- `labels/<model>/loss_ratio`, `held_out_loss_ratio`: loss of shuffled labels over that of the right
- `labels/<model>/duplicates`, `conflicting`: share of samples that are copies; with other labels
- `labels/<model>/held_out`, `overlap`: held-out samples, and the share that training sees, too;
  `by_chance`: the share that would, were the numbers of an input independent of each other

## Example
>>> import torch
>>> from unstuck import Subject
>>> from unstuck.examine import performed
>>> from unstuck.probes.labels import labels
>>> _ = torch.manual_seed(0)
>>> x = torch.randn(256, 8)
>>> y = (x[:, 0] > 0).long()
>>> model = torch.nn.Linear(8, 2)
>>> def told(y):
...     subject = Subject(model, (x, y), torch.nn.functional.cross_entropy)
...     facts = performed(labels, subject).facts
...     return facts["labels/model/accuracy"] > 0.85, facts["labels/model/p"] < 0.05
>>> told(y), told(y.roll(1))  # the second: every sample with the label of the one before
((True, True), (False, False))

## References
- Ojala & Garriga, Permutation Tests for Studying Classifier Performance, 2010,
  <https://jmlr.org/papers/v11/ojala10a.html>
- Zhang et al., Understanding Deep Learning Requires Rethinking Generalization, 2017,
  <https://arxiv.org/abs/1611.03530>
- Barz & Denzler, Do We Train on Test Data? Purging CIFAR of Near-Duplicates, 2020,
  <https://arxiv.org/abs/1902.00423>
"""

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unstuck.experiment import Bars, NotProbed, Result, probe
from unstuck.lab.batch import moved, size
from unstuck.lab.foretelling import foretold
from unstuck.lab.labelled import Labels, as_columns, check_are_labels, labelled_in, shuffled
from unstuck.lab.neighbours import Features, by_chance, comparable, copied, copies, features, marks
from unstuck.lab.subject import Subject
from unstuck.records import Scalar

ROWS = 4096  # samples that are gone through
TESTED = 2048  # samples whose labels are told
HELD = 1024  # held-out samples
NEARLY = 2048  # samples among which copies are looked for that are not equal bit by bit
FEWEST = 24  # samples without which nothing is told
PATIENCE = 0.4  # of the time: for going through the batches
USUAL = 4.0  # s
SHUFFLED = 4  # batches on which the model is asked
UNPAIRED = 1e-5  # a loss that stays as equal does not ask which label is whose
DIFFERENT = 0.1  # of the targets' spread

Number = dict[str, Scalar]


@dataclass(slots=True)
class _Seen:
    """What was gone through: rows by kind, checksums, labels, and the batches themselves."""

    kinds: list[Features] = field(default_factory=list)
    marks: list[bytes] = field(default_factory=list)
    labels: list[Tensor] = field(default_factory=list)

    def rows(self) -> Features:
        return {kind: np.concatenate([one[kind] for one in self.kinds]) for kind in self.kinds[0]}


@probe("labels/*/*", cheap=True)
def labels(subject: Subject, *, seconds: float = math.inf) -> Result:
    check_are_labels(subject)
    until = time.monotonic() + PATIENCE * min(seconds, USUAL)
    seen = _gone_through(subject, chain([subject.batch], subject.batches), ROWS, until)
    told = as_columns(torch.cat(seen.labels))
    name = f"labels/{subject.name}"
    said: list[str] = []
    copies_of = _copies(seen)
    numbers = _duplicates(copies_of, told)
    fresh = np.setdiff1d(np.arange(len(seen.marks)), list(copies_of))
    numbers |= {"samples": len(fresh), "classes": told.classes}
    held = _held_out(subject, seen)
    numbers |= held
    if len(fresh) < FEWEST and not held:
        raise NotProbed(
            f"{len(fresh)} different samples tell nothing about labels: at least {FEWEST} are "
            "needed; give further ones as batches="
        )
    if len(fresh) >= FEWEST:
        most = next(TESTED // k for k in (1, 2, 4) if seconds > 2 * USUAL / k or k == 4)
        found = _foretold(seen, told, fresh, most)
        numbers |= found
        said.append(_said(found, told, len(fresh)))
        ratios = _ratios(subject)
        numbers |= ratios
        said += _said_of_ratios(ratios)
    said += _said_of_copies(numbers)
    facts = {f"{name}/{what}": value for what, value in numbers.items()}
    return Result(facts, tuple(said), _bars(numbers))


def _gone_through(subject: Subject, batches: Iterable[Any], most: int, until: float) -> _Seen:
    seen = _Seen()
    first: list[bytes] = []
    for batch in batches:
        inputs, answers = labelled_in(batch, subject.labelled)
        found = marks(inputs)
        if len(found) != len(answers):
            raise NotProbed(
                f"{len(answers)} labels do not belong to {len(found)} samples one by one; tell "
                "which do with labelled=lambda batch: (inputs, labels)"
            )
        if found == first:
            continue  # the subject's own batch again, as the first of all of them
        first = first or found
        seen.kinds.append(features(inputs))
        seen.marks += found
        seen.labels.append(answers.reshape(len(answers), -1).squeeze(1).cpu())
        if len(seen.marks) >= most or time.monotonic() > until:
            break
    return seen


def _copies(seen: _Seen) -> dict[int, int]:
    """Sample -> the earlier one it is a copy of."""
    known: dict[bytes, int] = {}
    found = {i: known[mark] for i, mark in enumerate(seen.marks) if known.setdefault(mark, i) != i}
    different = [i for i in range(min(len(seen.marks), NEARLY)) if i not in found]
    rows = comparable({kind: found[different] for kind, found in seen.rows().items()})
    return found | {different[late]: different[early] for early, late in copies(rows)}


def _duplicates(copies_of: dict[int, int], told: Labels) -> Number:
    late, early = list(copies_of), list(copies_of.values())
    apart = (told.columns[late] - told.columns[early]).abs().amax(1)
    count = len(told.columns)
    return {
        "duplicates": len(late) / count,
        "conflicting": int((apart > DIFFERENT).sum()) / count,
    }


def _held_out(subject: Subject, seen: _Seen) -> Number:
    """How many of the held-out samples training sees, too."""
    if not any(True for _ in subject.held_out):
        return {}
    until = time.monotonic() + USUAL / 4
    others = _gone_through(subject, subject.held_out, HELD, until)
    known = set(seen.marks)
    equal = np.array([mark in known for mark in others.marks])
    a, b = ({kind: rows[:NEARLY] for kind, rows in one.rows().items()} for one in (seen, others))
    if {k: v.shape[1] for k, v in a.items()} == {k: v.shape[1] for k, v in b.items()}:
        both = comparable({kind: np.concatenate([a[kind], b[kind]]) for kind in a})
        cut = len(a["values"])
        equal[:NEARLY] |= copied(both[cut:], both[:cut])
    alike = by_chance(a["values"], len(seen.marks))
    return {"held_out": len(equal), "overlap": float(equal.mean()), "by_chance": alike}


def _foretold(seen: _Seen, told: Labels, fresh: Any, most: int) -> Number:
    """What the simple probes make of the labels, on a sample drawn once and for all."""
    if told.columns.shape[1] == 0 or told.classes == 1:
        return {"majority": 1.0}
    drawn = np.sort(np.random.default_rng(0).permutation(fresh)[:most])
    columns = told.columns.numpy()[drawn]
    kinds = {kind: rows[drawn] for kind, rows in seen.rows().items()}
    found = foretold(kinds, columns, told.classes > 0)
    numbers: Number = {"majority": float(columns.mean(0).max())} if told.classes else {}
    return numbers | {
        "linear": found.linear,
        "neighbour": found.neighbour,
        "accuracy": max(found.linear, found.neighbour),
        "correlation": found.correlation,
        "p": found.p,
        "detectable": found.detectable,
    }


def _ratios(subject: Subject) -> Number:
    """The model's loss with shuffled labels over that with the right ones."""
    found: Number = {}
    held = (moved(batch, subject.device) for batch in subject.held_out)
    for what, batches in (
        ("loss_ratio", subject.more(SHUFFLED)),
        ("held_out_loss_ratio", [batch for batch, _ in zip(held, range(SHUFFLED), strict=False)]),
    ):
        right = wrong = 0.0
        for batch in batches:
            _, answers = labelled_in(batch, subject.labelled)
            many = size(answers)
            order = torch.arange(many).roll(max(1, many // 2))
            other = shuffled(batch, answers, order)
            if other is None or many < 2:
                continue
            right, wrong = right + _loss(subject, batch), wrong + _loss(subject, other)
        if right > 0 and math.isfinite(wrong / right) and abs(wrong / right - 1) > UNPAIRED:
            found[what] = wrong / right
    return found


def _loss(subject: Subject, batch: Any) -> float:
    with subject.evaluating():
        torch.manual_seed(0)
        return float(subject.value(batch).detach())


def _said(found: Number, told: Labels, count: int) -> str:
    if "p" not in found:
        return f"All labels of {count} samples are the same: there is nothing to tell."
    p, gap = float(found["p"]), float(found["detectable"])
    what = (
        f"{found['accuracy']:.0%} of the labels of {count} samples (the commonest class: "
        f"{found['majority']:.0%})"
        if told.classes
        else f"{max(0.0, float(found['accuracy'])):.0%} of the variance of {count} targets"
    )
    if p <= 0.05:
        return f"Simple probes tell {what} from the inputs (p = {p:.3f}): they belong together."
    return (
        f"Simple probes tell {what}, no more than of shuffled labels (p = {p:.2f}); a correlation "
        f"of {gap:.2f} would have been noticed. Print some samples beside their labels."
    )


def _said_of_ratios(ratios: Number) -> list[str]:
    names = {"loss_ratio": "training", "held_out_loss_ratio": "held-out"}
    return [
        f"With shuffled labels the model's loss on {names[what]} batches is {value:.3g} times as "
        "large: 1 means that it knows nothing of them."
        for what, value in ratios.items()
    ]


def _said_of_copies(numbers: Number) -> list[str]:
    said = []
    if float(numbers["duplicates"]) > 0:
        said.append(
            f"{numbers['duplicates']:.1%} of the samples are copies of others, "
            f"{numbers['conflicting']:.1%} with another label."
        )
    if float(numbers.get("overlap", 0.0)) > 0:
        said.append(
            f"{numbers['overlap']:.1%} of {numbers['held_out']} held-out samples are in the "
            "training data, too."
        )
    return said


def _bars(numbers: Number) -> tuple[Bars, ...]:
    names = ("majority", "linear", "neighbour")
    rows = {what: {what: max(0.0, float(numbers[what]))} for what in names if what in numbers}
    return (Bars("Labels told from inputs by simple probes", rows, "share"),) if rows else ()
