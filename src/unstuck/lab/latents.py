"""Codes of a model on several batches: modules asked for, named like codes, or the narrowest."""

import contextlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from unstuck.experiment import NotProbed
from unstuck.lab.batch import size, tensors
from unstuck.lab.codes import as_rows
from unstuck.lab.subject import Subject

CODE_NAME = re.compile(
    r"(.*_)?(enc|encoder|latent|bottleneck|embedder|projector|projection|proj_head|code|codes|z)"
    r"(_head|_conv|_layer)?\d*"
)
SEED = 0
MOST_FOUND = 4  # modules that nobody named
Kept = dict[str, list[Tensor]]  # module -> the rows (n, d) of each of its calls


def named_like_codes(model: nn.Module) -> list[str]:
    """Modules named like a code, none inside another one."""
    found: list[str] = []
    for name, _ in model.named_modules():
        inside = any(name.startswith(f"{outer}.") for outer in found)
        if name and not inside and CODE_NAME.fullmatch(name.rsplit(".", 1)[-1].lower()):
            found.append(name)
    return found[:MOST_FOUND]


def narrowest_module(subject: Subject) -> str | None:
    """The module with the fewest numbers a sample on the way, at least two; None for none."""
    width: dict[str, int] = {}
    samples = subject.samples

    def note(name: str, output: Any) -> None:
        rows = smallest(output, samples)
        if rows is not None and len(rows) == samples and rows[0].numel() > 1:
            width.setdefault(name, rows[0].numel())

    inner = {n: m for n, m in subject.model.named_modules() if n}
    with subject.evaluating(), _noting(inner, note):
        torch.manual_seed(SEED)
        calls = subject.calls()
    final = {t[0].numel() for c in calls for t in tensors(c.output) if t.ndim > 1 and len(t)}
    width = {name: w for name, w in width.items() if w not in final}
    return min(width, key=lambda name: width[name], default=None)


def rows_of(subject: Subject, names: Mapping[str, int], batches: Iterable[Any]) -> Kept:
    """What modules give in evaluation mode on all batches together.

    `names`: module -> how many of its calls in one loss are kept. NotProbed for an unknown one.
    """
    modules = dict(subject.model.named_modules())
    unknown = [name for name in names if name not in modules]
    if unknown:
        raise NotProbed(f"the model has no module {unknown[0][:80]!r} to take codes from")
    found: dict[str, list[list[Tensor]]] = {
        name: [[] for _ in range(n)] for name, n in names.items()
    }
    for number, batch in enumerate(batches):
        called, samples = dict.fromkeys(names, 0), size(batch)

        def note(
            name: str, output: Any, called: dict[str, int] = called, samples: int = samples
        ) -> None:
            rows = smallest(output, samples)
            if rows is not None and called[name] < names[name]:
                found[name][called[name]].append(as_rows(rows))
                called[name] += 1

        with subject.evaluating(), _noting({name: modules[name] for name in names}, note):
            torch.manual_seed(SEED + number)
            subject.terms(batch)
    return {name: [_joined(parts) for parts in kept if parts] for name, kept in found.items()}


def smallest(output: Any, samples: int) -> Tensor | None:
    """Of a module's outputs, the batch of floats with the fewest numbers a sample.

    As many rows as the batch has samples, if there is such a one (a recurrent layer's last state
    has the layers first), else at least two.
    """
    floats = [t for t in tensors(output) if t.is_floating_point() or t.is_complex()]
    found = [t for t in floats if t.ndim > 1 and len(t) == samples] or [
        t for t in floats if t.ndim > 1 and len(t) > 1
    ]
    return min(found, key=lambda t: t.numel()) if found else None


def restarted(model: nn.Module) -> None:
    """Every layer that knows how begins anew: about what the model was before training."""
    torch.manual_seed(SEED)
    for module in model.modules():
        for name in ("reset_parameters", "_reset_parameters"):
            if callable(begin := getattr(module, name, None)):
                begin()
                break


def _joined(parts: list[Tensor]) -> Tensor:
    """Rows of one width; batches of another (longer sentences) are left out."""
    return torch.cat([p for p in parts if p.shape[1] == parts[0].shape[1]])


@contextlib.contextmanager
def _noting(modules: Mapping[str, nn.Module], note: Callable[[str, Any], None]) -> Iterator[None]:
    """Tell of every output of these modules, by name."""

    def hook(name: str) -> Callable[[nn.Module, Any, Any], None]:
        return lambda module, args, output: note(name, output)

    handles = [module.register_forward_hook(hook(name)) for name, module in modules.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
