"""echo: finds out whether a picture-to-picture model gives back its input, and the noise in it.

## Why
A model with an easy way from input to output (skips, a residual around everything) can end by
copying. The loss then stands at what the copy costs, and the pictures look almost right. A denoiser
may hand on the noise it was built to remove, and pictures of low noise never show it.

## How it is measured
The loss is run in evaluation mode and the model's first call noted: a picture in, one picture of
the same shape out. The answer is the tensor of the batch that, handed to the loss in place of the
output, costs least and less than the output. Where input minus answer looks like noise (no
correlation between neighbours, no heavy tails), fresh noise as large as that is added to the input
and the change of the output regressed on it. For the best denoiser of Gaussian noise that share is
its squared error over the noise's (Stein's lemma); for a copy it is 1.

## Facts
- `echo/<model>/identity`: distance of output and input over that of answer and input (root mean
  squares). 0: a copy.
- `echo/<model>/asked`: distance of answer and input over the answer's standard deviation. 0: what
  is asked for is the input.
- `echo/<model>/noise`: share of fresh noise in the input that reappears in the output.
- `echo/<model>/steps`: updates its optimizer has made, where it keeps count.

## Example
>>> import torch
>>> from torch import nn
>>> from unstuck import Subject
>>> _ = torch.manual_seed(0)
>>> clean = torch.rand(16, 1, 2, 2).repeat_interleave(8, 2).repeat_interleave(8, 3)
>>> noisy = clean + 0.3 * torch.randn_like(clean)
>>> loss = nn.functional.mse_loss
>>> copy, blur = nn.Identity(), nn.AvgPool2d(3, 1, 1)
>>> def facts(model):
...     found = echo(Subject(model, (noisy, clean), loss)).facts
...     return {name.split("/")[2]: round(value, 1) for name, value in found.items()}
>>> facts(copy)
{'asked': 1.1, 'identity': 0.0, 'noise': 1.0}
>>> facts(blur)
{'asked': 1.1, 'identity': 1.0, 'noise': 0.1}

## References
- Stein, Estimation of the Mean of a Multivariate Normal Distribution, 1981,
  <https://doi.org/10.1214/aos/1176345632>
- Lehtinen et al., Noise2Noise, 2018, <https://arxiv.org/abs/1803.04189>
"""

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from unstuck.experiment import Bars, NotProbed, Result, probe
from unstuck.lab import batch as batches_of
from unstuck.lab.subject import Call, Subject
from unstuck.lab.untouched import untouched
from unstuck.records import Scalar

SEED = 0
NOTHING = 1e-6  # of the answer's spread: rounding of the same numbers
WHITE = 0.1  # correlation of neighbours; 0.02 is chance for a few small pictures of noise
HEAVY = 5.0  # kurtosis; Gaussian noise has 3, what is missing at edges 10 and more
ROUNDS = 4  # of fresh noise


@probe("echo/*/identity", "echo/*/asked", "echo/*/noise", "echo/*/steps", cheap=True)
def echo(subject: Subject, *, seconds: float = math.inf) -> Result:
    try:
        facts = _looked(subject, gradients=False)
    except RuntimeError:  # a loss that takes gradients itself
        facts = _looked(subject, gradients=True)
    name = subject.name
    steps = _steps(subject)
    if steps:
        facts[f"echo/{name}/steps"] = steps
    facts = {n: v for n, v in facts.items() if math.isfinite(float(v))}
    bars = {
        n.split("/")[2]: {"measured": float(v)} for n, v in facts.items() if not n.endswith("steps")
    }
    return Result(facts, _said(facts, name), (Bars("Output against input", bars, "", limit=1.0),))


def _looked(subject: Subject, gradients: bool) -> dict[str, Scalar]:
    with subject.evaluating(), torch.set_grad_enabled(gradients):
        torch.manual_seed(SEED)
        call = subject.call()
        given, out = (picture.detach() for picture in _pictures(call))
        answer = _answer(subject, out)
        spread = _size((answer - answer.mean()).float())
        if spread <= 0:
            raise NotProbed("the answer is the same number everywhere; give a batch of pictures")
        difference = (given - answer).float()
        asked, name = _size(difference), subject.name
        facts: dict[str, Scalar] = {f"echo/{name}/asked": asked / spread}
        if asked > NOTHING * spread:
            facts[f"echo/{name}/identity"] = _size((out - given).float()) / asked
            if _is_noise(difference):
                facts[f"echo/{name}/noise"] = _passed(subject, call, difference)
        return facts


def _pictures(call: Call) -> tuple[Tensor, Tensor]:
    """The picture handed in and the one of its shape that came out."""
    handed = [t for t in batches_of.tensors((call.args, call.kwargs)) if _is_picture(t)]
    outs = [t for t in batches_of.tensors(call.output) if _is_picture(t)]
    for given in handed:
        like = [t for t in outs if t.shape == given.shape]
        if len(like) == 1:
            return given, like[0]
    raise NotProbed(
        "the model does not turn a picture (n, channels, height, width) into one picture of the "
        "same shape"
    )


def _is_picture(tensor: Tensor) -> bool:
    return tensor.ndim == 4 and tensor.is_floating_point() and min(tensor.shape[2:]) > 2


def _answer(subject: Subject, out: Tensor) -> Tensor:
    """The tensor of the batch that the loss likes best in place of the output."""
    like = [t for t in batches_of.tensors(subject.batch) if t.shape == out.shape]
    candidates = [t for t in like if t.is_floating_point()]
    if not candidates:
        raise NotProbed("the batch holds no picture of the output's shape to be the answer")
    costs = [_cost_of(subject, candidate.to(out)) for candidate in candidates]
    best = min(range(len(costs)), key=costs.__getitem__)
    if not costs[best] < _cost_of(subject, out):
        raise NotProbed(
            "no picture of the batch costs less than the model's own output: what the loss wants "
            "of it is not in the batch"
        )
    return candidates[best].detach().to(out)


def _cost_of(subject: Subject, answer: Tensor) -> float:
    """The loss where the model's first call gives this picture."""

    def instead(module: nn.Module, args: Any, out: Any) -> Any:
        handle.remove()
        # with the graph of the output, should the loss take gradients
        return batches_of.mapped(out, lambda t: answer + 0 * t if t.shape == answer.shape else t)

    handle = subject.model.register_forward_hook(instead)
    try:
        torch.manual_seed(SEED)
        return float(subject.value().detach())
    finally:
        handle.remove()


def _size(tensor: Tensor) -> float:
    return float(tensor.square().mean().sqrt())


def _is_noise(difference: Tensor) -> bool:
    """White and without heavy tails, each picture on its own scale."""
    centred = difference - difference.mean((2, 3), keepdim=True)
    spread = centred.square().mean((1, 2, 3), keepdim=True).sqrt()
    kept = spread.flatten() > 0.01 * spread.max()
    unit = centred[kept] / spread[kept]
    across = (unit[..., 1:] * unit[..., :-1]).mean()
    down = (unit[..., 1:, :] * unit[..., :-1, :]).mean()
    return max(abs(float(across)), abs(float(down))) < WHITE and float((unit**4).mean()) < HEAVY


def _passed(subject: Subject, call: Call, difference: Tensor) -> float:
    """Share of fresh noise in the input that comes out again: regression over both signs."""
    given, _ = _pictures(call)
    size = difference.square().mean((1, 2, 3), keepdim=True).sqrt().to(given)
    product, square = 0.0, 0.0
    for noise in _fresh(given, size):
        up, down = (_out(subject, call, given, given + s * noise) for s in (1, -1))
        product += float(((up - down) / 2 * noise).double().sum())
        square += float(noise.double().square().sum())
    return product / square


def _fresh(given: Tensor, size: Tensor) -> Iterator[Tensor]:
    generator = torch.Generator().manual_seed(SEED)
    for _ in range(ROUNDS):
        drawn = torch.randn(given.shape, generator=generator)
        yield drawn.to(given) * size


def _out(subject: Subject, call: Call, given: Tensor, changed: Tensor) -> Tensor:
    """The picture that the model makes of another input."""

    def swapped(held: Any) -> Any:
        return batches_of.mapped(held, lambda t: changed if t is given else t)

    with untouched((subject.model,)):
        torch.manual_seed(SEED)
        out = subject.model(*swapped(call.args), **swapped(call.kwargs))
    return next(t for t in batches_of.tensors(out) if t.shape == given.shape).detach()


def _steps(subject: Subject) -> int:
    """Updates the optimizer has counted; 0 where it keeps no count."""
    if subject.optimizer is None:
        return 0
    counts = [state["step"] for state in subject.optimizer.state.values() if "step" in state]
    return int(max((float(c) for c in counts), default=0))


def _said(facts: dict[str, Scalar], name: str) -> tuple[str, ...]:
    asked, identity = (facts.get(f"echo/{name}/{what}") for what in ("asked", "identity"))
    if identity is None:
        return ("The answer is the input itself: an autoencoder, for which a copy is right.",)
    said = [
        f"The output lies {float(identity):.3g} times as far from the input as the answer does, "
        f"which is {float(asked or 0):.3g} of the answer's spread away."
    ]
    noise = facts.get(f"echo/{name}/noise")
    if noise is not None:
        said.append(f"{float(noise):.0%} of fresh noise in the input comes out again.")
    return tuple(said)
