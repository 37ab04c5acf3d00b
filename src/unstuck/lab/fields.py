"""A model as a function of one picture: what it was handed, what it gave, at any size and scale.

`viewed` gives a `View`: the model's first call (or a rollout) as a function of one of its inputs,
channels first, in double precision where the model can do that, in evaluation mode. `opened` makes
every path of the network passable, so that closed gates and weights that begin at zero hide none.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from unstuck.experiment import NotProbed
from unstuck.lab.batch import mapped, tensors
from unstuck.lab.subject import Subject
from unstuck.lab.untouched import untouched

ALONG_LINE = (nn.Conv1d, nn.ConvTranspose1d, nn.MaxPool1d, nn.AvgPool1d)
IN_SPACE = (nn.Conv3d, nn.ConvTranspose3d, nn.MaxPool3d, nn.AvgPool3d)
UNIFORM = (torch.rand, torch.rand_like, Tensor.uniform_)
NORMAL = (torch.randn, torch.randn_like, Tensor.normal_)
COINS = (torch.bernoulli, Tensor.bernoulli)
CANNOT = (RuntimeError, ValueError, TypeError, AssertionError, IndexError, NotImplementedError)
MOST_CLASSES = 32
LOW, HIGH = 0.01, 0.99  # the numbers drawn, where they are made equal
NAMES = {1: ("length",), 2: ("height", "width"), 3: ("depth", "height", "width")}


class EvenChance(TorchFunctionMode):
    """Random numbers that are the same in every cell; `seen` says whether any were drawn."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value, self.seen = value, False

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        if func in COINS:
            self.seen = True
            return (args[0] > self.value).to(out.dtype)
        if func in UNIFORM or func in NORMAL:
            self.seen = True
            return out.fill_(self.value if func in UNIFORM else 0.0)
        return out


@dataclass(frozen=True, slots=True)
class View:
    """`run`: (n, c, *canvas) -> (n, k, *places), or (n, k) where the output has no places.

    `x` is what training hands it; `exact`, whether all is computed in double precision.
    """

    run: Callable[[Tensor], Tensor]
    x: Tensor
    exact: bool
    calls: int = 1
    drawn: bool = False

    @property
    def canvas(self) -> tuple[int, ...]:
        return tuple(self.x.shape[2:])

    @property
    def axes(self) -> tuple[str, ...]:
        """Names of the canvas's sides."""
        return NAMES[len(self.canvas)]

    def random(self, count: int, canvas: tuple[int, ...], low: float, high: float) -> Tensor:
        """Uniform inputs of any size of canvas."""
        shape = (count, self.x.shape[1], *canvas)
        drawn = torch.rand(shape, device=self.x.device, dtype=self.x.real.dtype)
        return (low + (high - low) * drawn).to(self.x.dtype)

    def even(self, x: Tensor, value: float = LOW) -> Tensor:
        """The output, with random numbers that are the same everywhere."""
        if not self.drawn:
            return self.run(x)
        with EvenChance(value):
            return self.run(x)

    def chances(self) -> tuple[float, ...]:
        """What to hand `even`: one number where nothing is drawn."""
        return (LOW, HIGH) if self.drawn else (LOW,)


@contextlib.contextmanager
def viewed(subject: Subject, *, steps: int = 0, exact: bool = True) -> Iterator[View]:
    """The subject's model as a View, in evaluation mode; everything is put back afterwards.

    `steps`: of a rollout, where the subject has one. `exact`: in double precision, which is slow,
    where the model can do that. NotProbed where the model is handed no
    picture, volume or sequence of numbers.
    """
    modules = (subject.model, *subject.others)
    for double in (True, False) if exact else (False,):
        with untouched(modules), torch.enable_grad(), subject.evaluating():
            view = _view(subject, steps, double)
            if view is not None:
                yield view
                return
    raise NotProbed("the model did not run again on its own inputs in evaluation mode")


def opened(model: nn.Module) -> None:
    """Every path passable: weights positive with a gain near one, statistics neutral.

    A weight that is exactly zero among others stays so: it may be masked on purpose.
    """
    with torch.no_grad():
        for name, p in model.named_parameters():
            if not (p.is_floating_point() or p.is_complex()):
                continue
            if p.ndim < 2 and name.endswith("bias"):
                p.zero_()
                continue
            size = p.abs().to(p.real.dtype if p.is_complex() else p.dtype)
            if not size.any():
                size = 0.5 + torch.rand_like(size)
            if p.ndim > 1:
                size = size / (size.sum() / max(p.shape[0], 1)).clamp_min(1e-30)
            p.copy_(size.nan_to_num(1.0))
        for module in model.modules():
            for name, value in (("running_mean", 0.0), ("running_var", 1.0)):
                held = getattr(module, name, None)
                if isinstance(held, Tensor):
                    held.fill_(value)


def _view(subject: Subject, steps: int, double: bool) -> View | None:
    """None where the model cannot be run so."""
    if subject.rollout is not None:
        rollout = subject.rollout
        state, count = rollout.state.detach(), steps or rollout.steps
        run: Callable[[Tensor], Tensor] = lambda x: rollout.advance(x, count)  # noqa: E731
        calls = 1
    else:
        state, run, calls = _first_call(subject)
    if not state.ndim or 0 in state.shape or min(state.shape[2:]) < 2:
        raise NotProbed(
            f"the model's input {tuple(state.shape)} has no places: one of at least 2 x 2 is needed"
        )
    if double:
        subject.model.zero_grad(set_to_none=True)  # gradients that wait would be converted, too
        try:
            subject.model.double()
        except CANNOT:
            return None
    x = _widened(state) if double else state
    chance = EvenChance(LOW)
    try:
        with torch.no_grad(), chance:
            run(x[:1])
    except CANNOT as error:
        if double:
            return None
        raise NotProbed(f"the model cannot be run in evaluation mode: {str(error)[:200]}") from None
    copied = lambda x: run(x.clone())  # noqa: E731 - a network may work in place
    return View(copied, x, x.dtype in (torch.float64, torch.complex128), calls, chance.seen)


def _first_call(subject: Subject) -> tuple[Tensor, Callable[[Tensor], Tensor], int]:
    torch.manual_seed(0)
    try:
        with torch.no_grad():
            calls = subject.calls()
    except NotProbed:
        raise
    except CANNOT as error:
        raise NotProbed(f"the loss cannot be had in evaluation mode: {str(error)[:200]}") from None
    if not calls:
        raise NotProbed("the loss calls parts of the model, not the model itself")
    call = calls[0]
    chosen = _picture(subject.model, list(tensors((call.args, call.kwargs))))
    last = chosen.ndim == 3 and not _line_first(subject.model, chosen)
    given = len(chosen)

    def run(x: Tensor) -> Tensor:
        rows = torch.arange(len(x), device=x.device) % given

        def replaced(tensor: Tensor) -> Tensor:
            if tensor is chosen:
                return x.transpose(1, 2) if last else x
            if tensor.ndim and len(tensor) == given:
                tensor = tensor[rows.to(tensor.device)]
            real = x.real.dtype
            return tensor.to(real) if tensor.is_floating_point() else tensor

        args, kwargs = mapped((call.args, call.kwargs), replaced)
        return _output(subject.model(*args, **kwargs), chosen.ndim, len(x), last)

    return (chosen.transpose(1, 2) if last else chosen).detach(), run, len(calls)


def _picture(model: nn.Module, found: list[Tensor]) -> Tensor:
    """The input with places: the one with most numbers among those of most dimensions."""
    fit = [t for t in found if t.ndim in (3, 4, 5) and (t.is_floating_point() or t.is_complex())]
    if not fit:
        kinds = ", ".join(f"{tuple(t.shape)} {str(t.dtype)[6:]}" for t in found[:3]) or "no tensor"
        raise NotProbed(f"the model is handed {kinds}: no picture, volume or sequence of numbers")
    best = max(fit, key=lambda t: (t.ndim, t.numel()))
    if best.ndim == 5 and not any(isinstance(m, IN_SPACE) for m in model.modules()):
        raise NotProbed(f"it is not clear which sides of {tuple(best.shape)} are places")
    return best


def _line_first(model: nn.Module, tensor: Tensor) -> bool:
    """Whether a tensor of three dimensions is (n, channels, length)."""
    first = next((m for m in model.modules() if isinstance(m, ALONG_LINE)), None)
    wanted = getattr(first, "in_channels", tensor.shape[1])
    return first is not None and wanted == tensor.shape[1]


def _output(out: Any, ndim: int, count: int, last: bool) -> Tensor:
    """Of several outputs the one with most places, channels first."""
    found = [t for t in tensors(out) if t.is_floating_point() or t.is_complex()]
    rows = [t for t in found if t.ndim and len(t) == count]
    if not rows:
        raise NotProbed("the model gives no tensor with one entry a sample")
    alike = [t for t in rows if t.ndim == ndim]
    if not alike:
        return rows[0].flatten(1) if rows[0].ndim > 1 else rows[0][:, None]
    best = max(alike, key=lambda t: t.shape[2:].numel() if not last else t.shape[1])
    return best.transpose(1, 2) if last else best


def _widened(tensor: Tensor) -> Tensor:
    return tensor.to(torch.complex128 if tensor.is_complex() else torch.float64)


def samples_of(subject: Subject, most: int) -> tuple[Tensor, Tensor, Tensor] | None:
    """Inputs, outputs and targets of equal places, (n, channels, h, w), over several batches.

    None where the model is called more than once, or no target has places of its own. Classes
    become one channel each.
    """
    found: list[tuple[Tensor, Tensor, Tensor]] = []
    with torch.no_grad(), subject.evaluating():
        for batch in subject.more(16):
            torch.manual_seed(0)
            calls = subject.calls(batch)
            if len(calls) != 1:
                return None
            x = _picture(subject.model, list(tensors((calls[0].args, calls[0].kwargs))))
            out = _output(calls[0].output, x.ndim, len(x), False)
            target = _target(batch, x, out)
            if x.ndim != 4 or target is None or x.is_complex() or out.is_complex():
                return None
            if found and x.shape[1:] != found[0][0].shape[1:]:
                continue  # a batch of another size of canvas
            found.append((x.float(), out.float(), target))
            if sum(len(one) for one, _, _ in found) >= most:
                break
    wide = max(t.shape[1] for _, _, t in found)
    rows = [
        (x, out, nn.functional.pad(t, (0, 0, 0, 0, 0, wide - t.shape[1]))) for x, out, t in found
    ]
    x, out, target = (torch.cat(column)[:most] for column in zip(*rows, strict=True))
    return x, out, target


def _target(batch: Any, x: Tensor, out: Tensor) -> Tensor | None:
    """The tensor of a batch that has the output's places; the input only where it is its own."""
    places = tuple(x.shape[2:])
    if out.ndim != 4 or tuple(out.shape[2:]) != places:
        return None
    second = batch[1] if isinstance(batch, list | tuple) and len(batch) == 2 else batch
    fit = [
        t
        for t in (*tensors(second), *tensors(batch))
        if t.ndim in (3, 4) and tuple(t.shape[-2:]) == places and len(t) == len(x)
    ]
    found = next((t for t in fit if t is not x), fit[0] if fit else None)
    if found is None or found.is_complex():
        return None
    if found.ndim == 3 and not found.is_floating_point():
        kinds = int(found.max()) + 1
        if not 1 < kinds <= MOST_CLASSES:
            return None
        return nn.functional.one_hot(found.long().clamp_min(0), kinds).movedim(3, 1).float()
    return (found[:, None] if found.ndim == 3 else found).float()
