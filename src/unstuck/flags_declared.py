"""Options that a script declares, read from its source: argparse, click, typer, absl, dataclasses.

Nothing is run or imported. What is not written as a literal (or as a constant at the top of the
file) has no known default. Sources are untrusted: their size and number are bounded.
"""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from unstuck.records import Scalar

MOST_BYTES = 2_000_000  # of one source
MOST_FILES = 40  # the script and what it imports from its own folder
TYPES = {"int": int, "float": float, "str": str, "bool": bool}
OF_DATACLASSES = {"HfArgumentParser", "tyro", "simple_parsing", "draccus", "chz"}
RUNNERS = {("typer", "run"), ("fire", "Fire"), ("tyro", "cli")}  # they make options of parameters
_ABSL = {
    "DEFINE_integer": int,
    "DEFINE_float": float,
    "DEFINE_string": str,
    "DEFINE_bool": bool,
    "DEFINE_boolean": bool,
    "DEFINE_enum": str,
}


@dataclass(frozen=True, slots=True)
class Declared:
    """One option: its field, the words that may introduce it, its default where that is known."""

    field: str
    options: tuple[str, ...]
    default: Scalar | None = None
    kind: type | None = None
    switch: bool = False  # it takes no word: being there is the value
    many: bool = False  # it takes several words


def declared(script: Path) -> tuple[Declared, ...]:
    """The options of a script and of the modules that it imports from its own folder."""
    found: list[Declared] = []
    for tree in _trees(script):
        constants = _constants(tree)
        dataclass_options = _mentions(tree, OF_DATACLASSES)
        functions = _made_commands(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                found += _of_call(node, constants)
            elif isinstance(node, ast.ClassDef) and dataclass_options:
                found += _of_fields(node, constants)
            elif isinstance(node, ast.FunctionDef) and _is_command(node, functions):
                found += _of_parameters(node, constants)
        if _is_configured_by_words(tree):
            found += [Declared(n, (f"--{n}=",), v, type(v)) for n, v in constants.items()]
    return tuple(found)


def _trees(script: Path) -> Iterator[ast.Module]:
    folder = script.resolve().parent
    waiting = [script.resolve()]
    seen: set[Path] = set()
    while waiting and len(seen) < MOST_FILES:
        file = waiting.pop(0)
        tree = None if file in seen else _tree(file)
        seen.add(file)
        if tree is not None:
            yield tree
            waiting += [f for f in _own_modules(tree, folder) if f not in seen]


def _tree(file: Path) -> ast.Module | None:
    """The source as a tree; nothing where it is too large or no Python."""
    try:
        if file.stat().st_size > MOST_BYTES:
            return None
        return ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _own_modules(tree: ast.Module, folder: Path) -> Iterator[Path]:
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            file = folder.joinpath(*name.split(".")).with_suffix(".py")
            if file.is_file():
                yield file


def _constants(tree: ast.Module) -> dict[str, Scalar]:
    """Names that are given one plain value at the top of the file."""
    found: dict[str, Scalar] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            value = literal(node.value, {})
            if value is not None and not node.targets[0].id.startswith("_"):
                found[node.targets[0].id] = value
    return found


def literal(node: ast.expr | None, constants: Mapping[str, Scalar]) -> Scalar | None:
    """A number, text or truth value that is written out; None for anything else."""
    if isinstance(node, ast.Name):
        return constants.get(node.id)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = literal(node.operand, constants)
        return -inner if isinstance(inner, (int, float)) else None
    if isinstance(node, ast.Constant) and isinstance(node.value, (bool, int, float, str)):
        return node.value
    return None


def _of_call(node: ast.Call, constants: Mapping[str, Scalar]) -> list[Declared]:
    name = _last_name(node.func)
    if name == "add_argument":
        return _of_argument(node, constants)
    if name == "option" and node.args:
        return _of_argument(node, constants)
    if name in _ABSL and len(node.args) > 1:
        field = literal(node.args[0], {})
        default = literal(node.args[1], constants)
        kind = _ABSL[name]
        if isinstance(field, str) and field:
            return [Declared(field, (f"--{field}",), default, kind, switch=kind is bool)]
    return []


def _of_argument(node: ast.Call, constants: Mapping[str, Scalar]) -> list[Declared]:
    """argparse's `add_argument` and click's `option`."""
    words = [w for w in (literal(a, {}) for a in node.args) if isinstance(w, str)]
    options = [w.split("/")[0].strip() for w in words if w.startswith("-")]
    if not options:
        return []
    given = {k.arg: k.value for k in node.keywords if k.arg}
    plain = [w for w in words if not w.startswith("-")]
    longest = next((o for o in options if o.startswith("--")), options[0])
    field = literal(given.get("dest"), {}) or (plain[0] if plain else longest)
    kind = TYPES.get(_last_name(given["type"])) if "type" in given else None
    action = literal(given.get("action"), {})
    switch = action in ("store_true", "store_false") or "is_flag" in given or "/" in words[0]
    switch |= _last_name(given.get("action")) == "BooleanOptionalAction"
    default = literal(given.get("default"), constants)
    if switch and default is None:
        default = action == "store_false"
    return [
        Declared(
            str(field).lstrip("-").replace("-", "_"),
            tuple(options),
            default,
            bool if switch else kind or (type(default) if default is not None else None),
            switch,
            many="nargs" in given and literal(given["nargs"], {}) != "?",
        )
    ]


def _of_fields(node: ast.ClassDef, constants: Mapping[str, Scalar]) -> list[Declared]:
    """Fields of a dataclass that a parser makes options of."""
    if not any(
        "dataclass" in ast.unparse(d) or "chz" in ast.unparse(d) for d in node.decorator_list
    ):
        return []
    found = []
    for entry in node.body:
        if isinstance(entry, ast.AnnAssign) and isinstance(entry.target, ast.Name):
            value = entry.value
            if isinstance(value, ast.Call):  # field(default=...)
                value = next((k.value for k in value.keywords if k.arg == "default"), None)
            default = literal(value, constants)
            kind = TYPES.get(_last_name(entry.annotation)) or (type(default) if default else None)
            found.append(Declared(entry.target.id, (f"--{entry.target.id}",), default, kind))
    return found


def _of_parameters(node: ast.FunctionDef, constants: Mapping[str, Scalar]) -> list[Declared]:
    """Parameters with a default of a function that becomes a command."""
    named = [*node.args.posonlyargs, *node.args.args]
    defaults: list[tuple[ast.arg, ast.expr | None]] = list(
        zip(named[len(named) - len(node.args.defaults) :], node.args.defaults, strict=True)
    )
    defaults += zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
    found = []
    for parameter, value in defaults:
        options = _options_in(parameter.annotation)
        if isinstance(value, ast.Call) and _last_name(value.func) == "Option":
            options = options or _options_in(value)
            value = value.args[0] if value.args else None
        default = literal(value, constants)
        option = options or (f"--{parameter.arg.replace('_', '-')}",)
        switch = isinstance(default, bool)
        kind = type(default) if default is not None else None
        found.append(Declared(parameter.arg, option, default, kind, switch))
    return found


def _options_in(node: ast.expr | None) -> tuple[str, ...]:
    """The words that begin with dashes anywhere in an expression."""
    texts = [literal(n, {}) for n in ast.walk(node) if isinstance(n, ast.Constant)] if node else []
    return tuple(t.split("/")[0] for t in texts if isinstance(t, str) and t.startswith("-"))


def _made_commands(tree: ast.Module) -> set[str]:
    """Functions that are handed to what makes a command line of their parameters."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
            runner = (_last_name(node.func.value), node.func.attr)
            if runner in RUNNERS and isinstance(node.args[0], ast.Name):
                found.add(node.args[0].id)
    return found


def _is_command(node: ast.FunctionDef, handed_over: set[str]) -> bool:
    decorators = [d.func if isinstance(d, ast.Call) else d for d in node.decorator_list]
    return node.name in handed_over or any(_last_name(d) == "command" for d in decorators)


def _mentions(tree: ast.Module, names: set[str]) -> bool:
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            said = {alias.name.split(".")[0] for alias in node.names}
            said.add((getattr(node, "module", None) or "").split(".")[0])
            if said & names:
                return True
    return False


def _is_configured_by_words(tree: ast.Module) -> bool:
    """nanoGPT's way: `exec(open('configurator.py').read())` sets the constants above it."""
    calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and _last_name(n.func) == "exec"]
    return any("configurator" in ast.unparse(call) for call in calls)


def _last_name(node: ast.AST | None) -> str:
    """`parser.add_argument` -> add_argument."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
