"""Models found by their outermost call; on sampled steps, what their layers put out."""

import functools
from collections.abc import Callable, Iterator, Mapping
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn
from torch._C._functorch import peek_interpreter_stack as in_functional_transform
from torch.nn.modules import module as hooks

from unstuck.lab.latents import CODE_NAME
from unstuck.watcher.collector import Watched
from unstuck.watcher.naming import called_on, caller, clean
from unstuck.watcher.recorder import Recorder
from unstuck.watcher.statistics import joined, latent_spread, spread

MOST_LAYERS = 400  # layers whose outputs are read; a larger model is read as far as that
MOST_LATENT_CALLS = 4


class Modules:
    """Knows the models by name; while `listening`, reads every layer's first output."""

    def __init__(
        self,
        recorder: Recorder,
        watched: Watched,
        latents: tuple[str, ...],
        *,
        given: bool,
        ours: Callable[..., Any],
    ) -> None:
        self._recorder = recorder
        self._ours = ours  # calls a function of ours so that training does not see it fail
        self._watched = watched
        self._asked = latents
        self._given = given  # models were named by the user: discover no others
        self.models: dict[str, nn.Module] = {}
        watched.interventions.models = self.models
        self.latents: dict[str, list[Tensor]] = {}  # this step's, with their graph
        self._names: dict[int, str] = {}  # id(module) -> <model>.<layer>
        self._is_latent: set[int] = set()
        self._read: dict[str, list[Tensor]] = {}
        self._depth = 0
        self._handles: list[Any] = []
        self.compiled = False  # one of them is: hooks would break its graph, so there are none
        self.busy = False  # a backward pass runs: forwards in it are recomputations

    def add(self, name: str, model: nn.Module) -> None:
        """Make a model known under a name; its layers and latents get theirs from it."""
        unique, count = clean(name), 1
        while unique in self.models and self.models[unique] is not model:
            count += 1
            unique = f"{clean(name)}.{count}"
        self.models[unique] = model
        self.compiled |= any(map(_is_compiled, model.modules()))
        for module_name, module in model.named_modules():
            self._names.setdefault(id(module), joined(unique, module_name))
        self._is_latent |= {id(m) for m in _outermost(model, unique, self._asked)}
        count = sum(p.numel() for p in model.parameters())
        self._recorder.note({f"parameters/{unique}": count})
        self._watched.interventions.model(unique, model)

    @property
    def listening(self) -> bool:
        """Whether the step that runs, or is about to begin, is sampled."""
        return bool(self._handles)

    def name_of(self, module: nn.Module) -> str | None:
        """`<model>.<layer>` of a module of a known model."""
        return self._names.get(id(module))

    def listen(self, on: bool) -> None:
        """Install the global hooks, or take them away; steps in between cost nothing."""
        if on and not self._handles and not self.compiled:
            self._handles = [
                hooks.register_module_forward_pre_hook(functools.partial(self._hook, self._before)),
                hooks.register_module_forward_hook(
                    functools.partial(self._hook, self._after), always_call=True
                ),
            ]
            self._depth = 0
        elif not on and self._handles:
            for handle in self._handles:
                handle.remove()
            self._handles = []

    def _hook(self, call: Callable[..., None], *args: Any) -> None:
        """Let torch call one of ours; not where it compiles or transforms a function (vmap)."""
        if not torch.compiler.is_compiling() and not in_functional_transform():
            self._ours(call, *args)

    def commit(self, wanted: bool) -> None:
        """Record what was read since the last backward pass, or drop it."""
        read, self._read = self._read, {}
        if wanted and read:
            keys = [f"{n}/{k}" for n, v in read.items() for k in _statistics(n)[: len(v)]]
            values = [value for group in read.values() for value in group]
            self._recorder.vector(values, lambda numbers: dict(zip(keys, numbers, strict=True)))

    def forget_latents(self) -> None:
        self.latents = {}

    def _before(self, module: nn.Module, args: Any) -> None:
        self._depth += 1
        if self._depth == 1 and torch.is_grad_enabled() and not self.busy:
            if id(module) not in self._names and not self._given:
                self._discover(module)
            name = self._names.get(id(module))
            first = next((a for a in args if isinstance(a, Tensor)), None)
            if name and first is not None and first.is_floating_point() and first.numel() > 1:
                self._read.setdefault(f"activation/{name}.input", spread(first))
        if self._watched.wants("before_forward") and torch.is_grad_enabled() and not self.busy:
            name = self._names.get(id(module))
            if name and not torch.compiler.is_compiling():
                self._watched.sampled("before_forward", name, module, args, self._depth == 1)

    def _after(self, module: nn.Module, args: Any, output: Any) -> None:
        self._depth = max(0, self._depth - 1)
        if not torch.is_grad_enabled() or self.busy or torch.compiler.is_compiling():
            return
        name = self._names.get(id(module))
        if name is None:
            return
        if self._watched.wants("forward"):
            self._watched.sampled("forward", name, module, args, output, self._depth == 0)
        if id(module) in self._is_latent:
            self._read_latent(name, output)
        key = f"activation/{name}"
        if module._modules or key in self._read or len(self._read) >= MOST_LAYERS:
            return
        if isinstance(output, Tensor) and output.is_floating_point() and output.numel() > 1:
            self._read[key] = spread(output)

    def _read_latent(self, name: str, output: Any) -> None:
        latent = _smallest(output)
        if latent is None:
            return
        calls = self.latents.setdefault(name, [])
        if len(calls) < MOST_LATENT_CALLS:
            calls.append(latent)
        self._read.setdefault(f"latent/{name}", latent_spread(latent))

    def _discover(self, module: nn.Module) -> None:
        if next(module.parameters(), None) is None:
            return
        frame = caller(2)
        if frame is None:
            return
        owner = _owner(module, frame)
        if owner is not None:
            self.add(*owner)
        if id(module) not in self._names:
            self.add(called_on(frame) or type(module).__name__, module)


def _is_compiled(module: nn.Module) -> bool:
    return type(module).__name__ == "OptimizedModule" or bool(
        getattr(module, "_compiled_call_impl", None)
    )


def _statistics(name: str) -> tuple[str, str]:
    return ("batch_std", "rms") if name.startswith("latent/") else ("mean", "std")


def _smallest(output: Any) -> Tensor | None:
    """The latent among a module's outputs: the tensor with the fewest numbers per sample."""
    values = output.values() if isinstance(output, Mapping) else output
    tensors = [output] if isinstance(output, Tensor) else list(values or ())
    found = [
        t
        for t in tensors
        if isinstance(t, Tensor) and t.is_floating_point() and t.ndim >= 2 and t.shape[0] >= 2
    ]
    return min(found, key=lambda t: t.numel()) if found else None


def _outermost(model: nn.Module, name: str, asked: tuple[str, ...]) -> Iterator[nn.Module]:
    """Modules named like a latent, or as asked; none inside another one found."""
    found: list[str] = []
    for module_name, module in model.named_modules():
        inside = any(module_name.startswith(f"{f}.") or f == "" for f in found)
        last = module_name.rsplit(".", 1)[-1] or name
        wanted = joined(name, module_name) in asked or (module_name and module_name in asked)
        if wanted or (not inside and CODE_NAME.fullmatch(last.lower())):
            found.append(module_name)
            yield module


def _owner(module: nn.Module, frame: FrameType) -> tuple[str, nn.Module] | None:
    """The largest model in the caller's sight that has `module` inside it, and its name."""
    local = frame.f_locals
    in_sight = dict(getattr(local.get("self"), "__dict__", {}).get("_modules", {}))
    in_sight |= {k: v for k, v in local.items() if k != "self"}
    if isinstance(local.get("self"), nn.Module):
        in_sight[type(local["self"]).__name__] = local["self"]
    best: tuple[str, nn.Module] | None = None
    most = 0
    for name, value in in_sight.items():
        if isinstance(value, nn.Module):
            inside = list(value.modules())
            if len(inside) > most and any(m is module for m in inside):
                best, most = (name, value), len(inside)
    return best
