"""collapse: do codes and outputs differ from sample to sample, and do partners find each other.

## Why
A code that is the same for every input tells what depends on it nothing, and the term that pulled
the codes together reads as a success. A generator that draws the same few samples over and over
may look like a balanced game. Two modalities whose partners are no nearer than strangers have
learnt nothing of each other.

## How it is measured
On several batches in evaluation mode, the outputs of the modules named in `latents`, else of those
named like codes (encoder, latent, projector, ...), else the narrowest output on the way, and the
model's own output. Spread is the standard deviation over the samples at fixed position, over the
root mean square. The same is measured once more with every layer begun anew, for what it was before
training. With `modalities`: how often a partner is nearer than a stranger, and whether a linear
probe tells the modalities' codes apart (cross-validated). Where another network of the loss is
handed outputs of the model, and the batch has samples of their shape that the model is not fed: the
distance of outputs to the nearest other one, over the same of those samples, of different inputs
only.

## Facts
- `collapse/<code>/batch_std`: standard deviation over samples (unit of the code), `/spread`: over
  its root mean square, `/began`: the same with every layer begun anew (1).
- `collapse/<code>/rank`: effective rank, exp of the entropy of the singular values (1), `/width`:
  numbers a sample, `/samples`: how many were seen, `/unique`: share of sign patterns (1).
- `collapse/<code>/uniformity`: log of the mean Gaussian potential of pairs; 0: all alike.
- `collapse/<code>/found`: how it was chosen: asked, name or narrowest (text).
- `collapse/<a>:<b>/agreement`: share of strangers that are less like a sample than its partner is
  (0.5: chance), `/unpaired`: mean cosine of strangers, `/paired`: distance of partners over that of
  strangers, `/domain`: accuracy of telling the modalities apart, `/steps` of the optimizer (1).
- `collapse/<model>/varies`: spread of the outputs (1).
- `collapse/<model>/nearest`, `/nearest_began`: distance of a generated sample to the nearest other
  over the same of real ones, now and with every layer begun anew (1).

## Example
>>> import torch, unstuck
>>> import torch.nn.functional as F
>>> _ = torch.manual_seed(0)
>>> model = torch.nn.Sequential()
>>> model.add_module("encoder", torch.nn.Linear(16, 4))
>>> model.add_module("decoder", torch.nn.Linear(4, 16))
>>> x = torch.randn(64, 16)
>>> with torch.no_grad():
...     _ = model.encoder.weight.mul_(0.001)
...     _ = model.encoder.bias.add_(1.0)
>>> found = unstuck.probe(model, (x, x), F.mse_loss, only=["collapse"])
>>> print(found.results["collapse"].said[0])
Code encoder (4 numbers, 64 samples) varies 0.052% of its size, effective rank 3.8; begun anew 98%.

## References
- Roy & Vetterli, The Effective Rank, 2007,
  <https://www.eurasip.org/Proceedings/Eusipco/Eusipco2007/Papers/a5p-h05.pdf>
- Garrido et al., RankMe, 2022, <https://arxiv.org/abs/2210.02885>
- Wang & Isola, Understanding Contrastive Representation Learning through Alignment and Uniformity
  on the Hypersphere, 2020, <https://arxiv.org/abs/2005.10242>
- Salimans et al., Improved Techniques for Training GANs (section 3.2), 2016,
  <https://arxiv.org/abs/1606.03498>
"""

import math
import time
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unstuck.experiment import Curve, NotProbed, Picture, Result, probe
from unstuck.lab import codes
from unstuck.lab.age import steps_made
from unstuck.lab.generated import Drawn, drawn, nearest_over_real
from unstuck.lab.latents import Kept, named_like_codes, narrowest_module, restarted, rows_of
from unstuck.lab.subject import Subject
from unstuck.lab.untouched import untouched
from unstuck.records import Scalar

BATCHES = 8
FEWEST = 8  # samples, below which neither rank nor spread say anything
PAIRS = 32  # samples from which an agreement is told: its own deviation is then below 0.05
Facts = dict[str, Scalar]


@probe("collapse/*/*", cheap=True)
def collapse(subject: Subject, *, seconds: float = math.inf) -> Result:
    began = time.monotonic()
    batches = subject.more(BATCHES)
    wanted, how = _wanted(subject)
    rows_of(subject, wanted, batches[:1])
    took = max(time.monotonic() - began, 1e-9)
    most = max(1, int(min(len(batches), seconds / (5 * took))))
    seen = batches[:most]
    kept, parts = rows_of(subject, wanted, seen), drawn(subject, seen)
    anew = _anew(subject, wanted, seen, generates=any(p.real is not None for p in parts))
    facts: Facts = {}
    said: list[str] = []
    pictures: list[Picture] = []
    for name in how:
        if kept[name] and len(kept[name][0]) >= FEWEST:
            facts |= _of_code(name, how[name], kept[name][0], anew[0].get(name))
            said.append(_told(name, facts))
            pictures.append(_shares(name, kept[name][0]))
    if subject.modalities is not None:
        more, told = _of_pair(subject, kept)
        facts, said = facts | more, said + told
    more, told = _of_outputs(subject, parts, anew[1])
    facts, said = facts | more, said + told
    if not facts:
        raise NotProbed(
            f"fewer than {FEWEST} samples say nothing of how much codes vary: give a larger batch, "
            "or more of them as `batches`"
        )
    if most < len(batches):
        said.append(f"Cut short: {most} of {len(batches)} batches were looked at.")
    return Result(facts, tuple(said), tuple(pictures))


def _wanted(subject: Subject) -> tuple[dict[str, int], dict[str, str]]:
    """Modules and how many of their calls are kept; how each code was chosen."""
    how = dict.fromkeys(subject.latents, "asked")
    pair = subject.modalities or ()
    how |= dict.fromkeys(pair, "asked")
    if not how:
        how = dict.fromkeys(named_like_codes(subject.model), "name")
    if not how and (name := narrowest_module(subject)) is not None:
        how = {name: "narrowest"}
    return {name: 2 if pair == (name, name) else 1 for name in how}, how


def _anew(
    subject: Subject, wanted: dict[str, int], batches: list[Any], *, generates: bool
) -> tuple[dict[str, float], float | None]:
    """Spreads of the codes, and nearness of what is drawn, with every layer begun anew."""
    with untouched((subject.model,)):
        restarted(subject.model)
        kept = rows_of(subject, wanted, batches)
        near = nearest_over_real(drawn(subject, batches)) if generates else None
    return {name: _relative(rows[0]) for name, rows in kept.items() if rows}, near


def _relative(rows: Tensor) -> float:
    std, size = codes.spread(rows)
    return std / size if size > 0 else 0.0


def _of_code(name: str, how: str, rows: Tensor, anew: float | None) -> Facts:
    key = f"collapse/{name}"
    facts: Facts = {f"{key}/batch_std": codes.spread(rows)[0], f"{key}/spread": _relative(rows)}
    facts |= {f"{key}/rank": codes.effective_rank(rows), f"{key}/found": how}
    facts |= {f"{key}/width": rows.shape[1], f"{key}/samples": len(rows)}
    facts[f"{key}/uniformity"] = codes.uniformity(rows)
    if float(rows.min()) < 0 < float(rows.max()):
        facts[f"{key}/unique"] = codes.sign_patterns(rows)
    return facts if anew is None else facts | {f"{key}/began": anew}


def _told(name: str, facts: Facts) -> str:
    width, samples, rank = (facts[f"collapse/{name}/{k}"] for k in ("width", "samples", "rank"))
    said = (
        f"Code {name} ({width} numbers, {samples} samples) varies "
        f"{100 * float(facts[f'collapse/{name}/spread']):.2g}% of its size, "
        f"effective rank {float(rank):.3g}"
    )
    anew = facts.get(f"collapse/{name}/began")
    return said + ("." if anew is None else f"; begun anew {100 * float(anew):.2g}%.")


def _shares(name: str, rows: Tensor) -> Curve:
    """The singular values, largest first."""
    values = torch.linalg.svdvals(rows - rows.mean(0)).cpu().numpy()
    place = np.arange(1, len(values) + 1, dtype=float)
    return Curve(f"Singular values of {name}", place, values, "rank", "singular value")


def _of_pair(subject: Subject, kept: Kept) -> tuple[Facts, list[str]]:
    """Do codes of the same sample find each other?"""
    assert subject.modalities is not None
    first, second = subject.modalities
    calls = [*kept[first], *(kept[second] if second != first else [])][:2]
    if len(calls) < 2 or calls[0].shape != calls[1].shape:
        return {}, [f"Codes of {first} and {second} have no common shape: they cannot be paired."]
    a, b = calls
    if len(a) < PAIRS:
        return {}, [f"{len(a)} pairs are too few to tell agreement from chance: {PAIRS} would do."]
    key = f"collapse/{first}:{second}"
    agreement, unpaired = codes.agreement(a, b)
    apart, domain = codes.paired_distance(a, b), codes.told_apart(a, b)
    facts: Facts = {f"{key}/agreement": agreement, f"{key}/unpaired": unpaired}
    facts |= {f"{key}/paired": apart, f"{key}/domain": domain}
    steps = steps_made(subject.optimizer)
    if steps is not None:
        facts[f"{key}/steps"] = steps
    return facts, [
        f"Partners in {first}:{second} are nearer than {agreement:.0%} of strangers (chance 50%), "
        f"at {apart:.2g} times their distance; a linear probe tells the two apart in {domain:.0%}."
    ]


def _of_outputs(
    subject: Subject, parts: list[Drawn], anew: float | None
) -> tuple[Facts, list[str]]:
    """How much the outputs vary, and whether drawn samples are copies of each other."""
    key = f"collapse/{subject.name}"
    facts: Facts = {}
    said: list[str] = []
    if parts and sum(len(p.outputs) for p in parts) >= FEWEST:
        width = parts[0].outputs.shape[1]
        rows = torch.cat([p.outputs for p in parts if p.outputs.shape[1] == width])
        facts[f"{key}/varies"] = _relative(rows)
    near = nearest_over_real(parts)
    if near is not None and anew is not None:
        facts |= {f"{key}/nearest": near, f"{key}/nearest_began": anew}
        said.append(
            f"Drawn samples lie {near:.2%} as far from the nearest other one as real ones do; "
            f"begun anew {anew:.2%}."
        )
    return facts, said
