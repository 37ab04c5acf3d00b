"""Do gradients grow on their way back through time?

Of a recurrent layer that runs over a whole sequence in one call, a few of its sequences are run
once more and the gradient of the last state on every input is taken: at steps that get what costs
a backward pass. A module that the script itself calls again and again (a cell, an update rule) is
heard in the backward pass that runs anyway.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from unstuck.watcher.collector import Collector, Watched
from unstuck.watcher.statistics import one

FEWEST = 8  # time steps, or calls in one step, that make a recurrence
MOST_CALLS = 256  # of one module that are heard
SEQUENCES = 4  # that are run once more
LONGEST = 256  # time steps of them, the last ones
LARGEST = 1e30  # so that a ratio of float32 numbers stays one


class Recurrence(Collector):
    """`recurrence/<model>.<layer>/gradient_ratio`: at the first time steps over the last ones."""

    def __init__(self, watched: Watched) -> None:
        super().__init__(watched)
        self._calls: dict[str, int] = {}  # in this step
        self._repeated: set[str] = set()
        self._norms: dict[str, dict[int, Tensor]] = {}  # name -> call -> norm of its gradient

    def forward(
        self, name: str, module: nn.Module, args: tuple[Any, ...], output: Any, outermost: bool
    ) -> None:
        count = self._calls[name] = self._calls.get(name, 0) + 1
        if isinstance(module, nn.RNNBase):
            schedule = self.recorder.schedule  # it opens the next step
            coming = schedule.coming(self.recorder.clock.step + 1)[1]
            if count == 1 and coming and args and isinstance(args[0], Tensor):
                self._run_again(name, module, args[0])
        elif name in self._repeated and count <= MOST_CALLS:
            state = output[0] if isinstance(output, tuple) and output else output
            if isinstance(state, Tensor) and state.grad_fn is not None and state.ndim > 1:
                state.register_hook(self._hearing(name, count))

    def after_backward(self, loss: str) -> None:
        self._repeated = {name for name, count in self._calls.items() if count >= FEWEST}
        heard, self._norms, self._calls = self._norms, {}, {}
        for name, norms in heard.items():
            if len(norms) >= FEWEST:
                ratio = _ratio(torch.stack([norms[call] for call in sorted(norms)]))
                self.recorder.vector([ratio], one(f"recurrence/{name}/gradient_ratio"))

    def _hearing(self, name: str, call: int) -> Callable[[Tensor], None]:
        def hear(gradient: Tensor) -> None:
            self._norms.setdefault(name, {}).setdefault(call, gradient.detach().float().norm())

        return hear

    def _run_again(self, name: str, module: nn.RNNBase, x: Tensor) -> None:
        batch = 0 if module.batch_first else 1
        if x.ndim != 3 or x.shape[1 - batch] < FEWEST or module.proj_size:
            return
        time = 1 - batch
        few = x.detach().narrow(batch, 0, min(SEQUENCES, x.shape[batch]))
        few = few.narrow(time, max(0, x.shape[time] - LONGEST), min(LONGEST, x.shape[time]))
        kind: Any = module.weight_hh_l0
        with torch.enable_grad(), torch.autocast(x.device.type, enabled=False):
            few = few.to(kind.dtype).clone().requires_grad_(True)
            state = _states(module, few, few.shape[batch]).select(time, -1)
            state = state[..., : module.hidden_size]  # of the direction that runs forwards
            size = state.detach().abs().amax().clamp_min(1 / LARGEST)
            gradient = torch.autograd.grad(state, few, state.detach() / size)[0]
        ratio = _ratio(gradient.float().transpose(0, time).flatten(1).norm(dim=1))
        self.hold([ratio], [f"recurrence/{name}/gradient_ratio"])


def _ratio(norms: Tensor) -> Tensor:
    """Mean over the first eighth of the time steps over that of the last one."""
    eighth = max(1, len(norms) // FEWEST)
    first, last = norms[:eighth].mean(), norms[-eighth:].mean()
    return (first / last.clamp_min(1 / LARGEST)).clamp_max(LARGEST)


def _states(module: nn.RNNBase, x: Tensor, count: int) -> Tensor:
    """The outputs of a recurrent layer from a zero state, without its dropout."""
    kind = "lstm" if isinstance(module, nn.LSTM) else module.mode.lower()
    directions = 2 if module.bidirectional else 1
    zero = x.new_zeros(module.num_layers * directions, count, module.hidden_size)
    weights = [w.detach() for w in module._flat_weights if w is not None]
    start: Any = (zero, zero) if kind == "lstm" else zero
    run = getattr(torch._VF, kind)
    shape = (module.num_layers, 0.0, True, module.bidirectional, module.batch_first)
    return torch.as_tensor(run(x, start, weights, module.bias, *shape)[0])
