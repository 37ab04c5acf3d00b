"""Which steps are looked at closely: dense at the start, then ever sparser.

The schedule depends on the step alone, so that two runs of the same length are read at the same
steps whatever machine they ran on.
"""

DENSE = 5  # first steps, each looked at: start-up faults show there
LAYERS_EVERY = 16  # steps between looks at layers, over the first THIN_AFTER steps
TERMS_EVERY = 48  # steps between extra backward passes by term; a multiple of LAYERS_EVERY
THIN_AFTER = 2000  # from here on the distance doubles whenever the step count does


def stretch(step: int) -> int:
    """How many times sparser than at the start this step is sampled: 1, 2, 4, ..."""
    return 1 << max(0, (step // THIN_AFTER).bit_length())


def looks_at_layers(step: int) -> bool:
    """Whether gradients, updates and activations by layer are read at this step."""
    return step < DENSE or step % (LAYERS_EVERY * stretch(step)) == 0


def looks_at_terms(step: int) -> bool:
    """Whether each loss term gets a backward pass of its own at this step."""
    return step in (1, 3) or (step > 0 and step % (TERMS_EVERY * stretch(step)) == 0)
