"""Which options a model was built with, told by the names and shapes of its weights.

A family is a function `(**options) -> nn.Module` and the values that each option may take. Recipes
are built on the meta device, where tensors have shapes and no numbers, and compared with a
checkpoint. Where there are too many to try all, each option is set to the value that comes nearest
with the others held, until nothing comes nearer; then pairs of options are tried.
"""

import contextlib
import itertools
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrizations

Shape = tuple[int, ...]
Shapes = Mapping[str, Shape]
Recipe = dict[str, Any]

ALL = 512  # recipes that are all built; more are searched
MOST_BUILDS = 4000
MOST_ALIKE = 64  # recipes that give the same weights and are followed further
SHOWN = 6  # tensors named as a proof or a difference


@dataclass(frozen=True, slots=True)
class Family:
    """A builder and the values that each of its options may take, the usual one first.

    The builder raises ValueError, AssertionError or TypeError for options that do not go together.
    """

    name: str
    build: Callable[..., nn.Module]
    options: Mapping[str, Sequence[Any]]

    def __post_init__(self) -> None:
        empty = [name for name, values in self.options.items() if not len(values)]
        if empty or not self.options:
            raise ValueError(f"family {self.name}: {empty or 'its options'} without a value")


@dataclass(frozen=True, slots=True)
class Recovery:
    """What a checkpoint tells of the recipe that it was made with.

    `recipe`: one that gives it, or the nearest; `values`: those of each option that give the same
    weights, the others held; `proofs`: the tensors that rule out the others; `differences`: where
    the nearest recipe and the checkpoint differ, empty where it is `exact`.
    """

    exact: bool
    recipe: Recipe
    values: Mapping[str, tuple[Any, ...]]
    proofs: Mapping[str, tuple[str, ...]]
    differences: tuple[str, ...]
    complete: bool = True  # whether every recipe was tried or the search came to its end
    part: str = ""
    beside: tuple[str, ...] = ()

    @property
    def undecided(self) -> tuple[str, ...]:
        """Options that no tensor depends on, as the others are."""
        return tuple(n for n, v in self.values.items() if len(v) > 1 and not self.proofs[n])


@dataclass(slots=True)
class Search:
    """Builds recipes and measures how far they are from a checkpoint."""

    family: Family
    ends: float = math.inf
    builds: int = 0
    known: dict[tuple[int, ...], Shapes | None] = field(default_factory=dict)

    @property
    def spent(self) -> bool:
        return self.builds >= MOST_BUILDS or time.monotonic() > self.ends

    def recipe(self, at: tuple[int, ...]) -> Recipe:
        values = zip(self.family.options.items(), at, strict=True)
        return {name: choices[i] for (name, choices), i in values}

    def shapes(self, at: tuple[int, ...]) -> Shapes | None:
        """Names and shapes of a recipe's weights; None where it cannot be built."""
        if at not in self.known:
            self.builds += 1
            self.known[at] = shapes_of(self.family, self.recipe(at))
        return self.known[at]

    def distance(self, at: tuple[int, ...], target: Shapes) -> float:
        found = self.shapes(at)
        return math.inf if found is None else distance(found, target)

    def near(self, at: tuple[int, ...], options: Sequence[int]) -> Iterator[tuple[int, ...]]:
        """The recipes that differ from one in these options at most."""
        counts = [len(values) for values in self.family.options.values()]
        for choice in itertools.product(*(range(counts[i]) for i in options)):
            changed = list(at)
            for option, value in zip(options, choice, strict=True):
                changed[option] = value
            yield tuple(changed)

    def nearest(self, target: Shapes) -> tuple[int, ...]:
        """A recipe that gives these weights, or the nearest that was found."""
        counts = [len(values) for values in self.family.options.values()]
        if math.prod(counts) <= ALL:
            return self._best(target, self.near((0,) * len(counts), range(len(counts))))
        starts = [tuple(0 for _ in counts), tuple(n - 1 for n in counts),
                  tuple(n // 2 for n in counts)]  # fmt: skip
        best = starts[0]
        for start in starts:
            best = self._best(target, iter((best, self._descended(start, target, together=1))))
            if not self.distance(best, target) or self.spent:
                return best
        return self._descended(best, target, together=2)

    def _descended(self, at: tuple[int, ...], target: Shapes, together: int) -> tuple[int, ...]:
        """Nearer and nearer, so many options changed at a time."""
        moved = True
        while moved and not self.spent:
            moved = False
            for options in itertools.combinations(range(len(at)), together):
                found = self._best(target, itertools.chain([at], self.near(at, options)))
                moved, at = moved or found != at, found
                if not self.distance(at, target):
                    return at
        return at

    def _best(self, target: Shapes, recipes: Iterator[tuple[int, ...]]) -> tuple[int, ...]:
        """The nearest, the first of equals."""
        best, least = next(recipes), math.inf
        least = self.distance(best, target)
        for at in recipes:
            if self.spent:
                break
            if (here := self.distance(at, target)) < least:
                best, least = at, here
        return best

    def alike(self, at: tuple[int, ...]) -> list[tuple[int, ...]]:
        """Recipes that give the same weights as one, followed from option to option."""
        wanted = self.shapes(at)
        found = [at, *(o for o, shapes in self.known.items() if o != at and shapes == wanted)]
        for here in found:
            for option in range(len(at)):
                same = (o for o in self.near(here, [option]) if self.shapes(o) == wanted)
                found += [other for other in same if other not in found]
            if len(found) >= MOST_ALIKE or self.spent:
                break
        return found


def recovered_shapes(target: Shapes, search: Search) -> Recovery:
    """The recipe of these names and shapes."""
    at = search.nearest(target)
    found = search.shapes(at)
    if found is None:
        raise ValueError(f"no recipe of the family {search.family.name} could be built")
    values: dict[str, tuple[Any, ...]] = {}
    proofs: dict[str, tuple[str, ...]] = {}
    alike = search.alike(at)
    for option, (name, choices) in enumerate(search.family.options.items()):
        same = sorted({other[option] for other in alike})
        values[name] = tuple(choices[i] for i in same)
        others = [o for o in search.near(at, [option]) if o[option] not in same]
        proofs[name] = _proof(found, [(choices[o[option]], search.shapes(o)) for o in others], name)
    differences = tuple(_differences(found, target))
    complete = not search.spent
    return Recovery(not differences, search.recipe(at), values, proofs, differences, complete)


def shapes_of(family: Family, recipe: Recipe) -> Shapes | None:
    """Names and shapes of the weights of a recipe; None where its options do not go together."""
    try:
        with torch.device("meta"), _no_power_iterations():
            model = family.build(**recipe)
    except (ValueError, AssertionError, TypeError, IndexError, KeyError, ZeroDivisionError):
        return None
    except (NotImplementedError, RuntimeError):  # a builder that computes with its weights
        try:
            model = family.build(**recipe)
        except RuntimeError:
            return None
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


@contextlib.contextmanager
def _no_power_iterations() -> Iterator[None]:
    """Spectral normalisation begins with 15 of them, at 50 times the cost of the shapes."""
    norm = getattr(parametrizations, "_SpectralNorm", None)
    kept = getattr(norm, "_power_method", None)
    if norm is None or kept is None:
        yield
        return
    norm._power_method = lambda *_: None
    try:
        yield
    finally:
        norm._power_method = kept


def distance(one: Shapes, other: Shapes) -> float:
    """How far apart: 1 for each tensor that one of them lacks, up to 1 for one of another shape."""
    far = float(len(one.keys() ^ other.keys()))
    for name in one.keys() & other.keys():
        if one[name] != other[name]:
            pairs = itertools.zip_longest(one[name], other[name])
            wrong = sum(a != b for a, b in pairs) / max(len(one[name]), len(other[name]))
            far += 0.5 + 0.5 * wrong
    return far


def _proof(
    found: Shapes, others: Sequence[tuple[Any, Shapes | None]], option: str
) -> tuple[str, ...]:
    """The fewest tensors that rule out every other value of an option, as text."""
    left = {i: shapes for i, (_, shapes) in enumerate(others) if shapes is not None}
    lines: list[str] = []
    if others and not left:
        lines.append(f"no other value of {option} goes together with the other options")
    while left and len(lines) < SHOWN:
        ruled: dict[str, list[int]] = {}
        for i, shapes in left.items():
            for name in found.keys() | shapes.keys():
                if found.get(name) != shapes.get(name):
                    ruled.setdefault(name, []).append(i)
        if not ruled:
            break
        # a tensor that is there says more than one that is not, and a weight more than a bias
        rank = {
            name: (len(hits), name in found, len(found.get(name, ())))
            for name, hits in ruled.items()
        }
        best = max(sorted(ruled), key=rank.__getitem__)
        value, first = others[ruled[best][0]][0], left[ruled[best][0]].get(best)
        here = f"{_cut(best)} {found[best]}" if best in found else f"no {_cut(best)}"
        lines.append(f"{here}, but {option}={value!r} gives {first or 'none'}")
        for i in ruled[best]:
            del left[i]
    return tuple(lines)


def _differences(found: Shapes, target: Shapes) -> Iterator[str]:
    for name in sorted(found.keys() - target.keys()):
        yield f"{_cut(name)} {found[name]} is missing"
    for name in sorted(target.keys() - found.keys()):
        yield f"{_cut(name)} {target[name]} is in no such recipe"
    for name in sorted(found.keys() & target.keys()):
        if found[name] != target[name]:
            yield f"{_cut(name)} is {target[name]}, not {found[name]}"


def _cut(name: str) -> str:
    return name if len(name) <= 80 else f"{name[:77]}..."
