"""The faults of the study: every sick small training of one process, and those of a case.

What each is judged by is settled here, before any result: the rule of `unstuck fix` itself (a
number on held-out data, else the loss), and where that rule finds no number that can be compared, a
number named below because of what the fault takes away.
"""

import random
import shlex
from dataclasses import dataclass
from pathlib import Path

from record_runs import all_trainings

from unstuck.cases.contrast import train
from unstuck.cases.contrast.faults import FAULTS

SCRIPT = Path(__file__).with_name("fault.py")
CONTRAST = "unstuck.cases.contrast.train"
# What is asked of the model and suffers; lower is better for all of them.
DECLARED = {
    "content_term_collapses": "term/loss/recon",  # a collapsed code: what can be rebuilt from it
    "content_term_collapses_slowly": "term/loss/recon",
    "variational_digits_averaged": "term/loss/reconstruction",
    "variational_digits_overweighted": "term/loss/reconstruction",
    "variational_rows_that_need_no_code": "term/loss/reconstruction",
    "task_in_large_units": "term/loss/label",  # the task that gets no gradient
    "two_conventions_of_labels": "term/loss/ours",  # one of two that contradict each other
    "to_stay_and_to_be_mirrored": "term/loss/mirror",
    "kinds_at_a_tenth_for_the_judge": "term/d_loss/category",  # the term that is drowned
    "kinds_at_a_tenth_for_the_painter": "term/g_loss/category",
    "paired_game_lost": "term/g_loss/l1",  # a game with a target: how far from it
    "the_other_optimizer_steps_twice": "loss/loss_encoder",  # the network that is never trained
}


@dataclass(frozen=True)
class Fault:
    """A sick training: its planted code, its command line, and the declared metric, if any."""

    name: str
    code: str
    words: tuple[str, ...]
    metric: str = ""
    higher: bool | None = None


def trainings() -> list[Fault]:
    """The sick trainings of one process, each once."""
    found: dict[str, Fault] = {}
    for training in all_trainings():
        if training.expected and training.ranks == 1:
            words = (str(SCRIPT.relative_to(Path.cwd())), training.name)
            metric = DECLARED.get(training.name, "")
            fault = Fault(
                training.name, training.expected, words, metric, False if metric else None
            )
            found.setdefault(training.name, fault)
    return list(found.values())


def contrast() -> list[Fault]:
    """The faults of the contrast case and the recipe of its demo, judged as the case is."""
    forms = {
        f"contrast {name}": (dict(changes), codes[0]) for name, (changes, codes) in FAULTS.items()
    }
    found = [
        Fault(
            name, code, ("-m", CONTRAST, "--preset", "repaired", *_set(changes)), train.METRIC, True
        )
        for name, (changes, code) in forms.items()
    ]
    notes = ("-m", CONTRAST, "--preset", "notes")
    return [*found, Fault("contrast notes", "COL004", notes, train.METRIC, True)]


def ordered(faults: list[Fault], seed: int) -> list[Fault]:
    """In an order drawn with this seed, so that the first of them are a fair sample."""
    return random.Random(seed).sample(faults, len(faults))


def line(fault: Fault) -> str:
    return shlex.join(fault.words)


def _set(changes: dict[str, object]) -> list[str]:
    return [word for name, value in changes.items() for word in ("--set", f"{name}={value}")]
