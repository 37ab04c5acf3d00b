"""Changes of an optimizer as edits of the script: its constructor, and the lines of its step."""

import ast
import math
from collections.abc import Iterator
from dataclasses import dataclass

from unstuck.changes import Change
from unstuck.patching.source import Edit, NotPatchable, Source, last_name, number, written
from unstuck.records import Run
from unstuck.signals.inventory import optimizers

CLASSES = {
    *("Adadelta", "Adagrad", "Adam", "AdamW", "SparseAdam", "Adamax", "ASGD", "NAdam", "RAdam"),
    *("RMSprop", "Rprop", "SGD", "Adafactor", "Muon"),
}
USUAL_RATE = 1e-3  # torch 2's defaults
RATES = dict.fromkeys(CLASSES, USUAL_RATE) | {
    "Adadelta": 1.0,
    "Adagrad": 0.01,
    "Adafactor": 0.01,
    "Adamax": 2e-3,
    "NAdam": 2e-3,
    "ASGD": 0.01,
    "RMSprop": 0.01,
    "Rprop": 0.01,
}
DECAYS = dict.fromkeys(CLASSES, 0.0) | {"AdamW": 0.01}
SETS_RATES = ("OneCycleLR", "CyclicLR")  # by rates of their own
ABSOLUTE = {"eta_min", "min_lr", "max_lr", "base_lr", "lr_end"}  # rates that do not scale along
CLIPS = ("clip_grad_norm_", "clip_grad_value_")


@dataclass(frozen=True, slots=True)
class Built:
    """An optimizer where the script builds it: `target = constructor`."""

    target: str
    name: str
    constructor: ast.Call
    statement: ast.stmt


def rate(source: Source, change: Change, run: Run) -> Iterator[Edit]:
    """lr=... in the constructor."""
    built = built_as(source, change.where, run)
    grouped = any(n.startswith(f"lr/{change.where}/") for n in run.series)
    if grouped or _names_key(built.constructor, "lr"):
        raise NotPatchable(f"the groups of {change.where} have learning rates of their own")
    if source.calls(*SETS_RATES) or _assigns_rates(source) or _names_rates(source):
        raise NotPatchable("the script sets the learning rate itself as it trains")
    if not change.multiple and _schedulers(source):
        raise NotPatchable("the script has a schedule, which a fixed learning rate would end")
    yield _argument(source, built, "lr", 1, change, RATES)


def decay(source: Source, change: Change, run: Run) -> Iterator[Edit]:
    """weight_decay=... in the constructor."""
    built = built_as(source, change.where, run)
    if _names_key(built.constructor, "weight_decay"):
        raise NotPatchable(f"the groups of {change.where} have weight decays of their own")
    yield _argument(source, built, "weight_decay", None, change, DECAYS)


def clip(source: Source, change: Change, run: Run) -> Iterator[Edit]:
    """A line before the step; or no limit in the script's own clipping."""
    if change.word == "off":
        calls = source.calls(*CLIPS)
        if not calls or any(len(call.args) < 2 and not call.keywords for call in calls):
            raise NotPatchable("no line of the script clips gradients")
        if len(calls) > 1 and len(optimizers(run)) > 1:
            raise NotPatchable(f"{len(calls)} lines clip gradients, and several optimizers step")
        for call in calls:
            limit = call.args[1] if len(call.args) > 1 else call.keywords[0].value
            yield source.replaced(limit, 'float("inf")')
        return
    if not source.has_import("torch"):
        raise NotPatchable("the script does not import torch by its name")
    for statement, optimizer in steps(source, built_as(source, change.where, run)):
        held = f'[p for group in {optimizer}.param_groups for p in group["params"]]'
        line = f"torch.nn.utils.clip_grad_norm_({held}, {written(change.value)})"
        yield source.before(statement, line)


def finite(source: Source, change: Change, run: Run) -> Iterator[Edit]:
    """The step under a condition: every gradient is finite."""
    for statement, optimizer in steps(source, built_as(source, change.where, run)):
        held = f'for group in {optimizer}.param_groups for p in group["params"]'
        sound = f"all(p.grad is None or bool(p.grad.isfinite().all()) {held})"
        yield source.under(statement, f"if {sound}:")


def zero_grad(source: Source, change: Change, run: Run) -> Iterator[Edit]:
    """Cleared right after the step, and nowhere else."""
    built = built_as(source, change.where, run)
    names = {last_name(s.targets[0]) for s in _assignments(source) if _is_optimizer(s.value)}
    sites = list(steps(source, built))
    cleared: set[ast.stmt] = set()
    for call in source.calls("zero_grad"):
        owner = last_name(call.func.value) if isinstance(call.func, ast.Attribute) else ""
        statement = source.statement(call)
        if owner not in names or not isinstance(statement, ast.Expr):
            raise NotPatchable(f"line {call.lineno} may clear gradients of several optimizers")
        after = {site for site, _ in sites if _next_to(source, site, statement)}
        if owner == built.name and not after:
            yield source.deleted(statement)
        elif owner == built.name:
            cleared |= after
    for site, optimizer in sites:
        if site not in cleared:
            yield source.after(site, f"{optimizer}.zero_grad()")


def mean(source: Source, change: Change, run: Run) -> Iterator[Edit]:
    """(loss / k).backward(), where k passes are always summed."""
    if change.word != "mean":
        raise NotPatchable("several batches for one step ask for another loop, not another line")
    passes = run.series.get(f"accumulated_passes/{change.where}")
    counts = set(passes.value.tolist()) if passes is not None else set()
    if len(counts) != 1 or not (count := counts.pop()) > 1 or count % 1:
        raise NotPatchable("the number of backward passes for one step is not always the same")
    calls = [c for c in source.calls("backward") if isinstance(c.func, ast.Attribute)]
    if len(calls) != 1 or not isinstance(calls[0].func, ast.Attribute):
        raise NotPatchable(f"{len(calls)} lines of the script run a backward pass, not one")
    loss = calls[0].func.value
    yield source.replaced(loss, f"({source.text(loss)} / {int(count)})")


def warmup(source: Source, change: Change, run: Run) -> Iterator[Edit]:
    """A LinearLR beside the optimizer, stepped after it."""
    built = built_as(source, change.where, run)
    sites = list(steps(source, built))
    if _schedulers(source) or _assigns_rates(source):
        raise NotPatchable("the script has a schedule already, to which the rise has to be added")
    if len(sites) != 1 or source.scope(sites[0][0]) is not source.scope(built.statement):
        raise NotPatchable(f"{built.name} is not built and stepped in one function")
    if not source.has_import("torch"):
        raise NotPatchable("the script does not import torch by its name")
    count = int(change.value)
    line = (
        f"torch.optim.lr_scheduler.LinearLR({built.target}, 1 / {count}, total_iters={count - 1})"
    )
    taken = {n.id for n in source.all(ast.Name) if isinstance(n, ast.Name)}
    name = next(n for n in (f"warmup{i}" for i in ("", *range(2, 99))) if n not in taken)
    yield source.after(built.statement, f"{name} = {line}")
    yield source.after(sites[0][0], f"{name}.step()")


def schedule(source: Source, change: Change, run: Run) -> Iterator[Edit]:
    """The script's scheduler is not stepped any more ('constant')."""
    if change.word != "constant":
        raise NotPatchable("another schedule asks for another scheduler, not another line")
    if _assigns_rates(source):
        raise NotPatchable("the script sets the learning rate itself as it trains")
    names = _schedulers(source)
    found = []
    for call in source.calls("step"):
        statement = source.statement(call)
        owner = last_name(call.func.value) if isinstance(call.func, ast.Attribute) else ""
        if owner in names and isinstance(statement, ast.Expr):
            found.append(source.deleted(statement))
    if not found:
        raise NotPatchable("no line of the script steps a schedule")
    yield from found


def built_as(source: Source, name: str, run: Run) -> Built:
    """The one place where an optimizer of this name is built, or the script's only optimizer."""
    built = [
        Built(source.text(s.targets[0]), last_name(s.targets[0]), s.value, s)
        for s in _assignments(source)
        if isinstance(s.value, ast.Call) and _is_optimizer(s.value)
    ]
    named = [b for b in built if b.name == name]
    if not named and len(built) == 1 and set(optimizers(run)) <= {name}:
        named = built
    if len(named) != 1:
        raise NotPatchable(f"{len(named)} lines of the script build {name}, not one")
    return named[0]


def steps(source: Source, built: Built) -> Iterator[tuple[ast.stmt, str]]:
    """The statements in which it makes a step, and how it is called there."""
    found = 0
    for call in source.calls("step"):
        of = call.func.value if isinstance(call.func, ast.Attribute) else None
        if any(last_name(a) == built.name for a in call.args):
            raise NotPatchable(f"line {call.lineno} steps {built.name} through a gradient scaler")
        if of is not None and last_name(of) == built.name:
            statement = source.statement(call)
            if call.args or call.keywords or not isinstance(statement, ast.Expr):
                raise NotPatchable(f"line {call.lineno} steps {built.name} with a closure")
            found += 1
            yield statement, source.text(of)
    if not found:
        raise NotPatchable(f"no line of the script steps {built.name}")


def _argument(
    source: Source,
    built: Built,
    name: str,
    place: int | None,
    change: Change,
    defaults: dict[str, float],
) -> Edit:
    """A number of the constructor: written out, or the default of its class."""
    call = built.constructor
    given = [k.value for k in call.keywords if k.arg == name]
    if not given and place is not None and len(call.args) > place:
        given = [call.args[place]]
    if any(k.arg is None for k in call.keywords) or any(
        isinstance(a, ast.Starred) for a in call.args
    ):
        raise NotPatchable(f"line {call.lineno} builds {built.name} from arguments read elsewhere")
    if not given:
        present = defaults.get(last_name(call.func), math.nan)
        if change.multiple and math.isnan(present):
            raise NotPatchable(f"line {call.lineno} does not say {name}")
        return source.with_keyword(call, name, written(change.of(present)))
    value = number(given[0])
    if value is not None or not change.multiple:
        return source.replaced(given[0], written(change.of(value or 0.0)))
    text = source.text(given[0])
    simple = isinstance(given[0], (ast.Name, ast.Attribute, ast.Subscript, ast.Call))
    return source.replaced(given[0], f"{written(change.value)} * {text if simple else f'({text})'}")


def _assignments(source: Source) -> list[ast.Assign]:
    found = [n for n in source.all(ast.Assign) if isinstance(n, ast.Assign)]
    return [n for n in found if len(n.targets) == 1 and last_name(n.targets[0])]


def _is_optimizer(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and last_name(node.func) in CLASSES


def _schedulers(source: Source) -> set[str]:
    """The names of what is built as a schedule of learning rates."""
    return {last_name(s.targets[0]) for s in _assignments(source) if _schedules(s.value)}


def _schedules(node: ast.AST) -> bool:
    maker = last_name(node.func) if isinstance(node, ast.Call) else ""
    known = maker.endswith(("LR", "Plateau", "Restarts", "_schedule", "_scheduler"))
    return known or (maker.startswith("get_") and "schedule" in maker)


def _assigns_rates(source: Source) -> bool:
    """Whether a learning rate of a group is set by hand: group["lr"] = ..."""
    stores = (n for n in source.all(ast.Subscript) if isinstance(n, ast.Subscript))
    return any(_key(n) == "lr" and isinstance(n.ctx, ast.Store) for n in stores)


def _names_rates(source: Source) -> bool:
    """Whether a schedule is given a rate as a number, as CosineAnnealingLR's third argument is."""
    calls = [n for n in source.all(ast.Call) if isinstance(n, ast.Call)]
    return any(
        _schedules(c)
        and (
            any(k.arg in ABSOLUTE for k in c.keywords)
            or (last_name(c.func).startswith("CosineAnnealing") and len(c.args) > 2)
        )
        for c in calls
    )


def _names_key(constructor: ast.Call, key: str) -> bool:
    """Whether a group of parameters has a value of its own."""
    dicts = (n for n in ast.walk(constructor) if isinstance(n, ast.Dict))
    return any(isinstance(k, ast.Constant) and k.value == key for d in dicts for k in d.keys)


def _key(node: ast.Subscript) -> object:
    return node.slice.value if isinstance(node.slice, ast.Constant) else None


def _next_to(source: Source, step: ast.stmt, statement: ast.stmt) -> bool:
    """Whether one statement comes right after another in one block."""
    parent = source.parents[step]
    for name in ("body", "orelse", "finalbody"):
        block = getattr(parent, name, None)
        if isinstance(block, list) and step in block and statement in block:
            return bool(block.index(statement) == block.index(step) + 1)
    return False
