"""What every item of the course promises. Each check takes an item and raises AssertionError.

Used on the real items by test_every_course_item.py and on deliberately broken ones there too.
"""

import ast
import inspect
import math
import re
from pathlib import Path
from types import ModuleType

from course_syllabus import covers, entries

from unstuck.cases import course
from unstuck.cases.course import item

LONGEST_FILE = 250  # lines
LARGEST_PICTURE = 150_000  # bytes; all of them are shown on one page


def check_docstring(module: ModuleType) -> None:
    """Title, source, what it covers, the command that makes its numbers, the numbers."""
    text = module.__doc__ or ""
    name = module.__name__.rpartition(".")[2]
    assert 20 <= len(text.splitlines()[0]) <= 100, "the first line is the title"
    assert re.search(r"\b(19|20)\d\d\b", text), "no source with its year"
    known = {row["id"] for row in entries()}
    assert covers(module) and set(covers(module)) <= known, set(covers(module)) - known
    assert re.search(rf"^Run: unstuck case run course/{name}$", text, re.MULTILINE)
    assert re.search(rf"^Expected: {module.METRIC}\b", text, re.MULTILINE)


def check_constants(module: ModuleType) -> None:
    assert isinstance(module.METRIC, str) and isinstance(module.HIGHER_IS_BETTER, bool)
    assert isinstance(module.UNIT, str) and module.MARGIN > 0
    parameters = list(inspect.signature(module.train).parameters)
    assert parameters == ["recipe", "seed", "out"]


def check_knobs_say_why(module: ModuleType) -> None:
    for name, field in module.Recipe.model_fields.items():
        assert field.description and len(field.description) >= 5, name


def check_faults(module: ModuleType) -> None:
    healthy = module.Recipe().model_dump()
    assert module.FAULTS
    for name, fault in module.FAULTS.items():
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name), name
        sick = item.made(module.Recipe, fault.changes).model_dump()
        assert sick != healthy, f"{name} changes nothing"
        assert len(fault.seen) >= 20, f"{name} does not say what must be seen"
        assert all(re.fullmatch(r"[A-Z]{3}\d{3}", code) for code in fault.codes), fault.codes
        assert fault.symptom or not fault.falls, f"{name}: METRIC has its direction already"


def check_imports_no_other_item(module: ModuleType) -> None:
    """What it shares with others is the loop, the pictures and the data."""
    for node in ast.walk(ast.parse(Path(str(module.__file__)).read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == course.__name__:
            assert {alias.name for alias in node.names} <= set(item.NOT_ITEMS), ast.unparse(node)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(course.__name__):
            part = (node.module or "").removeprefix(f"{course.__name__}.").split(".")[0]
            assert part in ("data", *item.NOT_ITEMS), ast.unparse(node)


def check_file_is_small(module: ModuleType) -> None:
    assert len(Path(str(module.__file__)).read_text().splitlines()) <= LONGEST_FILE


def check_trains(module: ModuleType, out: Path) -> None:
    """Tiny runs on embedded data give every number promised, a picture, and the same again.

    One seed gives one result, whether pictures are drawn or not; another seed gives another.
    """
    recipe = item.made(module.Recipe, {**module.TINY, "sample": True})
    metrics = item.run(module, recipe, 0, out)
    wanted = {module.METRIC, "baseline"} | {f.symptom for f in module.FAULTS.values()} - {""}
    assert wanted <= set(metrics), f"missing: {wanted - set(metrics)}"
    assert all(isinstance(v, float) for v in metrics.values()), metrics
    assert all(math.isfinite(metrics[name]) for name in wanted), metrics
    picture = out / "picture.png"
    assert picture.exists() and picture.stat().st_size <= LARGEST_PICTURE
    for fault in module.FAULTS.values():
        sick = item.made(module.Recipe, {**fault.changes, **module.TINY, "sample": True})
        assert wanted <= set(item.run(module, sick, 0))
    again, other = (item.run(module, recipe, seed) for seed in (0, 1))
    for run in (metrics, again, other):
        del run["seconds"]
    assert str(metrics) == str(again), "one seed, two results"
    assert str(metrics) != str(other), "the seed changes nothing"


STATIC = (
    check_docstring,
    check_constants,
    check_knobs_say_why,
    check_faults,
    check_imports_no_other_item,
    check_file_is_small,
)
