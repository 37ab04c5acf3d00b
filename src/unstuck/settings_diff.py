"""Treatment -> the settings it changes: what each is in the run, and what it becomes."""

import math

from unstuck.changes import Change, parsed
from unstuck.fixed import Setting
from unstuck.records import Run, Scalar, Treatment

AS_WRITTEN = "as the script has it"

# kind of change -> name of the setting, what it is before where no series says, and its unit
_NAMES = {
    "lr": ("learning rate of {}", AS_WRITTEN, ""),
    "warmup": ("rise of the learning rate of {}", AS_WRITTEN, "steps"),
    "schedule": ("schedule of the learning rate of {}", AS_WRITTEN, ""),
    "clip": ("largest gradient norm of {}", AS_WRITTEN, ""),
    "weight_decay": ("weight decay of {}", AS_WRITTEN, ""),
    "interval": ("calls for one step of {}", "1", "calls"),
    "accumulation": ("gradients averaged for one step of {}", AS_WRITTEN, "steps"),
    "zero_grad": ("gradients of {} are cleared", AS_WRITTEN, ""),
    "finite": ("steps of {} that are taken", "all", ""),
    "steps": ("steps of {}", "none", ""),
    "orphans": ("parameters without an optimizer", "left alone", ""),
    "weight": ("weight of {}", AS_WRITTEN, ""),
    "floor": ("least value of {} that counts", "none", ""),
    "ramp": ("rise of the weight of {}", AS_WRITTEN, "steps"),
    "class_weight": ("weights of the classes in cross entropy", AS_WRITTEN, ""),
    "label_smoothing": ("label smoothing of cross entropy", AS_WRITTEN, ""),
    "scores": ("what cross entropy is given", "probabilities", ""),
    "targets": ("shape of the targets", "broadcast", ""),
    "r1": ("gradient penalty of {} on real samples", AS_WRITTEN, "gamma"),
    "r2": ("gradient penalty of {} on generated samples", AS_WRITTEN, "gamma"),
    "freeze": ("{}", "trained", ""),
    "initialisation": ("first weights of {}", AS_WRITTEN, ""),
    "input": ("inputs of {}", "as they come", ""),
    "mode": ("mode of {}", AS_WRITTEN, ""),
    "precision": ("precision of the losses", "as autocast has it", ""),
}
_WORDS = {
    "schedule": "{}",
    "clip": "none",
    "accumulation": "their mean",
    "zero_grad": "after each step, at no other time",
    "finite": "those with a finite gradient",
    "steps": "one after each backward pass",
    "orphans": "join {}",
    "scores": "raw scores",
    "targets": "that of the predictions",
    "freeze": "frozen",
    "input": "mean 0, standard deviation 1",
    "mode": "training while gradients are recorded, evaluation else",
    "precision": "float32",
}


def settings_diff(run: Run, treatment: Treatment) -> tuple[Setting, ...]:
    """A setting for each change, with the value it has in the run where that was recorded.

    >>> treatment = Treatment("slower", "lower-learning-rate", {"lr/adam": "x0.1"}, "")
    >>> settings_diff(Run.of(lr__adam=[0.1, 0.1]), treatment)
    (Setting(name='learning rate of adam', before='0.1', after='0.01', unit=''),)
    """
    return tuple(_setting(run, name, value) for name, value in treatment.changes.items())


def lines(settings: tuple[Setting, ...]) -> tuple[str, ...]:
    """
    >>> lines((Setting("learning rate of adam", "0.1", "0.01"),))
    ('learning rate of adam: 0.1 -> 0.01',)
    """
    return tuple(f"{s.name}: {s.before} -> {s.after} {s.unit}".rstrip() for s in settings)


def _setting(run: Run, name: str, value: Scalar) -> Setting:
    if "/" not in name:
        before = run.recipe.get(name)
        return Setting(name, AS_WRITTEN if before is None else _text(before), _text(value))
    change = parsed({name: value})[name]
    form, before_text, unit = _NAMES.get(change.kind, ("{}", AS_WRITTEN, ""))
    where = " in ".join(reversed(change.where.split("/")))
    varies, present = _present(run, change)
    told = form.format(where) + (", at its highest" if varies else "")
    before_text = before_text if math.isnan(present) else _text(present)
    return Setting(told, before_text, _after(change, present), unit)


def _after(change: Change, present: float) -> str:
    if change.word:
        return _WORDS.get(change.kind, "{}").format(
            change.where if change.kind == "orphans" else change.word
        )
    if change.multiple and math.isnan(present):
        return f"times {change.value:g}"
    return _text(change.of(present))


def _present(run: Run, change: Change) -> tuple[bool, float]:
    """Whether a setting moves in the run, and the largest value it had; NaN where not recorded."""
    if change.kind not in ("lr", "weight_decay", "weight"):
        return False, math.nan
    begin = f"{change.kind}/{change.where}"
    read = [s for n, s in run.series.items() if n == begin or n.startswith(f"{begin}/")]
    values = [v for s in read for v in s.value.tolist() if math.isfinite(v)]
    if not values:
        return False, math.nan
    highest = max(values, key=abs)
    return any(v != highest for v in values), highest


def _text(value: Scalar) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
