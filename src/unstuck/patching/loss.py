"""Changes of a loss as edits of the script: weights of terms, arguments of loss functions."""

import ast
from collections.abc import Iterator

from unstuck.changes import Change
from unstuck.patching.source import Edit, NotPatchable, Source, last_name, number, written
from unstuck.records import Run

CROSS_ENTROPY = ("CrossEntropyLoss", "cross_entropy")
ELEMENTWISE = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "poisson_nll_loss")
ELEMENTWISE_LAYERS = ("MSELoss", "L1Loss", "SmoothL1Loss", "HuberLoss", "PoissonNLLLoss")
SOFT = ("softmax", "log_softmax")
SOFT_LAYERS = ("Softmax", "LogSoftmax")
NO_GRAD = ("no_grad", "inference_mode")


def term_weight(source: Source, change: Change, run: Run) -> Iterator[Edit]:
    """The factor of a term where the loss is put together."""
    loss, _, term = change.where.partition("/")
    places = [node for value in _made(source, loss) for node in _named(value, term)]
    if len(places) != 1:
        raise NotPatchable(f"{term} stands in {len(places)} places where {loss} is put together")
    place = places[0]
    factor, divides = _factor(source, place)
    value = number(factor)
    if value is not None and factor is not None and not divides:
        yield source.replaced(factor, written(change.of(value)))
        return
    if not change.multiple:
        raise NotPatchable(f"the weight of {term} is not written as a number")
    yield source.replaced(place, f"{written(change.value)} * {source.text(place)}")


def label_smoothing(source: Source, change: Change, run: Run) -> Iterator[Edit]:
    """label_smoothing=... of the one cross entropy that is trained with, and of no other."""
    calls = [call for call in source.calls(*CROSS_ENTROPY) if not _without_grad(source, call)]
    if len(calls) != 1:
        raise NotPatchable(f"{len(calls)} lines of the script call a cross entropy, not one")
    made = source.parents[calls[0]]
    if last_name(calls[0].func) == "CrossEntropyLoss" and isinstance(made, ast.Assign):
        uses = source.calls(last_name(made.targets[0]))
        if len(uses) != 1:
            raise NotPatchable(f"the cross entropy is called in {len(uses)} places, not in one")
    yield source.with_keyword(calls[0], "label_smoothing", written(change.value))


def raw_scores(source: Source, change: Change, run: Run) -> Iterator[Edit]:
    """Without the one softmax that stands before the loss."""
    calls = [c for c in source.calls(*SOFT) if not _without_grad(source, c)]
    layers = source.calls(*SOFT_LAYERS)
    if len(calls) + len(layers) != 1:
        raise NotPatchable(
            f"{len(calls) + len(layers)} lines of the script take a softmax, not one"
        )
    yield _without_call(source, calls[0]) if calls else _without_layer(source, layers[0])


def shaped_targets(source: Source, change: Change, run: Run) -> Iterator[Edit]:
    """target.reshape(prediction.shape) in the one call of an elementwise loss."""
    calls = [c for c in source.calls(*ELEMENTWISE) if not _without_grad(source, c)]
    for node in source.all(ast.Assign):
        made = node.value if isinstance(node, ast.Assign) else None
        if isinstance(made, ast.Call) and last_name(made.func) in ELEMENTWISE_LAYERS:
            named = source.calls(last_name(getattr(node, "targets", [None])[0]))
            calls += [c for c in named if not _without_grad(source, c)]
    if len(calls) != 1 or len(calls[0].args) != 2:
        raise NotPatchable(f"{len(calls)} lines of the script call an elementwise loss, not one")
    prediction, target = calls[0].args
    if not isinstance(prediction, ast.Name):
        raise NotPatchable(f"the prediction in line {prediction.lineno} has no name")
    text = source.text(target)
    simple = isinstance(target, (ast.Name, ast.Attribute, ast.Call, ast.Subscript))
    yield source.replaced(
        target, f"{text if simple else f'({text})'}.reshape({prediction.id}.shape)"
    )


def frozen(source: Source, change: Change, run: Run) -> Iterator[Edit]:
    """requires_grad_(False) right after a model is built."""
    built = [
        n
        for n in source.all(ast.Assign)
        if isinstance(n, ast.Assign) and last_name(n.targets[0]) == change.where
    ]
    if len(built) != 1 or len(built[0].targets) != 1 or not isinstance(built[0].value, ast.Call):
        raise NotPatchable(f"{len(built)} lines of the script build {change.where}, not one")
    target = source.text(built[0].targets[0])
    yield source.after(built[0], f"{target}.requires_grad_(False)")


def _made(source: Source, loss: str) -> Iterator[ast.expr]:
    """What is assigned to a loss, or added to it."""
    for node in (*source.all(ast.Assign), *source.all(ast.AugAssign)):
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if isinstance(node, (ast.Assign, ast.AugAssign)) and last_name(target) == loss:
            yield node.value


def _named(value: ast.expr, term: str) -> Iterator[ast.expr]:
    """Where a term stands by its name, as a summand or a factor and not inside of a call."""
    if isinstance(value, (ast.Name, ast.Attribute)) and last_name(value) == term:
        yield value
    elif isinstance(value, ast.BinOp) and isinstance(value.op, (ast.Add, ast.Sub, ast.Mult)):
        yield from _named(value.left, term)
        yield from _named(value.right, term)
    elif isinstance(value, ast.BinOp) and isinstance(value.op, ast.Div):
        yield from _named(value.left, term)
    elif isinstance(value, ast.UnaryOp):
        yield from _named(value.operand, term)


def _factor(source: Source, place: ast.expr) -> tuple[ast.expr | None, bool]:
    """The other side of the product that a term is in, and whether the term is divided by it."""
    parent = source.parents[place]
    if not isinstance(parent, ast.BinOp) or not isinstance(parent.op, (ast.Mult, ast.Div)):
        return None, False
    other = parent.right if parent.left is place else parent.left
    return other, isinstance(parent.op, ast.Div)


def _without_call(source: Source, call: ast.Call) -> Edit:
    """`F.softmax(x, dim=1)` and `x.softmax(1)` as `x`."""
    owner = call.func.value if isinstance(call.func, ast.Attribute) else None
    of_module = owner is not None and last_name(owner) in ("F", "functional", "torch", "special")
    inner = call.args[0] if of_module or owner is None else owner
    if not (call.args or owner) or inner is None:
        raise NotPatchable(f"line {call.lineno} takes a softmax of nothing that is named")
    parent = source.parents[call]
    handed = isinstance(parent, ast.Call) and last_name(parent.func) in CROSS_ENTROPY
    if not (isinstance(parent, ast.Return) or handed):
        raise NotPatchable(f"the softmax in line {call.lineno} may be used for more than the loss")
    return source.replaced(call, source.text(inner))


def _without_layer(source: Source, layer: ast.Call) -> Edit:
    """The last layer of a Sequential, with the comma before it."""
    parent = source.parents[layer]
    sequential = isinstance(parent, ast.Call) and last_name(parent.func) == "Sequential"
    if not sequential or not isinstance(parent, ast.Call) or parent.args[-1] is not layer:
        raise NotPatchable(f"the softmax in line {layer.lineno} is not the last of a Sequential")
    if len(parent.args) < 2:
        raise NotPatchable(f"the softmax in line {layer.lineno} is all of its Sequential")
    return Edit(source.end(parent.args[-2]), source.end(layer), "")


def _without_grad(source: Source, node: ast.AST) -> bool:
    """Whether a line is run without gradients, and so is no line of training."""
    while node in source.parents:
        node = source.parents[node]
        if isinstance(node, ast.With):
            contexts = [item.context_expr for item in node.items]
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            contexts = node.decorator_list
        else:
            continue
        names = {last_name(c.func if isinstance(c, ast.Call) else c) for c in contexts}
        if names & set(NO_GRAD):
            return True
    return False
