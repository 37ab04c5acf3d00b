"""add-data-workers: prepare batches in other processes while the model trains.

## What it changes
Where the script is known to have a number of workers (a flag): twice as many, and at least 4. In
the script: `DataLoader(num_workers=...)` up to the number of cores, with `persistent_workers=True`,
`pin_memory=True` on a GPU and a larger `prefetch_factor`. Where the workers are already busy:
decode and resize once beforehand, read fewer and larger files, keep what fits in memory.

## What is expected
`wait/data` falls towards zero and the step becomes as short as its arithmetic.

## When it does not help
Where the cores are all busy already, or the disk or the network is the limit: then less has to be
read or computed for a batch.

## Origin
- Mohan et al., Analyzing and Mitigating Data Stalls in DNN Training, 2021,
  <https://arxiv.org/abs/2007.06775>

>>> from unstuck import Finding, Run
>>> run = Run.of({"num_workers": 0})
>>> [t.changes for t in add_data_workers(run, Finding("SYS001", "data", "", ()))]
[{'num_workers': 4}]
"""

from collections.abc import Iterator

from unstuck.flags import count_in
from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy

LEAST = 4  # workers: the cores of the smallest machines that are rented with a GPU


@remedy("SYS001", "SYS004", safety="safe")
def add_data_workers(run: Run, finding: Finding) -> Iterator[Treatment]:
    counted = count_in(run.recipe, "workers")
    if counted:
        field, workers = counted
        yield Treatment(
            name=f"{field} {max(LEAST, 2 * workers)}",
            remedy="add-data-workers",
            changes={field: max(LEAST, 2 * workers)},
            expectation="less of a step is spent waiting for data, and it is shorter",
            answers=(finding.code,),
        )
