"""The kinds of live changes: where each acts, what values it takes and what it means."""

import math
import re
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
        given = number(text)
        takes_numbers = self.values.startswith(("a number", "a count"))
        if not takes_numbers or isinstance(value, bool) or not math.isfinite(given):
            return f"give {self.values}"
        fine = self.least <= given <= self.most and not (self.whole and given % 1)
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
        "the rate each group was made with, times 1, half a cosine or a line down to 0 over the "
        "steps, in place of the script's own schedule",
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
        "weight decay of the groups of one optimizer; a group spared by the script stays spared",
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
        "the gradients of k successive steps are averaged and one step is taken; 'mean' averages "
        "what a script sums up over several backward passes before a step",
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
        "floor",
        "<loss>/<term>",
        "a number",
        "a term below this value is not pushed down any further (free bits)",
        pattern=r"[^/]+/[^/]+",
        least=-math.inf,
    ),
    Kind(
        "ramp",
        "<loss>/<term>",
        "a count of backward passes",
        "the weight of one term rises linearly from 1/count of itself to itself over so many",
        pattern=r"[^/]+/[^/]+",
        least=1,
        whole=True,
    ),
    Kind(
        "class_weight",
        "labels",
        "'balanced'",
        "classes weigh inversely to their share of the labels seen so far, in every loss of labels",
        pattern=r"labels",
        words=r"balanced",
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


def number(text: str) -> float:
    """What a text says as a number; NaN where it says none."""
    try:
        return float(text)
    except ValueError:
        return math.nan
