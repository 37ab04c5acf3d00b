"""Live changes: what can be altered in a watched run without touching its script, and how to ask.

A change is `<kind>/<what it acts on>` with a value: a number, a multiple of the present value as
text (`"x0.1"`), or a word. `{"lr/optimizer": "x0.3", "clip/optimizer": 1.0}`.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from unstuck.records import Scalar

MULTIPLE = re.compile(r"x\d*\.?\d+([eE][-+]?\d+)?")  # "x0.1"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of live change: the places it acts on and the values it takes."""

    name: str
    where: str  # how the place is written, for people
    values: str  # how a value is written, for people
    meaning: str
    pattern: str = r"[^/]+"  # of the place
    multiple: bool = False  # a multiple of the present value may be given
    least: float = 0.0
    most: float = math.inf
    whole: bool = False
    words: str = ""  # pattern of a value that is a word

    def problem(self, value: Scalar) -> str:
        """What is wrong with a value; nothing where it is fine."""
        text = str(value)
        if self.words and isinstance(value, str) and re.fullmatch(self.words, text):
            return ""
        if text.startswith("x"):
            known = self.multiple and MULTIPLE.fullmatch(text)
            return "" if known else f"give {self.values}"
        number = _number(text)
        takes_numbers = self.values.startswith(("a number", "a count"))
        if not takes_numbers or isinstance(value, bool) or not math.isfinite(number):
            return f"give {self.values}"
        fine = self.least <= number <= self.most and not (self.whole and number % 1)
        return "" if fine else f"give {self.values}"


KINDS = (
    Kind(
        "lr",
        "<optimizer>",
        "a number, or a multiple such as 'x0.1'",
        "learning rate of every group of one optimizer; the script's schedule keeps its shape",
        multiple=True,
    ),
    Kind(
        "warmup",
        "<optimizer>",
        "a count of steps",
        "the learning rate rises linearly from 1/steps of itself to itself over so many steps",
        least=1,
        whole=True,
    ),
    Kind(
        "schedule",
        "<optimizer>",
        "'constant', or 'cosine:STEPS', 'linear:STEPS'",
        "the rate as at the first step, times 1, half a cosine or a line down to 0 over the steps",
        words=r"constant|(cosine|linear):[1-9]\d{0,8}",
    ),
    Kind(
        "clip",
        "<optimizer>",
        "a number, or 'off'",
        "largest norm of the gradient of all parameters of one optimizer, just before its step; "
        "'off' undoes the script's own clipping (torch.nn.utils)",
        least=1e-30,
        words=r"off",
    ),
    Kind(
        "weight_decay",
        "<optimizer>",
        "a number, or a multiple such as 'x0.1'",
        "weight decay of every group of one optimizer",
        multiple=True,
    ),
    Kind(
        "interval",
        "<optimizer>",
        "a count of steps",
        "one optimizer steps only at every k-th of its steps (the first of them is taken)",
        least=1,
        whole=True,
    ),
    Kind(
        "accumulation",
        "<optimizer>",
        "a count of steps, or 'mean'",
        "the gradients of k successive steps are averaged and one step is taken; 'mean' divides "
        "by the number of backward passes that a script has summed up since it last cleared",
        least=1,
        whole=True,
        words=r"mean",
    ),
    Kind(
        "zero_grad",
        "<optimizer>",
        "'after-step'",
        "gradients are cleared after each step and at no other time, whatever the script does",
        words=r"after-step",
    ),
    Kind(
        "finite",
        "<optimizer>",
        "'only'",
        "a step whose gradient holds NaN or infinity is left out",
        words=r"only",
    ),
    Kind(
        "steps",
        "<optimizer>",
        "'each-backward'",
        "an optimizer that the script never steps makes a step after each backward pass that "
        "reaches its parameters, and clears their gradients",
        words=r"each-backward",
    ),
    Kind(
        "orphans",
        "<optimizer>",
        "'added'",
        "trained parameters that no optimizer has join this one before its first step",
        words=r"added",
    ),
    Kind(
        "weight",
        "<loss>/<term>",
        "a number, or a multiple such as 'x0.1'",
        "weight of one term: (w' - w) x term is added to the loss",
        pattern=r"[^/]+/[^/]+",
        multiple=True,
        least=-math.inf,
    ),
    Kind(
        "label_smoothing",
        "cross_entropy",
        "a number from 0 to 1",
        "label smoothing of every cross entropy under gradients",
        pattern=r"cross_entropy",
        most=1.0,
    ),
    Kind(
        "scores",
        "cross_entropy",
        "'raw'",
        "a softmax, sigmoid or log-softmax too many before a loss that makes one itself is undone",
        pattern=r"cross_entropy",
        words=r"raw",
    ),
    Kind(
        "targets",
        "<loss function>",
        "'shaped'",
        "targets of an elementwise loss get the shape of the prediction (no broadcasting)",
        pattern=r"elementwise",
        words=r"shaped",
    ),
    Kind(
        "r1",
        "<discriminator>",
        "a number: gamma",
        "gamma/2 x squared norm of the discriminator's gradient on real samples joins its loss",
    ),
    Kind(
        "r2",
        "<discriminator>",
        "a number: gamma",
        "gamma/2 x squared norm of the discriminator's gradient on generated samples joins its "
        "loss",
    ),
    Kind(
        "freeze",
        "<model> or <model>.<layer>",
        "'on'",
        "parameters of a model or layer are not trained",
        words=r"on",
    ),
    Kind(
        "initialisation",
        "<model> or <model>.<layer>",
        "'kaiming', 'xavier' or 'default'",
        "weights of linear and convolutional layers are drawn anew before the first forward pass, "
        "biases are zero ('default': as torch makes them)",
        words=r"kaiming|xavier|default",
    ),
    Kind(
        "input",
        "<model>",
        "'standardised'",
        "what a model is called with first: mean 0, standard deviation 1, by the first batch",
        words=r"standardised",
    ),
    Kind(
        "mode",
        "<model>",
        "'by-gradient'",
        "training mode while gradients are recorded, evaluation mode while they are not",
        words=r"by-gradient",
    ),
    Kind(
        "precision",
        "loss",
        "'float32'",
        "losses of torch.nn.functional take half-precision predictions as float32",
        pattern=r"loss",
        words=r"float32",
    ),
)
_BY_NAME = {kind.name: kind for kind in KINDS}


@dataclass(frozen=True, slots=True)
class Change:
    """A new value, a multiple of the present one, or a word."""

    kind: str
    where: str
    value: float = math.nan
    multiple: bool = False
    word: str = ""

    @property
    def name(self) -> str:
        return f"{self.kind}/{self.where}"

    def of(self, present: float) -> float:
        return present * self.value if self.multiple else self.value


def parsed(changes: Mapping[str, Scalar]) -> dict[str, Change]:
    """Changes by name; ValueError with one clear line for a malformed one.

    >>> parsed({"lr/adam": "x0.1"})["lr/adam"].of(0.5)
    0.05
    """
    return {name: _parsed(name, value) for name, value in changes.items()}


def fact_of(name: str) -> str:
    """The fact that a watched run gets when a change has acted for the first time."""
    return f"changed/{name}"


def refusal_of(name: str) -> str:
    """The fact that it gets, with the reason, when a change cannot be carried out in it."""
    return f"refused/{name}"


def _parsed(name: str, value: Scalar) -> Change:
    kind_name, _, where = name.partition("/")
    kind = _BY_NAME.get(kind_name)
    if kind is None or not re.fullmatch(kind.pattern, where):
        near = f"give {kind.name}/{kind.where}" if kind else f"there are: {', '.join(_BY_NAME)}"
        raise ValueError(f"cannot change {name!r} in a live run: {near}")
    text = value.strip() if isinstance(value, str) else value
    if isinstance(text, str) and _number(text) == _number(text):  # a number from a command line
        text = _number(text)
    problem = kind.problem(text)
    if problem:
        raise ValueError(f"{name} = {value!r}: {problem}")
    if isinstance(text, str) and not MULTIPLE.fullmatch(text):
        return Change(kind_name, where, word=text)
    multiple = isinstance(text, str)
    return Change(kind_name, where, _number(str(text).removeprefix("x")), multiple)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
