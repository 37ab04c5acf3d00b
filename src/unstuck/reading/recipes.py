"""The settings found beside a log -> a recipe: flat, scalars only, of bounded size.

>>> flattened({"optim": {"lr": 0.1, "betas": [0.9, 0.999]}, "seed": 3, "data": None})
{'optim.lr': 0.1, 'seed': 3}
"""

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from unstuck.reading.bounds import head, short_name
from unstuck.records import Scalar

MOST_SETTINGS = 2_000
DEEPEST = 12
LARGEST_YAML = 65_536  # bytes: parsed in Python, slowly
LARGEST_WHOLE = 2**63


def flattened(settings: object) -> dict[str, Scalar]:
    """Nested settings with keys joined by `.`; lists and what is no scalar are left out."""
    found: dict[str, Scalar] = {}
    for name, value in _leaves(settings, "", DEEPEST, [10 * MOST_SETTINGS]):
        if len(found) == MOST_SETTINGS:
            break
        if isinstance(value, str):
            found[name] = short_name(value)
        elif isinstance(value, float) or (isinstance(value, int) and abs(value) < LARGEST_WHOLE):
            found[name] = value
    return found


def yaml_settings(path: Path) -> object:
    """What a YAML file of settings holds; None where there is none or it cannot be read.

    Tags of Python objects are passed over: nothing but plain values is ever made.
    """
    import yaml

    data = head(path, LARGEST_YAML + 1)
    if not data or len(data) > LARGEST_YAML:
        return None
    try:
        return yaml.load(data.decode("utf-8", "replace"), Loader=_plain())
    except (yaml.YAMLError, ValueError, TypeError, AttributeError, RecursionError, OverflowError):
        return None


def _leaves(value: object, name: str, depth: int, left: list[int]) -> Iterator[tuple[str, object]]:
    """The values in nested mappings; what an alias repeats without end is cut off."""
    left[0] -= 1
    if left[0] < 0:
        return
    if not isinstance(value, Mapping):
        if name:
            yield short_name(name), value
    elif depth:
        for key, inner in value.items():
            yield from _leaves(inner, f"{name}.{key}" if name else str(key), depth - 1, left)


@cache
def _plain() -> type:
    """A loader of plain values only, without merging (`<<`), which may grow without bound."""
    import yaml

    methods = {"flatten_mapping": lambda self, node: None}
    loader: type = type("Plain", (yaml.SafeLoader,), methods)
    yaml.add_constructor(None, lambda loader, node: None, loader)
    return loader
