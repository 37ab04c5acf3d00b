"""Time, memory and ranks."""

from unstuck.glossary.entry import Entry

ENTRIES = (
    Entry(
        "seconds/step",
        "s",
        "time from one step to the next, mean since the last reading",
        "watch; logs",
    ),
    Entry(
        "seconds/own",
        "s",
        "time a rank needs in one step for its data and its forward passes, before it waits for "
        "the other ranks; median since the last reading, as the processor sees it",
        "watch, where ranks average their gradients",
    ),
    Entry(
        "seconds/processor",
        "s",
        "processor time of one step, of all threads of the process",
        "watch",
    ),
    Entry(
        "seconds/readouts",
        "s",
        "time in a step that goes into rows of numbers read out of tensors one by one",
        "watch, sampled",
    ),
    Entry(
        "readouts/*",
        "1",
        "how often in a step a number is read out of a tensor of this device (item, tolist, "
        "print, if): readouts/<device>",
        "watch, sampled",
    ),
    Entry(
        "wait/data",
        "1",
        "share of the time spent waiting for a DataLoader's next batch, validation left out",
        "watch",
    ),
    Entry(
        "wait/before_forward",
        "1",
        "time from the end of a step to the next forward pass, of a mean step",
        "watch, sampled",
    ),
    Entry(
        "rank/*/*",
        "",
        "a series of another rank than the first: rank/<k>/<series>; its step is that rank's own",
        "watch, where several processes train together",
    ),
    Entry(
        "replica_gap/*",
        "1",
        "largest distance between the first rank's copy of a model and another rank's, as a share "
        "of its norm, from 8 random projections: replica_gap/<model>",
        "watch, sampled",
    ),
    Entry(
        "bytes/*", "B", "memory in use: bytes/<device>; cpu is the resident set", "watch, sampled"
    ),
)
