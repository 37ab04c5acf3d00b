"""What a probe experiments on: a model, a batch, a loss, and whatever else its user can say."""

import contextlib
import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from unstuck.experiment import NotProbed
from unstuck.lab import batch as batches_of
from unstuck.lab.families import Family

TOTAL = "loss"  # of a loss that gives its terms by name
MODEL_WORDS = frozenset({"model", "net", "network", "module"})
Loss = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the model: what it was handed and what it gave."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    output: Any


@dataclass(frozen=True, slots=True)
class Rollout:
    """A rule that is applied again and again (a cellular automaton, a recurrent refinement).

    `state`: (n, c, h, w) it begins with; `advance(state, steps)` gives the state so many steps
    later; `steps` are those of one training rollout; `error(state)` -> (n,) how far a state is
    from what is wanted.
    """

    state: Tensor
    advance: Callable[[Tensor, int], Tensor]
    steps: int
    error: Callable[[Tensor], Tensor]


@dataclass(slots=True)
class Subject:
    """A model as its training meets it.

    `loss(model, batch)` gives the loss as a scalar, or a mapping of named terms (their sum is the
    loss, unless one is called "loss"). A loss whose first parameter is not called model, net,
    network or module is taken as `loss(prediction, target)` with `batch = (inputs, target)`.
    `batches` are further batches of the training data and `held_out` some of the others, each an
    iterable that can be gone through more than once; `optimizer` is the one that trains the model.
    What only some probes can use:

    - `at_use(model, batch)`: the loss with nothing but what is known when the model is used.
    - `rollout`: of a rule that is applied again and again.
    - `latents`: names of modules whose outputs are codes.
    - `modalities`: two of their names (or one twice, for its first two calls), whose codes of one
      sample should find each other.
    - `paired(batch)`: two pictures (n, c, h, w) of the same samples that should lie on each other.
    - `full`: a batch of the training data on its full canvas, where training sees patches of it.
    - `labelled(batch)`: inputs (n, ...) and labels (n,) or targets (n, d).
    - `at_inference(batch)`: the inputs as they are prepared when the model is used.
    - `gpu_memory`: bytes of the card that training is planned on.
    - `wanted_batch`: samples wanted for each update, accumulated if need be; default those of
      the batch.
    - `family`: a builder and its options, of which the model is one.
    - `accumulate(model, micro_batches)`: the training's own accumulation. It is handed the parts of
      one batch in a list, runs their forward and backward passes and leaves the gradients in
      `.grad`, or makes the step, too; without the schedule of the learning rate.
    - `micro_batches`: how many of them the training puts into one step.
    """

    model: nn.Module
    batch: Any
    loss: Loss
    optimizer: Optimizer | None = None
    batches: Iterable[Any] = ()
    held_out: Iterable[Any] = ()
    name: str = "model"
    at_use: Loss | None = None
    rollout: Rollout | None = None
    latents: Sequence[str] = ()
    modalities: tuple[str, str] | None = None
    paired: Callable[[Any], tuple[Tensor, Tensor]] | None = None
    full: Any = None
    labelled: Callable[[Any], tuple[Tensor, Tensor]] | None = None
    at_inference: Callable[[Any], Any] | None = None
    gpu_memory: int | None = None
    wanted_batch: int | None = None
    family: Family | None = None
    accumulate: Callable[[nn.Module, list[Any]], Any] | None = None
    micro_batches: int | None = None
    others: tuple[nn.Module, ...] = field(init=False)  # modules the loss or `accumulate` holds

    def __post_init__(self) -> None:
        if not isinstance(self.model, nn.Module):
            raise TypeError(f"the model is a {type(self.model).__name__}, not a torch.nn.Module")
        if not callable(self.loss):
            raise TypeError(f"the loss is a {type(self.loss).__name__}, not a function")
        if not any(t.ndim for t in batches_of.tensors(self.batch)):
            raise TypeError(
                f"the batch ({type(self.batch).__name__}) holds no tensor; give what the loss is "
                "handed, such as (inputs, targets)"
            )
        held = (*_held(self.loss), *_held(self.accumulate))
        self.others = tuple(m for m in held if m is not self.model)

    @property
    def samples(self) -> int:
        """Number of samples in the batch."""
        return batches_of.size(self.batch)

    @property
    def device(self) -> torch.device:
        """Where the model's first parameter or buffer lies, else the batch's first tensor."""
        for tensor in (*self.model.parameters(), *self.model.buffers()):
            return tensor.device
        return next(batches_of.tensors(self.batch)).device

    @property
    def parameters(self) -> list[nn.Parameter]:
        """Parameters that training changes: the optimizer's, else all that ask for gradients."""
        if self.optimizer is not None:
            mine = {id(p) for p in self.model.parameters()}
            groups = [p for g in self.optimizer.param_groups for p in g["params"]]
            found = [p for p in groups if id(p) in mine]
            if found:
                return found
        return [p for p in self.model.parameters() if p.requires_grad]

    def more(self, most: int) -> list[Any]:
        """The batch and up to `most - 1` further ones of the training data."""
        found = [self.batch]
        for one in self.batches:
            if len(found) >= most:
                break
            found.append(batches_of.moved(one, self.device))
        return found

    def terms(self, batch: Any = None) -> dict[str, Tensor]:
        """The loss's terms on a batch by name, with their graph; always with the total, "loss"."""
        batch = self.batch if batch is None else batch
        found = self.of_model(batch) if self._takes_model else self.of_prediction(batch)
        if isinstance(found, Mapping):
            named = {str(k): _scalar(v, str(k)) for k, v in found.items()}
            if not named:
                raise NotProbed("the loss gives an empty mapping: it needs at least one term")
            if TOTAL not in named:
                named[TOTAL] = torch.stack(list(named.values())).sum()
            return named
        return {TOTAL: _scalar(found, TOTAL)}

    def value(self, batch: Any = None) -> Tensor:
        """The loss on a batch (default: the subject's own), a scalar with its graph."""
        return self.terms(batch)[TOTAL]

    def of_model(self, batch: Any) -> Any:
        return self.loss(self.model, batch)

    def of_prediction(self, batch: Any) -> Any:
        inputs, target = _input_and_target(batch)
        return self.loss(self.model(inputs), target)

    @property
    def _takes_model(self) -> bool:
        return takes_model(self.loss)

    def calls(self, batch: Any = None) -> list[Call]:
        """Every outermost call of the model that the loss makes on a batch."""
        found: list[Call] = []
        depth = 0

        def before(*_: Any) -> None:
            nonlocal depth
            depth += 1

        def after(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> None:
            nonlocal depth
            depth -= 1
            if not depth:
                found.append(Call(args, kwargs, out))

        handles = [
            self.model.register_forward_pre_hook(before),
            self.model.register_forward_hook(after, with_kwargs=True),
        ]
        try:
            self.terms(batch)
        finally:
            for handle in handles:
                handle.remove()
        return found

    def call(self, batch: Any = None) -> Call:
        """The model's first call. NotProbed where the loss calls only parts of the model."""
        found = self.calls(batch)
        if not found:
            raise NotProbed("the loss calls parts of the model, not the model itself")
        return found[0]

    @contextlib.contextmanager
    def evaluating(self) -> Iterator[None]:
        """All modules in evaluation mode; their own modes again afterwards."""
        modes = {m: m.training for m in self.model.modules()}
        self.model.eval()
        try:
            yield
        finally:
            for module, training in modes.items():
                module.training = training


def takes_model(loss: Loss) -> bool:
    """Whether a loss is handed the model and the batch, told by its first parameter's name."""
    if isinstance(loss, nn.Module):
        return False
    try:
        parameters = list(inspect.signature(loss).parameters.values())
    except (TypeError, ValueError):  # written in C: a function of tensors
        return False
    return bool(parameters) and parameters[0].name.lower() in MODEL_WORDS


def _input_and_target(batch: Any) -> tuple[Any, Any]:
    if isinstance(batch, list | tuple) and len(batch) == 2:
        return batch[0], batch[1]
    raise TypeError(
        f"a loss of (prediction, target) needs a batch of two, (inputs, target), not a "
        f"{type(batch).__name__}; or give a function loss(model, batch)"
    )


def _scalar(value: Any, name: str) -> Tensor:
    if not isinstance(value, Tensor) or value.numel() != 1:
        shape = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
        raise TypeError(f"{name} is {shape}: a loss must be one number, such as its mean")
    return value.reshape(())


def _held(loss: Loss | None) -> Iterator[nn.Module]:
    """Modules that a function is, is bound to, or closes over: it may train or count in them."""
    while isinstance(loss, functools.partial):
        yield from (a for a in (*loss.args, *loss.keywords.values()) if isinstance(a, nn.Module))
        loss = loss.func
    owner = getattr(loss, "__self__", None)
    cells = [c.cell_contents for c in getattr(loss, "__closure__", None) or () if filled(c)]
    held = [loss, owner, *cells]
    if owner is not None and not isinstance(owner, nn.Module):
        held += list(getattr(owner, "__dict__", {}).values())
    code = getattr(loss, "__code__", None)
    if code is not None:
        known = getattr(loss, "__globals__", {})
        held += [known.get(name) for name in code.co_names]
    yield from (m for m in held if isinstance(m, nn.Module))


def filled(cell: Any) -> bool:
    """Whether a closure's cell holds something."""
    try:
        return cell.cell_contents is not None
    except ValueError:
        return False
