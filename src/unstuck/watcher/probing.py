"""Experiments at chosen steps of a watched run: `unstuck run --probe 1,200`.

A step that is to be probed is taped, with a few before it whose data are further batches. When an
optimizer is about to step, what it follows becomes a Subject, the cheap probes run on it, and all
is put back: the gradients that wait, the random states, the optimizer. Their facts are the run's.
Where a loss cannot be had again in the same way, the run says why and goes on.
"""

import contextlib
import sys
import time
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from torch import Tensor
from torch.optim import Optimizer

from unstuck.experiment import Examination, NotProbed
from unstuck.lab.subject import Subject
from unstuck.watcher.modules import Modules
from unstuck.watcher.ranks import process_group
from unstuck.watcher.recorder import Recorder
from unstuck.watcher.tape import Tape
from unstuck.watcher.tape_listening import Listening
from unstuck.watcher.tape_replay import Replay
from unstuck.watcher.terms import Terms

USUAL = (1, 200)  # steps: one when start-up is over, one when something has been learned
SECONDS = 20.0  # of one probing
EARLIER = 3  # steps before a probed one whose data are kept
LATER = 3  # steps after it that may stand in for it, where it was left out
MOST_BYTES = 64 << 20  # of data that is kept
AT_START = frozenset({"start"})  # probes of a model that has learned nothing yet
FRESH = 1  # step up to which that is so


@dataclass(slots=True)
class Taken:
    """A loss that was backpropagated: its tape, or why there is none."""

    loss: str
    step: int
    replay: Replay | None
    why_not: str = ""


class Probing:
    """Decides when to tape and to probe; nothing happens on any other step."""

    def __init__(
        self,
        steps: Iterable[int],
        recorder: Recorder,
        modules: Modules,
        mine: Callable[[], bool],
        seconds: float,
    ) -> None:
        self._steps = sorted(set(steps))
        self._seconds = seconds
        self._recorder = recorder
        self._modules = modules
        self._tape = Tape()
        self._listening = Listening(self._tape, mine)
        self._taken: dict[str, Taken] = {}
        self._earlier: list[tuple[str, Replay]] = []
        self._optimizers: set[int] = set()
        self._stepped: set[int] = set()
        self._why_not = ""

    @property
    def on(self) -> bool:
        """Whether the running step is taped."""
        return self._listening.on

    def start(self) -> None:
        self._attend(self._recorder.clock.step)

    def stop(self) -> None:
        self._listening.stop()
        self._tape.clear()
        for step in self._steps:
            self._recorder.note({f"probed/{step}": self._why_not or "the run ended before"})
        self._steps = []

    def give_way(self) -> None:
        """A model is compiled: anything of ours would break its graph."""
        self._why_not = "not probed: a compiled model would be compiled anew"
        self._listening.stop()
        self._tape.clear()

    def pause(self) -> None:
        """A backward pass begins: nothing of it belongs on the tape."""
        self._listening.pause()

    def resume(self) -> None:
        self._listening.resume()

    def backward(self, name: str, root: Tensor, terms: Terms | None, changed: bool) -> None:
        """A loss is about to be backpropagated: keep what leads to it."""
        step = self._recorder.clock.step
        if changed:
            self._taken[name] = Taken(name, step, None, "its weights are changed while it runs")
            return
        loss = terms.loss if terms and self._tape.ref_of(terms.loss) is not None else root
        found = terms.terms if terms else {}
        weights = terms.weights if terms else {}
        try:
            replay = Replay(self._tape, loss, {n: (t, weights[n]) for n, t in found.items()})
        except NotProbed as reason:
            self._taken[name] = Taken(name, step, None, str(reason))
            return
        self._taken.pop(name, None)
        self._taken[name] = Taken(name, step, replay)
        size = sum(t.numel() * t.element_size() for t in replay.batch)
        if self._steps and step < self._steps[0] and size * EARLIER <= MOST_BYTES:
            self._earlier = [*self._earlier, (name, replay)][-4 * EARLIER :]

    def before_step(self, optimizer: Optimizer) -> None:
        """The gradients are there and the step comes next: the moment to probe."""
        self._optimizers.add(id(optimizer))
        if not self.on or not self._steps or self._recorder.clock.step < self._steps[0]:
            return
        self._listening.stop()
        began = time.monotonic()
        try:
            self._probe(optimizer)
        except NotProbed as reason:
            self._why_not = f"not probed: {reason}"
        except Exception as error:  # whatever it is, training must not see it
            self._why_not = f"not probed: {type(error).__name__}: {error}"[:500]
        finally:
            self._recorder.leave_out(time.monotonic() - began)
            self._listening.start()  # other optimizers may step yet

    def after_step(self, optimizer: Optimizer) -> None:
        """A step is over: what was taped is let go, and the next one taped where it is to be."""
        self._stepped.add(id(optimizer))
        if self._stepped >= self._optimizers or self._tape.full:
            self._tape.clear()
            self._taken.clear()
            self._stepped.clear()
        step = self._recorder.clock.step
        if self._steps and step > self._steps[0] + LATER:
            self._say(self._steps.pop(0), self._why_not or "not probed: no loss was seen")
            self._why_not, self._earlier = "", []
        self._attend(step)

    def _attend(self, step: int) -> None:
        wanted = bool(self._steps) and step + 1 >= self._steps[0] - EARLIER
        if self._modules.compiled:
            self.give_way()
        elif wanted and not self._listening.on:
            self._why_not = self._listening.start()
        elif not wanted and self._listening.on:
            self._listening.stop()
            self._tape.clear()

    def _probe(self, optimizer: Optimizer) -> None:
        from unstuck.examine import chosen, examined  # reads every probe and detector
        from unstuck.watcher.probing_subject import subject_of

        if process_group() is not None:
            raise NotProbed("other ranks would wait for this one")
        trained = {id(p) for group in optimizer.param_groups for p in group["params"]}
        reasons = [t.why_not for t in self._taken.values() if t.replay is None]
        for taken in reversed(list(self._taken.values())):
            if taken.replay is None or not trained & _reached(taken.replay):
                continue
            earlier = [r for name, r in self._earlier if name == taken.loss][-EARLIER:]
            subject = subject_of(taken.replay, optimizer, self._modules.models, earlier)
            step = self._recorder.clock.step
            wanted = [p for p in chosen(cheap=True) if step <= FRESH or p.name not in AT_START]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = examined(subject, wanted, seconds=self._seconds)
            self._recorder.note(found.facts)
            self._say(self._steps.pop(0), _told(subject, taken.loss, found))
            self._why_not, self._earlier = "", []
            return
        raise NotProbed(reasons[-1] if reasons else "no loss was seen that this optimizer follows")

    def _say(self, step: int, text: str) -> None:
        self._recorder.note({f"probed/{step}": text.partition("\n")[0]})
        with contextlib.suppress(Exception):  # stderr may be closed
            print(f"unstuck: step {step}: {text}", file=sys.stderr, flush=True)


def _reached(replay: Replay) -> set[int]:
    """Parameters on the way to a loss, by id."""
    inside = [p for m in replay.modules for p in m.parameters()]
    plain = [d.original for d in replay.data.values() if d.original.requires_grad]
    return {id(p) for p in (*inside, *replay.weights, *plain)}


def _told(subject: Subject, loss: str, found: Examination) -> str:
    seconds = sum(found.seconds.values())
    told = f"probed {loss} of {subject.name} ({subject.samples} samples) in {seconds:.1f} s"
    lines = [f"{told}: {', '.join(found.results) or 'nothing to tell'}"]
    lines += [f"  {name}: {' '.join(r.said)}" for name, r in found.results.items() if r.said]
    failed = {n: r for n, r in found.left_out.items() if r.startswith("failed")}
    lines += [f"  {name} {reason}" for name, reason in failed.items()]
    silent = [name for name in found.left_out if name not in failed]
    lines += [f"  not for this: {', '.join(silent)}"] if silent else []
    return "\n".join(lines)
