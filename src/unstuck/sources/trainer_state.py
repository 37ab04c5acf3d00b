"""trainer-state: `trainer_state.json` of the Transformers Trainer, and its output directories.

## What is read

`log_history`: loss, learning rate, gradient norm, epoch and everything else that was logged, by its
`step`; what starts with `eval_` is a validation. Of an output directory the newest state counts:
that of the last checkpoint, or one beside the checkpoints that is further; where it is damaged, the
one before. How long the training
was planned, its batch and its intervals become the recipe.

## How it is recognised

A JSON object with `log_history` and `global_step`; a directory that holds such a file or has it in
its directories `checkpoint-<step>`.

## What is left out

The summary at the end (`train_loss`, `train_runtime`, ...), which is a mean over the whole run;
anything pickled, such as `training_args.bin`, is never opened.

## References

- <https://huggingface.co/docs/transformers/main_classes/callback#transformers.TrainerState>
- <https://huggingface.co/docs/transformers/main_classes/trainer>
"""

import re
from dataclasses import replace
from itertools import islice
from pathlib import Path

from unstuck.reading.bounds import head
from unstuck.reading.columns import tabled
from unstuck.reading.objects import flat, parsed_file, table_of_objects
from unstuck.reading.recipes import flattened
from unstuck.records import Run
from unstuck.source import Source, UnreadableRunError

FILE = "trainer_state.json"
SETTINGS = (
    *("max_steps", "num_train_epochs", "train_batch_size", "logging_steps", "eval_steps"),
    *("save_steps", "num_input_tokens_seen", "total_flos"),
)
SUMMARY = "train_runtime"  # stands only in the entry that sums up the run
MOST = 300_000_000  # bytes
MOST_CHECKPOINTS = 10_000
_CHECKPOINT = re.compile(r"checkpoint-(\d{1,15})")


def knows(path: Path) -> bool:
    """Whether `path` is a state, or a directory with one."""
    return any(map(_is_state, _states(path)[:2]))


def read(path: Path) -> list[Run]:
    """The run a state tells of; UnreadableRunError where it is damaged or logged nothing."""
    states = _states(path)
    if not states:
        raise UnreadableRunError(f"{path} has no {FILE}")
    for file in states[:2]:  # a training that was killed may have left the last one half written
        try:
            run = _run(file)
        except UnreadableRunError:
            if file == states[:2][-1]:
                raise
            continue
        if file == states[0]:
            return [run]
        remark = f"the state of {states[0].parent.name} is damaged; read that of {file.parent.name}"
        return [replace(run, facts={**run.facts, "source/remark": remark})]
    return []


def _run(file: Path) -> Run:
    state = parsed_file(file, MOST)
    history = state.get("log_history") if isinstance(state, dict) else None
    if not isinstance(state, dict) or not isinstance(history, list):
        raise UnreadableRunError(f"{file} has no log_history: no state of a Trainer")
    entries = [flat(it) for it in history if isinstance(it, dict) and SUMMARY not in it]
    if not entries:
        raise UnreadableRunError(f"{file} has an empty log_history: nothing was logged yet")
    recipe = flattened({name: state.get(name) for name in SETTINGS})
    folder = file.absolute().parent
    name = folder.parent.name if _CHECKPOINT.fullmatch(folder.name) else folder.name
    return tabled(name, table_of_objects(entries).columns, "trainer-state", recipe=recipe)


def _states(path: Path) -> list[Path]:
    """The states in an output directory, the newest first; or the one that `path` is."""
    if not path.is_dir():
        return [path]
    try:
        names = [child.name for child in islice(path.iterdir(), MOST_CHECKPOINTS)]
    except OSError:
        return []
    matches = [m for m in map(_CHECKPOINT.fullmatch, names) if m]
    newest = sorted(matches, key=lambda m: -int(m[1]))[:20]
    found = [(int(m[1]), file) for m in newest if (file := path / m[0] / FILE).is_file()]
    own = path / FILE
    if own.is_file():
        found.append((_step(own), own))
    return [file for _, file in sorted(found, key=lambda it: -it[0])]


def _is_state(file: Path) -> bool:
    start = head(file)
    if not start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        return False
    return b'"global_step"' in start and (b'"log_history"' in start or file.name == FILE)


def _step(file: Path) -> int:
    """The step a state was saved at; -1 where it does not say."""
    found = re.search(rb'"global_step"\s*:\s*(\d{1,15})', head(file))
    return int(found[1]) if found else -1


trainer_state = Source("trainer-state", knows, read)
