"""Facts of what a step needs, whether it repeats, and what a checkpoint was built with."""

from unstuck.glossary.entry import Entry

ENTRIES = (
    Entry(
        "memory_plan/*/per_sample",
        "B",
        "growth of a step's peak with a sample of a large batch",
        "probe memory-plan",
    ),
    Entry(
        "memory_plan/*/fixed",
        "B",
        "what of a step's peak is there for any batch",
        "probe memory-plan",
    ),
    Entry(
        "memory_plan/*/share",
        "1",
        "peak over what the card leaves for training",
        "probe memory-plan",
    ),
    Entry(
        "memory_plan/*/largest_batch*",
        "1",
        "samples of the largest batch that fits the card: as it is, and with autocast, with "
        "checkpointing, with both",
        "probe memory-plan",
    ),
    Entry(
        "memory_plan/*",
        "B",
        "memory of a training step: memory_plan/<model>/ parameters, gradients, optimizer, "
        "buffers, its peak (also with autocast, checkpointed, both), what the card leaves (card)",
        "probe memory-plan",
    ),
    Entry(
        "determinism/*/difference",
        "1",
        "largest relative difference of two equal steps",
        "probe determinism",
    ),
    Entry(
        "determinism/*",
        "",
        "determinism/<model>/: whether equal steps are the same bit by bit (same), why not (cause: "
        "kernel, generator, outside, course, uninitialised), the first operation that differs "
        "(first_op, module), whether a step from the state dicts is the same (resumes), the order "
        "of the data (data_same), what to seed beside torch (seeds), what deterministic algorithms "
        "refuse (refused)",
        "probe determinism",
    ),
    Entry(
        "recipe_recovery/*",
        "",
        "recipe_recovery/<model>/: whether a recipe of the family gives exactly these weights "
        "(exact), the values of its options (option/<option>), options that no tensor depends on "
        "(undecided), in how many tensors the nearest recipe differs (differences)",
        "probe recipe-recovery",
    ),
)
