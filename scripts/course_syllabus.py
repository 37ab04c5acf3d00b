"""The entries of the course, which items cover them, and which a test settles."""

import ast
import csv
import re
from pathlib import Path
from types import ModuleType

from unstuck.cases import course

SYLLABUS = Path(course.__file__).with_name("syllabus.tsv")
TESTS = Path(__file__).resolve().parent.parent / "tests" / "unit"


def entries() -> list[dict[str, str]]:
    """Rows with `section`, `id`, `title` and `marks` (exact, doubtful)."""
    with SYLLABUS.open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def covers(module: ModuleType) -> list[str]:
    """The ids of an item's `Covers:` line, which may go on over indented lines."""
    found = re.search(r"^Covers: (.*(?:\n    .*)*)", module.__doc__ or "", re.MULTILINE)
    return found[1].split() if found else []


def settled() -> set[str]:
    """Ids in the `entry` marks of the course's tests."""
    found = set()
    for file in TESTS.glob("test_course_*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.entry":
                found |= {ast.literal_eval(word) for word in node.args}
    return found
