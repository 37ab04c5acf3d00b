"""text-log: what a training printed: plain text with numbers and their names.

## What is read

Any line that repeats with changing numbers, one of which is a loss, a metric or a learning rate:

- `loss: 2.3`, `loss=2.3`, `loss 2.3`; `iter 100: loss 2.3, time 35.2ms, mfu 1.2%`
- `step 500: train loss 2.1, val loss 2.2`
- progress bars, each of their states: `37%|###7  | 370/1000 [00:10<00:17, 36.5it/s, loss=0.52]`,
  `12/100 ━━━━ 5s 10ms/step - accuracy: 0.5 - loss: 1.2`
- printed dictionaries: `{'loss': 0.53, 'learning_rate': 1e-05, 'epoch': 1.2}`
- `Epoch: [ 3], [ 100/ 223] time: 512, d_loss: 0.0031, g_loss: 31.2`,
  `Train Epoch: 1 [640/60000 (1%)] Loss: 1.23`, `Epoch: [0][10/196] Time 0.2 (0.3) Loss 2.3 (2.4)`,
  `(epoch: 1, iters: 100, time: 0.2) G_GAN: 1.2`, `[0/5][50/1583] Loss_D: 0.9 Loss_G: 5.1`
- `[10] train-logloss:0.5 eval-logloss:0.6`
- `0: learn: 0.67 test: 0.66 best: 0.66 (0)`
- tables of numbers below a line of names (`epoch train_loss valid_loss time`), with a progress bar
  behind each row or not
- boxes of names and values that come again (`| loss | 0.5 |` between lines of `-----`): one box is
  one time of logging

with dates, levels, names of loggers and a container's `stdout F` in front or not. Steps are those
the lines count: steps, else batches of epochs (with the length of an epoch where the lines tell
it), else epochs, else the lines themselves. A validation belongs to the step of the training line
before it; of a value with its running mean in brackets, training lines give the value and
validations the mean.

Where steps go back to where they began, another training starts, which is a run of its own; where
they go back to the middle, a training was resumed, and what it wrote anew counts.

Where several processes print into one log and their lines say so (`[rank1]: `, `1: ` of `srun -l`,
`[1,0]<stdout>: ` of `mpirun`, `(pid=123) ` of Ray), the first of those that print the losses is
read. A comma is a decimal one or stands between thousands, as the other numbers of its column tell,
else those of the log.

Text may be UTF-8, UTF-16, GBK, Big5 or Windows-1252, with any line ends, colours and progress bars.

## How it is recognised

Text in which at least three lines have the same words around changing numbers, and in which these
lines count something (an epoch, a step) or are most of the text. Prose, documents with an example
of a log, source code and settings are none.

## What is left out

Lines that come once, warnings and tracebacks; the end of lines beyond 4,000 characters; a last line
that does not end; numbers of which nobody can tell whether they are thousands (`2,345`, and no
number of the log says more).

## References

- <https://tqdm.github.io/docs/tqdm/>
- <https://keras.io/api/utils/python_utils/#progbar-class>
- <https://github.com/pytorch/examples>
"""

import re
from pathlib import Path

import numpy as np

from unstuck.reading.assemble import assembled
from unstuck.reading.bounds import content, head
from unstuck.reading.boxes import unboxed
from unstuck.reading.progress import readings_of
from unstuck.reading.ranks import of_one_rank
from unstuck.reading.scan import Lines, scanned
from unstuck.reading.text import decoded, ended, is_text, lines, plain
from unstuck.records import Run
from unstuck.source import Source, UnreadableRunError

SOURCE = "text-log"
MOST = 250_000_000  # bytes of one log
FEWEST = 3  # lines of one shape that make a log
ENDS = 16_384  # bytes of the beginning and of the end that tell a log
MOSTLY = 0.3  # share of the lines that a log which counts nothing has at least
_CODE = re.compile(
    r"(?:import \w|from [\w.]+ import |def \w+\(|class \w+[(:]|@\w+|#include\b|function\b|return\b"
    r"|if __name__|\}|public |private |const |let |var |fn |func )"
)
_FENCE = re.compile(r"\s*(?:```|~~~|\.\. code|#{1,6} \w|<\w+[ >])")
_PROSE = re.compile(r"(?:[^\W\d]{2,}[,;']? ){7}")


def knows(path: Path) -> bool:
    """Whether a file is text that a training printed."""
    start = head(path, ENDS)
    if not is_text(start):
        return False
    try:
        return is_log_text(lines(start + _tail(path)))
    except (OSError, ValueError):
        return False


def read(path: Path) -> list[Run]:
    """The runs in a log; UnreadableRunError where there is none."""
    text = decoded(content(path, MOST))
    found = plain(text).split("\n")[:-1]
    remarks = []
    if len(found) > FEWEST and not ended(text):
        found = found[:-1]
        remarks.append("the last line does not end and was left out")
    found, others = of_one_rank(found)
    if others:
        remarks.append(f"lines of other ranks were left out: {others} of {others + 1} ranks")
    facts = {"source/remark": "; ".join(remarks)} if remarks else {}
    starts, unit = readings_of(scanned(unboxed(found)))
    if not starts:
        raise UnreadableRunError(f"{path} is text without a loss, metric or rate that changes")
    names = (
        [path.stem] if len(starts) == 1 else [f"{path.stem} {i + 1}" for i in range(len(starts))]
    )
    return [
        assembled(name, readings, SOURCE, facts=facts, unit=unit)
        for name, readings in zip(names, starts, strict=True)
    ]


def is_log_text(text: list[str]) -> bool:
    """Whether lines are those of a log, not of prose, a document, code or settings."""
    text = [line for line in unboxed(of_one_rank(text)[0]) if line and not line.isspace()]
    telling = [group for group in scanned(text) if _tells(group)]
    if not telling:
        return False
    share = sum(group.place.size for group in telling) / len(text)
    if any(_FENCE.match(line) for line in text) or _reads_like_code(text):
        return share > 0.5
    prose = sum(bool(_PROSE.search(line[:400])) for line in text) / len(text)
    counting = any(_counts(group) for group in telling)
    if sum(line.startswith('{"') for line in text) > 0.5 * len(text):
        return counting  # JSON, which json-lines did not take for a log
    return share > (MOSTLY if not counting else prose * 0.5)


def _tells(group: Lines) -> bool:
    """Whether lines repeat with another loss, metric or rate each time."""
    return group.place.size >= FEWEST and any(map(group.changes, group.learning))


def _counts(group: Lines) -> bool:
    """Whether lines say where the training is, and it goes on."""
    for counter in group.shape.counters:
        change = np.diff(group.number[:, counter.number])
        if np.any(change != 0) and np.mean(change >= 0) > 0.5:
            return True
    return False


def _reads_like_code(text: list[str]) -> bool:
    return sum(bool(_CODE.match(line)) for line in text) > max(2, 0.02 * len(text))


def _tail(path: Path) -> bytes:
    """The last bytes of a long file: a log may begin with much that is none."""
    size = path.stat().st_size
    if size <= 2 * ENDS:
        return b""
    with path.open("rb") as file:
        file.seek(size - ENDS + size % 2)
        return file.read(ENDS)


text_log = Source(SOURCE, knows, read, rank=2)
