"""Lines that several processes of one training printed -> those of one of them.

A launcher writes in front of a line which process it is of: `[rank1]: `, `1: ` (srun),
`[1,0]<stdout>: ` (mpirun), `(pid=123) ` (Ray). Such a number is no step of the training.

>>> of_one_rank([f"{rank}: step {step} loss 0.5" for step in range(9) for rank in (0, 1)])[0][:2]
['step 0 loss 0.5', 'step 1 loss 0.5']
"""

import re
from collections import Counter
from itertools import pairwise

from unstuck.reading.fields import shape_of, split_line

LOOKED_AT = 1_000  # lines in the middle that tell whether lines name a process
MOSTLY = 0.5  # share of them that do
FEWEST = 3  # of them
TALKATIVE = 0.5  # a rank prints what matters if it prints this share of what the busiest does
_STREAM = r"\s{0,8}(?:\S{19,40} (?:stdout|stderr) [FP] )?"
_SAID = re.compile(
    _STREAM + r"(?:\[\d{1,6},(\d{1,6})\]<std(?:out|err)>: ?"
    r"|\((?:[\w.-]{1,80} )?pid=(\d{1,9})(?:, ?ip=[\w.:]{1,60})?\) ?"
    r"|\[(?i:(?:(?:global|local)[ _])?rank[ =:_-]{0,2}|default)(\d{1,6})\][ :|]{0,3})+"
)
_BARE = re.compile(_STREAM + r"(\d{1,6}): ")


def of_one_rank(lines: list[str]) -> tuple[list[str], int]:
    """The lines without the name of a process, of one where there are several; how many others.

    Of those that print about as much as any, the first one stays; so do lines that name none.
    """
    start = max(0, (len(lines) - LOOKED_AT) // 2)
    sample = [line for line in lines[start : start + LOOKED_AT] if line]
    prefix = _prefix(sample)
    if prefix is None:
        return lines, 0
    found = [(prefix.match(line), line) for line in lines]
    printed = Counter(_rank(match) for match, _ in found if match)
    busiest = max(printed.values())
    rank = min(r for r, count in printed.items() if count >= TALKATIVE * busiest)
    kept = [
        line if match is None else line[match.end() :]
        for match, line in found
        if match is None or _rank(match) == rank
    ]
    return kept, len(printed) - 1


def _prefix(sample: list[str]) -> re.Pattern[str] | None:
    """What names the process in most lines of a log; None where nothing does."""
    for prefix in (_SAID, _BARE):
        matches = [m for line in sample if (m := prefix.match(line))]
        if len(matches) < max(FEWEST, MOSTLY * len(sample)):
            continue
        if prefix is _SAID or _names_processes(matches):
            return prefix
    return None


def _rank(match: re.Match[str]) -> int:
    return int(next(group for group in match.groups() if group is not None))


def _names_processes(matches: list[re.Match[str]]) -> bool:
    """Whether numbers in front of lines name processes: they do not count, or go to and fro."""
    ranks = [_rank(match) for match in matches]
    different = len(set(ranks))
    backwards = sum(b < a for a, b in pairwise(ranks))
    counted = [_counted(match.string[match.end() :]) for match in matches]
    if sum(map(bool, counted)) > MOSTLY * len(matches):
        if different == 1:
            return True
        often = backwards > 1 and 2 * different * backwards >= len(matches)  # epochs go back rarely
        return often and len(set(zip(ranks, counted, strict=True))) > different
    return 1 < different == max(ranks) + 1 <= backwards


def _counted(line: str) -> tuple[str, ...]:
    """Where the training is, as far as a line says it by itself."""
    template, numbers = split_line(line)
    return tuple(n for c in shape_of(template).counters if (n := numbers[c.number]).isdigit())
