"""DST004 lost-rank: one process of several was killed, and the others stopped waiting for it.

## Why is this bad?
The training is over. What the other ranks report, a closed connection or a timeout, is only what
the lost one left behind; why it went is told by the machine it ran on: out of memory, preempted, a
failed device.

## How it is detected
A rank's record was never closed (it ended without an exception of its own, as on `kill -9`), while
another rank reports an error of the communication between them.

## Example
>>> from unstuck import Run
>>> lost = Run.of(facts={"rank/0/last_step": 80, "rank/0/closed": True,
...                      "rank/0/exception": "RuntimeError: gloo: Connection closed by peer",
...                      "rank/1/last_step": 80}, loss__train=[1.0] * 81)
>>> [(f.where, f.message) for f in lost_rank(lost)]
[('rank 1', 'rank 1 was lost after step 80; 1 of 2 ranks then failed to reach it')]

## Look-alikes
A rank that failed by itself, whereupon its launcher ended the others; a run that goes on; a run
that was ended from outside; one that ended well:

>>> def facts(**told):
...     found = {"rank/0/last_step": 80, "rank/1/last_step": 80}
...     return found | {n.replace("__", "/"): v for n, v in told.items()}
>>> list(lost_rank(Run.of(facts=facts(rank__0__exception="KeyError: 'x'", rank__0__closed=True))))
[]
>>> list(lost_rank(Run.of(facts=facts())))
[]
>>> list(lost_rank(Run.of(facts=facts(rank__0__closed=True, rank__1__closed=True))))
[]

## What to try
`use-restarts`

## References
- PyTorch, torchrun, <https://docs.pytorch.org/docs/stable/elastic/run.html>
- Kokolis et al., Revisiting Reliability in Large-Scale Machine Learning Research Clusters, 2024,
  <https://arxiv.org/abs/2410.21680>
"""

import re
from collections.abc import Iterator

from unstuck.detector import detector
from unstuck.records import Evidence, Finding, Run

_OF_OTHERS = re.compile(
    r"gloo|nccl|\bmpi\b|process ?group|backend ?error|socket|timed? ?out|by peer|broken pipe",
    re.IGNORECASE,
)


@detector("DST004", needs_facts=("rank/*/last_step",))
def lost_rank(run: Run) -> Iterator[Finding]:
    ranks = [name.split("/")[1] for name in run.facts_matching("rank/*/last_step")]
    told = [r for r in ranks if _OF_OTHERS.search(str(run.facts.get(f"rank/{r}/exception", "")))]
    for rank in ranks:
        last = run.facts[f"rank/{rank}/last_step"]
        ended = f"rank/{rank}/closed" in run.facts or f"rank/{rank}/exception" in run.facts
        if ended or not told or not isinstance(last, int | float) or not last >= 0:
            continue
        yield Finding(
            "DST004",
            where=f"rank {rank}"[:20],
            message=(
                f"rank {rank[:9]} was lost after step {last:.0f}; {len(told)} of {len(ranks)} "
                "ranks then failed to reach it"
            ),
            evidence=(Evidence.of_fact(run, f"rank/{rank}/last_step", ">", -1.0),),
        )
