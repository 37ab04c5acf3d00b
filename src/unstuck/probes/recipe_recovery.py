"""recipe-recovery: which options a checkpoint was built with, and the shapes that prove it.

## Why

A checkpoint without its command line: were the skips added or concatenated, at which level was
attention, which normalisation, how wide? Loading it with other options fails with a page of
mismatches, or with `strict=False` quietly leaves half of the network untrained.

## How it is measured

A family is a function that builds a model from options, and the values that each option may take.
Its recipes are built on the meta device, where tensors have names and shapes but no memory, and
compared with those of the weights. Up to 512 recipes are all tried; of more, each option in turn is
set to the value that comes nearest, then pairs of options, from three starts. An option is proven
by tensors that every other value would name or shape otherwise; one on which no tensor depends
(dropout, an activation) is undecided. Weights are found in nested checkpoints, under prefixes of
wrappers and beside optimizer state; `unstuck.lab.families_checkpoint.recovered_from_file` reads a
file of `torch.save` (weights only) or safetensors.

## Facts

- `recipe_recovery/<model>/exact` (true, false): a recipe of the family gives exactly these weights
- `recipe_recovery/<model>/option/<option>` (text): its value, or several joined by "or"
- `recipe_recovery/<model>/undecided` (text): options that no tensor depends on
- `recipe_recovery/<model>/differences` (1): tensors in which the nearest recipe differs

## Example

>>> from torch import nn
>>> from unstuck import Subject
>>> from unstuck.lab.families import Family
>>> def build(width, norm, dropout):
...     layers = [nn.Conv2d(3, width, 3)] + [nn.BatchNorm2d(width)] * norm + [nn.Dropout(dropout)]
...     return nn.Sequential(*layers)
>>> options = {"width": (16, 32, 64), "norm": (True, False), "dropout": (0.0, 0.5)}
>>> subject = Subject(build(32, True, 0.5), torch.rand(2, 3, 8, 8), lambda model, x: model(x).sum(),
...                   family=Family("small nets", build, options))
>>> result = recipe_recovery(subject)
>>> result.facts["recipe_recovery/model/option/width"], result.facts["recipe_recovery/model/exact"]
('32', True)
>>> for row in result.pictures[0].rows:
...     print(*row, sep=" | ")
width | 32 | 0.weight (32, 3, 3, 3), but width=16 gives (16, 3, 3, 3)
norm | True | 1.bias (32,), but norm=False gives none
dropout | 0.0 or 0.5 | undecided: no tensor depends on it

## References

- The shapes are a checkpoint's own; no paper is needed to read them.
- PyTorch, "Meta device", https://pytorch.org/docs/stable/meta.html
"""

import math

import torch

from unstuck.experiment import Listing, NotProbed, Result, probe
from unstuck.lab.families import SHOWN, Recovery
from unstuck.lab.families_checkpoint import recovered
from unstuck.lab.subject import Subject
from unstuck.records import Scalar

SECONDS = 30.0  # where nothing else is asked


@probe("recipe_recovery/*")
def recipe_recovery(subject: Subject, *, seconds: float = math.inf) -> Result:
    if subject.family is None:
        raise NotProbed(
            "no family of models was given: Subject(family=Family(name, build, options)) says "
            "which options to look for"
        )
    state = subject.model.state_dict()
    if not any(isinstance(value, torch.Tensor) for value in state.values()):
        raise NotProbed("the model has no weights: there is nothing to recover its options from")
    found = recovered(state, subject.family, seconds=min(seconds, SECONDS))
    start = f"recipe_recovery/{subject.name}"
    facts: dict[str, Scalar] = {
        f"{start}/exact": found.exact,
        f"{start}/differences": len(found.differences),
        f"{start}/undecided": ", ".join(found.undecided),
    }
    facts |= {f"{start}/option/{name}": _text(found, name) for name in found.values}
    return Result(facts, tuple(sentences(found, subject.family.name)), (listing(found),))


def sentences(found: Recovery, family: str) -> list[str]:
    """What a person would want to know of a recovered recipe."""
    recipe = ", ".join(f"{n}={_text(found, n)}" for n in found.values if n not in found.undecided)
    if found.exact:
        said = [f"The weights are those of {family} with {recipe or 'any options'}."]
    else:
        first = "; ".join(found.differences[:SHOWN])
        said = [
            f"No recipe of {family} gives these weights; the nearest is {recipe}, which differs "
            f"in {len(found.differences)} tensors: {first}."
        ]
        if not found.complete:
            said.append("The search was broken off before every option was tried.")
    if found.undecided:
        said.append(f"Undecided, as no tensor depends on them: {', '.join(found.undecided)}.")
    if found.part:
        said.append(f"The weights were found in {found.part}.")
    if found.beside:
        said.append(f"Beside them: {', '.join(found.beside)}.")
    return said


def listing(found: Recovery) -> Listing:
    """Option by option: its value and the tensors that prove it."""
    rows = []
    for name in found.values:
        proof = "; ".join(found.proofs[name]) or "undecided: no tensor depends on it"
        rows.append((name, _text(found, name), proof))
    return Listing(
        "Options, and the tensors that prove them", ("option", "value", "proof"), tuple(rows)
    )


def _text(found: Recovery, option: str) -> str:
    return " or ".join(str(value) for value in found.values[option])
