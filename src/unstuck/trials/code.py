"""The files that decide what a run does: its script or module, and the local ones it imports.

Imports are read from the source and never carried out. A module is local where it lies neither in
the standard library nor among the installed packages, whose versions stand for them. Settings files
that the code mentions by name and that lie beside the script or in the working directory are part
of it. What is only read while the training runs, such as data, is not.
"""

import ast
import importlib.util
import os
import re
import shlex
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from unstuck.trials.subject import Subject

SETTINGS = (".yaml", ".yml", ".toml", ".ini", ".cfg", ".json")
LARGEST_SETTINGS = 2**20  # bytes
IMPORTERS = {"import_module", "__import__"}
TORCH = re.compile(
    r"^\s*(import|from)\s+(torch|torchvision|lightning|transformers|accelerate)\b",
    re.MULTILINE,
)
_INSTALLED = tuple(Path(sysconfig.get_path(n)).resolve() for n in ("stdlib", "purelib", "platlib"))
_OWN = Path(__file__).resolve().parents[1]  # unstuck itself


def files_of(subject: Subject) -> tuple[Path, ...]:
    """The local files that a subject consists of; none where they cannot be known."""
    if subject.train:
        where = subject.train.rpartition(":")[0]
        roots = [Path(folder).resolve() for folder in subject.path]
        if where.endswith(".py"):
            return code_of(Path(where), [Path(where).parent, *roots])
        own = where.partition(".")[0] == _OWN.name
        return tuple(own_files()) if own else code_of(where, roots)
    words = shlex.split(subject.command)
    if not words or not Path(words[0]).name.startswith("python"):
        return ()
    roots = [Path(folder).resolve() for folder in (*_python_path(), *sys.path) if folder]
    for i, word in enumerate(words[1:], start=1):
        if word == "-m":
            module = words[i + 1] if i + 1 < len(words) else ""
            return code_of(module, [Path.cwd(), *roots])
        if not word.startswith("-"):
            return code_of(Path(word), [Path(word).resolve().parent, *roots])
    return ()


def uses_torch(files: Sequence[Path]) -> bool:
    """Whether any of these files imports torch, or something that does."""
    return any(TORCH.search(file.read_text(encoding="utf-8", errors="replace")) for file in files)


def state_of(files: Sequence[Path]) -> dict[Path, tuple[int, int]]:
    """Size and time of each file; none of one that is gone."""
    found = {}
    for file in files:
        try:
            stat = file.stat()
        except OSError:
            continue
        found[file] = (stat.st_size, stat.st_mtime_ns)
    return found


def changed_since(state: Mapping[Path, tuple[int, int]]) -> list[Path]:
    """The files that have been written or removed since then."""
    now = state_of(list(state))
    return [file for file in state if now.get(file) != state[file]]


def code_of(start: Path | str, roots: Sequence[Path]) -> tuple[Path, ...]:
    """The local files that a script (a path) or a module (a dotted name) consists of, in order of
    their names; empty where it is not found. `roots`: where modules are looked for.
    """
    found: set[Path] = set()
    if isinstance(start, Path):
        waiting = [start.resolve()] if start.is_file() else []
    else:
        waiting = list(_files_of(start, roots))
    while waiting:
        file = waiting.pop()
        if file not in found and _local(file):
            found.add(file)
            for module in _imported(file, roots):
                waiting += _files_of(module, roots)
    return tuple(sorted(found | _settings(found)))


def _python_path() -> list[str]:
    return os.environ.get("PYTHONPATH", "").split(os.pathsep)


def own_files() -> list[Path]:
    """Every file of unstuck: it trains cases, watches and changes runs."""
    return sorted(_OWN.rglob("*.py"))


def _imported(file: Path, roots: Sequence[Path]) -> Iterator[str]:
    """Dotted names of everything a file may import; `from a import b` gives a and a.b."""
    for node in ast.walk(_tree(file)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = _package_of(file, node.level, roots) if node.level else ""
            module = ".".join(part for part in (above, node.module or "") if part)
            yield from (f"{module}.{alias.name}".strip(".") for alias in node.names)
        elif isinstance(node, ast.Call) and node.args:
            called = getattr(node.func, "attr", getattr(node.func, "id", ""))
            first = node.args[0]
            if called in IMPORTERS and isinstance(first, ast.Constant):
                yield str(first.value)


def _tree(file: Path) -> ast.AST:
    try:
        return ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return ast.Module([], [])


def _package_of(file: Path, level: int, roots: Sequence[Path]) -> str:
    """The dotted name of the package `level` dots refer to in a file."""
    folder = file.parent
    for _ in range(level - 1):
        folder = folder.parent
    under = [root for root in roots if folder.is_relative_to(root)]
    root = max(under, key=lambda r: len(r.parts), default=folder.parent)
    return ".".join(folder.relative_to(root).parts)


def _files_of(module: str, roots: Sequence[Path]) -> Iterator[Path]:
    """The files that importing a dotted name runs: every package above it and itself."""
    parts = module.split(".")
    if not all(part.isidentifier() for part in parts):
        return
    places = [root for root in roots if _in(root, parts[0])] or _hooked(parts[0])
    for place in places[:1]:
        at = place
        for part in parts:
            file, at = at / f"{part}.py", at / part
            package = at / "__init__.py"
            if package.is_file():
                yield package.resolve()
            elif file.is_file():
                yield file.resolve()
                return


def _in(root: Path, name: str) -> bool:
    return (root / f"{name}.py").is_file() or (root / name).is_dir()


def _hooked(name: str) -> list[Path]:
    """Where a package lies that was installed to be edited in place."""
    if name in sys.builtin_module_names or name in sys.stdlib_module_names:
        return []
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError, AttributeError):
        return []
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return []
    origin = Path(spec.origin)
    return [origin.parent.parent if origin.name == "__init__.py" else origin.parent]


def _local(file: Path) -> bool:
    return not any(file.is_relative_to(folder) for folder in (*_INSTALLED, _OWN))


def _settings(code: set[Path]) -> set[Path]:
    """Settings files beside the code or here, of which the code has the name."""
    folders = {file.parent for file in code} | {Path.cwd()}
    text = "\n".join(file.read_text(encoding="utf-8", errors="replace") for file in code)
    return {
        file.resolve()
        for folder in folders
        for file in folder.glob("*.*")
        if file.suffix in SETTINGS and _named(file, text) and file.is_file()
        if file.stat().st_size <= LARGEST_SETTINGS
    }


def _named(file: Path, text: str) -> bool:
    """Whether a text has a file's name, or its stem in quotes, as Hydra's config."""
    quoted = (f'"{file.stem}"', f"'{file.stem}'") if len(file.stem) > 2 else ()  # not a mode: "w"
    return any(name in text for name in (file.name, *quoted))
