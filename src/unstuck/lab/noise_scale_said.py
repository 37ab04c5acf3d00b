"""What a noise scale means for the batch in use, in sentences."""

import math
from collections.abc import Iterator

from unstuck.lab.gradient_noise import NoiseScale


def span(found: NoiseScale) -> str:
    """The scale and its interval."""
    if not math.isfinite(found.samples):
        return f"more than {found.low:.3g} samples"
    if found.samples < 1:
        return "less than one sample"
    high = f"{found.high:.3g}" if math.isfinite(found.high) else "any number"
    return f"{found.samples:.3g} samples (95% interval {found.low:.3g} to {high})"


def measured(found: NoiseScale, used: int, parts: int) -> str:
    """What was measured, on how many samples in how many parts."""
    if math.isfinite(found.samples):
        return (
            f"Signal and noise of the gradient are equal in a batch of {span(found)}, measured "
            f"on {used} samples in {parts} parts."
        )
    return (
        f"In {used} samples the gradient cannot be told from its noise: the noise scale is "
        f"{span(found)}; more batches=... would tell more."
    )


def advice(found: NoiseScale, batch: int) -> Iterator[str]:
    """What a larger or a smaller batch would do, from 1 + B / b steps."""
    most = found.samples if math.isfinite(found.samples) else found.low
    saved = 1 - (1 + most / (2 * batch)) / (1 + most / batch)
    more = (1 + 2 * most / batch) / (1 + most / batch) - 1
    at_least = "" if math.isfinite(found.samples) else "at least "
    if batch < found.low:
        yield (
            f"The batch of {batch} is below it: twice as many samples a step, at once or by "
            f"accumulation, would save {at_least}{saved:.0%} of the steps (50% at best)."
        )
    elif batch > found.high:
        yield (
            f"The batch of {batch} is above it: half of it would need only {more:.0%} more steps, "
            f"a larger one can save {1 - 1 / (1 + most / batch):.0%} of the steps at most."
        )
    else:
        yield (
            f"The batch of {batch} is about as large: twice of it would save {at_least}"
            f"{saved:.0%} of the steps, half of it would need {more:.0%} more."
        )
