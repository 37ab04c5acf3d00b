"""The folder layout is the architecture; this file keeps it so."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import unstuck

ROOT = Path(unstuck.__file__).parent
PROJECT = ROOT.parent.parent
MAY_IMPORT_TORCH = {"lab", "examine.py", "probes", "watcher", "integrations", "data", "cases"}
MAY_EXECUTE = re.compile(r"trials/execut\w*\.py")
PLURAL = {"detectors", "sources", "probes", "remedies"}
DUMPING_GROUND = re.compile(r"^(utils?|common|misc|helpers?|base|core|tools)$")
FILES = sorted(ROOT.rglob("*.py"))
LONGEST = 300  # lines
SHARED_BY_CASES = {"atomic", "cases", "case_options", "data"}


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def layers() -> list[set[str]]:
    """The layers of pyproject.toml, highest first, each a set of names below `unstuck`."""
    settings = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    contracts = settings["tool"]["importlinter"]["contracts"]
    found = next(c for c in contracts if c["type"] == "layers")["layers"]
    return [{n.strip().removeprefix("unstuck.") for n in re.split("[|:]", row)} for row in found]


def imports(path: Path, *, module_level: bool = False) -> set[str]:
    """Dotted names a file imports; with `module_level`, not those inside functions."""
    tree = ast.parse(path.read_text())
    lazy = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for inner in ast.walk(node)
    }
    names = set()
    for node in ast.walk(tree):
        if module_level and node in lazy:
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: absolute imports only"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def part(dotted: str) -> str:
    """`unstuck.signals.spans.finite` -> `signals`; `unstuck.diagnose` -> `diagnose`."""
    return dotted.split(".")[1]


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_imports_point_downwards(path):
    here = path.relative_to(ROOT).parts[0].removesuffix(".py")
    rank = {name: i for i, row in enumerate(reversed(layers())) for name in row}
    if here not in rank:
        return  # __init__, and the cases that stand beside everything
    for name in imports(path):
        if name.startswith("unstuck.") and part(name) in rank:
            assert rank[part(name)] <= rank[here], f"{path.name} imports {name}"
            if here in PLURAL:
                assert part(name) != here, f"{path.name} imports its sibling {name}"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_torch_is_imported_only_where_a_live_model_is(path):
    here = path.relative_to(ROOT).parts[0]
    if here not in MAY_IMPORT_TORCH and not MAY_EXECUTE.fullmatch(
        path.relative_to(ROOT).as_posix()
    ):
        assert not any(n.split(".")[0] == "torch" for n in imports(path, module_level=True))


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_nothing_is_pickled(path):
    assert not {n.split(".")[0] for n in imports(path)} & {
        "pickle",
        "dill",
        "cloudpickle",
        "joblib",
    }
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            given = {word.arg: ast.unparse(word.value) for word in node.keywords}
            if ast.unparse(node.func) == "torch.load":
                assert given.get("weights_only") == "True"
            if ast.unparse(node.func) == "np.load":
                assert given.get("allow_pickle", "False") == "False"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_file_is_small_and_has_a_telling_name(path):
    parts = [p.removesuffix(".py") for p in path.relative_to(ROOT).parts]
    assert not any(DUMPING_GROUND.match(p) for p in parts)
    assert len(path.read_text().splitlines()) <= LONGEST


def test_cases_import_only_public_names_and_what_cases_share():
    public = set(re.findall(r"import (\w+) as \1", (ROOT / "__init__.py").read_text()))
    for path in (ROOT / "cases").rglob("*.py"):
        for name in imports(path):
            if name.startswith("unstuck.") and part(name) not in SHARED_BY_CASES:
                assert name.removeprefix("unstuck.") in public, f"{path.name} imports {name}"


def test_nothing_imports_the_cases():
    for path in FILES:
        if path.relative_to(ROOT).parts[0] not in ("cases", "cli.py"):
            assert not any(n.startswith("unstuck.cases.") for n in imports(path)), path


def test_diagnosing_needs_no_torch():
    code = (
        "import sys, unstuck; run = unstuck.Run.of(loss__train=[2.0, 1.5] + [float('nan')] * 6); "
        "found = unstuck.diagnose(run).causes[0].finding.code; "
        "sys.exit(found != 'NUM001' or 'torch' in sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT.parent)}
    assert subprocess.run([sys.executable, "-c", code], env=environment).returncode == 0
