"""Hears of every function of torch and every outermost module while a step is taped."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch._C._functorch import peek_interpreter_stack as in_functional_transform
from torch.nn.modules import module as hooks
from torch.overrides import (
    TorchFunctionMode,
    _get_current_function_mode_stack,
    _pop_mode,
    _push_mode,
)
from torch.utils._device import DeviceContext

from unstuck.watcher.tape import Entry, Tape


class Listening:
    """Writes on a tape from `start` to `stop`. Inside a module nothing is heard of."""

    def __init__(self, tape: Tape, mine: Callable[[], bool]) -> None:
        self._tape = tape
        self._mine = mine
        self._mode = _Mode(self)
        self._handles: list[Any] = []
        self._depth = 0
        self._entry: Entry | None = None
        self._aside = False  # the mode is off the stack while an outermost module runs

    @property
    def on(self) -> bool:
        return bool(self._handles)

    def start(self) -> str:
        """Begin to listen; or, in words, why that is not safe here."""
        stack = _get_current_function_mode_stack()
        if any(not isinstance(mode, DeviceContext) for mode in stack):
            return "the script runs in a torch function mode of its own"
        self._depth, self._entry = 0, None
        self._handles = [
            hooks.register_module_forward_pre_hook(self._before),
            hooks.register_module_forward_hook(self._after, with_kwargs=True, always_call=True),
        ]
        _push_mode(self._mode)
        return ""

    def stop(self) -> None:
        for handle in self._handles:
            handle.remove()
            hooks._global_forward_hooks_with_kwargs.pop(handle.id, None)  # torch forgets to
        self._handles = []
        self._take_off()

    def pause(self) -> None:
        """Hear nothing until `resume`; what is torch's own then runs as if we were not here."""
        if self.on and not self._depth:
            self._take_off()

    def resume(self) -> None:
        if self.on and not self._depth and self._mode not in _get_current_function_mode_stack():
            _push_mode(self._mode)

    def _take_off(self) -> None:
        """Remove the mode wherever it is on the stack: the script may have put others on it."""
        if self._mode not in _get_current_function_mode_stack():
            return
        above = []
        while (mode := _pop_mode()) is not self._mode:
            above.append(mode)
        for mode in reversed(above):
            _push_mode(mode)

    def heard(self, call: Any, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """A function of torch is called: call it."""
        if self._depth or not self._mine() or torch.compiler.is_compiling():
            return call(*args, **options)
        entry = self._safely(self._tape.before_function, call, args, options)
        result = call(*args, **options)
        if entry is not None:
            self._safely(self._tape.after, entry, options, result)
        return result

    def _safely(self, write: Callable[..., Any], *args: Any) -> Any:
        """What goes wrong in here costs the tape, and training does not see it."""
        try:
            return write(*args)
        except Exception as error:
            self._tape.why_not = f"it could not be taped ({type(error).__name__}: {error})"[:200]
            return None

    def _before(self, module: nn.Module, args: Any) -> None:
        if not self._mine():
            return
        self._depth += 1
        if self._depth > 1:
            return
        stack = _get_current_function_mode_stack()
        self._aside = bool(stack) and stack[-1] is self._mode
        if not self._aside:  # the script's own mode is on top, or a function calls the module
            return
        _pop_mode()
        if in_functional_transform():
            self._tape.why_not = "it transforms functions (vmap, grad)"
        else:
            self._entry = self._safely(self._tape.before_module, module, args)

    def _after(self, module: nn.Module, args: Any, *rest: Any) -> None:
        if not self._mine():
            return
        self._depth = max(0, self._depth - 1)
        if self._depth or not self._aside:
            return
        entry, self._entry, self._aside = self._entry, None, False
        if entry is not None and entry.call is module:
            options = rest[0] if len(rest) == 2 else {}  # of a call that failed torch tells none
            self._safely(self._tape.after, entry, options, rest[-1])
        _push_mode(self._mode)


class _Mode(TorchFunctionMode):
    def __init__(self, listening: Listening) -> None:
        super().__init__()
        self._listening = listening

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        return self._listening.heard(func, args, kwargs or {})
