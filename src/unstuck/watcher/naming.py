"""What a script calls a value: names from the source expression a method was called on.

`self.d_loss.backward()` names its loss `d_loss`. The expression is found through the column
positions of the running instruction, so that several calls on one line are told apart.
"""

import ast
import linecache
import re
import sys
import sysconfig
from functools import lru_cache
from pathlib import Path
from types import CodeType, FrameType

import torch

_PACKAGE = Path(__file__).resolve().parent.parent
_LIBRARY_ROOTS = tuple(
    str(Path(sysconfig.get_path(kind)).resolve()) for kind in ("stdlib", "purelib", "platlib")
)
_TORCH = str(Path(torch.__file__).resolve().parent)
_STANDARD = str(Path(sysconfig.get_path("stdlib")).resolve())
# Functions of a trainer that a script calls with its loss, optimizer or input in hand.
_HANDED_ON = {"backward", "manual_backward", "step", "__call__", "forward"}
# A call that only passes its argument on: the argument's name is the better one.
_PASSES_ON = {"scale", "manual_backward", "prepare"}
_PASSES_ON_FOR = re.compile(r"self|scal|accelerat|fabric|engine|strategy", re.IGNORECASE)
_SCALER = re.compile(r"scaler$", re.IGNORECASE)
# A method that keeps what it is called on: the object's name is the better one.
_KEEPS_OBJECT = {"backward", "step", "update", "mean", "sum", "squeeze", "float", "double", "to"}


@lru_cache(maxsize=4096)
def is_library(filename: str) -> bool:
    if filename.startswith("<"):
        return not filename.startswith(("<stdin>", "<ipython", "<string>"))
    path = str(Path(filename).resolve())
    if path.startswith(str(_PACKAGE)):
        return not path.startswith(str(_PACKAGE / "cases"))
    return path.startswith(_LIBRARY_ROOTS) or "-packages/" in path


@lru_cache(maxsize=4096)
def is_plumbing(filename: str) -> bool:
    """Whether a file is torch's, Python's or ours: what runs there is nobody's training."""
    path = str(Path(filename).resolve())
    if filename.startswith("<") or path.startswith((str(_PACKAGE), _TORCH)):
        return is_library(filename)
    return path.startswith(_STANDARD) and "-packages/" not in path


def users_frame(frame: FrameType | None) -> FrameType | None:
    """The nearest frame of the user's own code, going outwards; None where there is none."""
    while frame is not None and is_library(frame.f_code.co_filename):
        frame = frame.f_back
    return frame


def speaking_frame(frame: FrameType | None) -> FrameType | None:
    """The frame whose source names what happens: the user's own, or a trainer's.

    In `trainer.fit(model)` the script says nothing of the loss; the trainer's `loss.backward()`
    does. In `accelerator.backward(d_loss)` the script says it.
    """
    while frame is not None and is_plumbing(frame.f_code.co_filename):
        frame = frame.f_back
    inner, called = frame, ""
    while frame is not None and is_library(frame.f_code.co_filename):
        if not is_plumbing(frame.f_code.co_filename):
            called = frame.f_code.co_name
        frame = frame.f_back
    handed_on = frame is not None and (not called or called in _HANDED_ON)
    return frame if handed_on else inner


def called_on(frame: FrameType) -> str | None:
    """Name of the object whose method the frame is calling just now.

    `self.d_loss.backward()` -> `d_loss`, `scaler.scale(loss).backward()` -> `loss`,
    `accelerator.backward(loss)` -> `loss`, `netG(z)` -> `netG`; None where the source is not
    to be had or the expression has no name.
    """
    return _named(frame.f_code, frame.f_lasti)


def handed_in(frame: FrameType, name: str) -> tuple[FrameType, str | None] | None:
    """Where `name` is an argument of the frame's function: the caller, and its name for it there.

    `step(optimizer, d_loss)` -> (that frame, `d_loss`); no name for what is no plain one. None
    where `name` is no argument, or something stands between the function and its caller.
    """
    code, outer = frame.f_code, frame.f_back
    arguments = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    if name not in arguments or outer is None or outer is not users_frame(outer):
        return None
    place = arguments.index(name) - (arguments[0] in ("self", "cls"))
    return outer, _argument(outer.f_code, outer.f_lasti, place, name)


@lru_cache(maxsize=4096)
def _argument(code: CodeType, instruction: int, place: int, name: str) -> str | None:
    call = _expression(code, instruction)
    if not isinstance(call, ast.Call) or any(isinstance(a, ast.Starred) for a in call.args):
        return None
    given = {k.arg: k.value for k in call.keywords}.get(name)
    if given is None and 0 <= place < len(call.args):
        given = call.args[place]
    return name_of(given) if isinstance(given, ast.Name | ast.Attribute) else None


@lru_cache(maxsize=4096)
def _named(code: CodeType, instruction: int) -> str | None:
    node = _expression(code, instruction)
    return None if node is None else name_of(node)


def _expression(code: CodeType, instruction: int) -> ast.expr | None:
    """The expression a frame is evaluating just now."""
    positions = list(code.co_positions())
    index = instruction // 2
    if index >= len(positions):
        return None
    first_line, last_line, first_column, last_column = positions[index]
    if None in (first_line, last_line, first_column, last_column):
        return None
    lines = linecache.getlines(code.co_filename)
    if not lines or last_line > len(lines):  # type: ignore[operator]
        return None
    rows = [line.encode() for line in lines[first_line - 1 : last_line]]  # type: ignore[operator]
    rows[-1] = rows[-1][:last_column]
    rows[0] = rows[0][first_column:]
    try:
        tree = ast.parse(b"(" + b"".join(rows) + b")", mode="eval")
    except (SyntaxError, ValueError):
        return None
    return tree.body


def name_of(node: ast.expr) -> str | None:
    """The best short name of an expression, or None."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.Await | ast.Starred):
        return name_of(node.value)
    if isinstance(node, ast.NamedExpr):
        return node.target.id
    if isinstance(node, ast.Call):
        return _name_of_call(node)
    if isinstance(node, ast.Subscript):
        return _name_of_item(node)
    if isinstance(node, ast.BinOp):
        return _name_of_operation(node)
    return None


def _name_of_call(node: ast.Call) -> str | None:
    function = node.func
    if isinstance(function, ast.Attribute):
        owner = name_of(function.value) or ""
        passes_on = function.attr in _PASSES_ON or (
            function.attr in ("backward", "step") and _PASSES_ON_FOR.search(owner)
        )
        if passes_on and node.args and (named := name_of(node.args[0])):
            return named
        if function.attr in _KEEPS_OBJECT:
            return name_of(function.value)
    named = name_of(function)
    if node.args and named and _SCALER.search(named):  # loss_scaler(loss, optimizer)
        return name_of(node.args[0]) or named
    return named


def _name_of_item(node: ast.Subscript) -> str | None:
    if isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str):
        return node.slice.value
    base = name_of(node.value)
    if isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, int) and base:
        return f"{base}.{node.slice.value}"
    return base


def _name_of_operation(node: ast.BinOp) -> str | None:
    """`loss / 4` and `2 * loss` are the loss; a sum of several names is none of them."""
    names = [name_of(side) for side in (node.left, node.right)]
    constant = [isinstance(side, ast.Constant) for side in (node.left, node.right)]
    if isinstance(node.op, ast.Div) or constant[1]:
        return names[0]
    return names[1] if constant[0] else None


def caller(depth: int) -> FrameType | None:
    """The frame above `depth` frames of ours that names what happens."""
    return speaking_frame(sys._getframe(depth + 1))


def clean(name: str) -> str:
    """A name that is safe as one part of a series name: no slash, bounded."""
    return name.replace("/", ".").replace("\x00", "")[:120] or "unnamed"
