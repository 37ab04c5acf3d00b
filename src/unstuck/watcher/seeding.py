"""The seed of a run, given to a script from outside: pairs of a trial differ between seeds.

`UNSTUCK_SEED=n` seeds random, numpy and torch once torch has been imported, and shifts the seeds
that the script sets itself, so that a script with `torch.manual_seed(0)` in it also trains anew
for every n. Equal n give equal runs; n = 0 leaves the script's own seeds as they are. Seeds set
before torch is imported are not seen, nor are objects of random.Random and numpy's RandomState.
"""

import functools
import hashlib
import random
import sys
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

import torch

LARGEST = 2**31 - 1  # a seed that every generator takes
NOT_THE_SCRIPT = ("torch.", "numpy.", "unstuck.")  # their seeds derive from those set already
OF_SCRIPTS = ("unstuck.cases.",)
GIVEN_AS = ("seed", "a")  # names of that argument in torch, numpy and random


def shifted(seed: int, by: int) -> int:
    """The seed to use where a script asks for `seed`: itself for 0, else one of 2**31.

    >>> shifted(7, 0), shifted(7, 1) != shifted(8, 1), shifted(7, 1) == shifted(7, 1)
    (7, True, True)
    """
    if by == 0:
        return seed
    return int.from_bytes(hashlib.sha256(f"{by}/{seed}".encode()).digest()[:4], "big") & LARGEST


class Seeding:
    """The seed of this process, from `start()` to `stop()`."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._unseeded = 0  # how often a script has asked for a seed from the system
        self._undo: list[tuple[Any, str, Any]] = []

    def start(self) -> None:
        """Seed everything, and stand in for what seeds."""
        random.seed(self._seed)
        torch.manual_seed(self._seed)
        numpy = sys.modules.get("numpy")
        if numpy is not None:
            numpy.random.seed(self._seed % 2**32)
            self._replace([numpy.random], "seed", self._shifting_or_seeding)
            self._replace([numpy.random], "default_rng", self._shifting_or_seeding)
        self._replace([random], "seed", self._shifting_or_seeding)
        self._replace([torch, torch.random], "manual_seed", self._shifting)
        self._replace([torch.cuda, torch.cuda.random], "manual_seed", self._shifting)
        self._replace([torch.cuda, torch.cuda.random], "manual_seed_all", self._shifting)
        self._replace([torch], "Generator", self._generator)

    def stop(self) -> None:
        """Put every function back that is still ours."""
        while self._undo:
            holder, name, original = self._undo.pop()
            setattr(holder, name, original)

    def _replace(self, holders: Sequence[Any], name: str, made: Callable[[Any], Any]) -> None:
        """Stand in for a function wherever it is held; others may have wrapped it in one place."""
        stand_ins: dict[int, Any] = {}
        for holder in holders:
            original = getattr(holder, name, None)
            if original is not None:
                self._undo.append((holder, name, original))
                setattr(holder, name, stand_ins.setdefault(id(original), made(original)))

    def _shifting(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function with another seed where the script calls it with one."""

        @functools.wraps(function)
        def seeding(*args: Any, **options: Any) -> Any:
            if _of_the_script(sys._getframe(1)):
                args, options = self._with_seed(args, options)
            return function(*args, **options)

        return seeding

    def _shifting_or_seeding(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The same; where the system would choose the seed, pairs get equal ones."""

        @functools.wraps(function)
        def seeding(*args: Any, **options: Any) -> Any:
            if not _of_the_script(sys._getframe(1)):
                return function(*args, **options)
            if args == (None,) or (not args and not any(n in options for n in GIVEN_AS)):
                self._unseeded += 1
                return function(shifted(self._unseeded, self._seed + 1))
            args, options = self._with_seed(args, options)
            return function(*args, **options)

        return seeding

    def _with_seed(
        self, args: tuple[Any, ...], options: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        changed = (*map(self._for, args[:1]), *args[1:])
        return changed, {n: self._for(v) if n in GIVEN_AS else v for n, v in options.items()}

    def _for(self, seed: Any) -> Any:
        """What is used instead of a seed; what is none stays as it is."""
        if isinstance(seed, (list, tuple)) and all(_is_whole(s) for s in seed):
            return [*seed, self._seed] if self._seed else seed
        return shifted(int(seed), self._seed) if _is_whole(seed) else seed

    def _generator(self, generator: Any) -> Any:
        """torch.Generator with another `manual_seed`; the type itself takes no other."""
        used = self._for

        class Kind(type(generator)):  # type: ignore[misc]
            def __instancecheck__(cls, instance: Any) -> bool:
                return isinstance(instance, generator)

        class Generator(generator, metaclass=Kind):  # type: ignore[misc]
            __module__, __qualname__ = "torch", "Generator"  # pickled as what it stands for

            def manual_seed(self, seed: Any) -> Any:
                return super().manual_seed(used(seed) if _of_the_script(sys._getframe(1)) else seed)

        return Generator


def _of_the_script(frame: FrameType) -> bool:
    """Whether a call from this frame is one of the script, or of what it seeds itself with."""
    module = str(frame.f_globals.get("__name__", ""))
    return not module.startswith(NOT_THE_SCRIPT) or module.startswith(OF_SCRIPTS)


def _is_whole(value: Any) -> bool:
    return hasattr(value, "__index__") and not isinstance(value, bool)
