"""Which steps are looked at closely: dense at the start, then ever sparser.

The fixed schedule depends on the step alone, so that two runs of the same length are read at the
same steps whatever machine they ran on. With a budget some of its steps are left out where they
would cost too much, and a run in which something moves is looked at densely again for a while.
"""

from unstuck.watcher.budget import Budget

DENSE = 5  # first steps, each looked at: start-up faults show there
LAYERS_EVERY = 16  # steps between looks at layers, over the first THIN_AFTER steps
TERMS_EVERY = 48  # steps between extra backward passes by term; a multiple of LAYERS_EVERY
THIN_AFTER = 2000  # from here on the distance doubles whenever the step count does
REST = 250  # steps at least between two dense looks at something that moved


def stretch(step: int) -> int:
    """How many times sparser than at the start this step is sampled: 1, 2, 4, ..."""
    return 1 << max(0, (step // THIN_AFTER).bit_length())


def looks_at_layers(step: int) -> bool:
    """Whether gradients, updates and activations by layer are read at this step."""
    return step < DENSE or step % (LAYERS_EVERY * stretch(step)) == 0


def looks_at_terms(step: int) -> bool:
    """Whether each loss term gets a backward pass of its own at this step."""
    return step in (1, 3) or (step > 0 and step % (TERMS_EVERY * stretch(step)) == 0)


class Schedule:
    """The decisions for one run: `layers` and `terms` are those for the running step."""

    def __init__(self, budget: Budget | None = None) -> None:
        self.budget = budget
        self.layers, self.terms = True, False
        self.counted = True  # the running step's cost counts: it, or the one before, is sampled
        self._decided = (0, True, False)
        self._dense_until = DENSE
        self._moved_at = -REST
        self._owed = False  # looks by term that could not be afforded when they were due

    def begin(self, step: int) -> None:
        """A step begins; it is what was decided when it was asked for."""
        before = self.layers
        self.layers, self.terms = self.coming(step)
        self.counted = self.layers or before

    def coming(self, step: int) -> tuple[bool, bool]:
        """Whether a step looks at layers and at terms; a step is decided once."""
        if self._decided[0] != step:
            self._decided = (step, *self._decide(step))
        return self._decided[1:]

    def spend(self, seconds: float) -> None:
        """Count what a sampled step, or the one after it, took of the training's thread."""
        if self.budget is not None:
            self.budget.spend(seconds)

    def move(self, step: int) -> None:
        """Something moves (a new optimizer, another rate, a loss out of its noise): look closely.

        Under a fixed schedule nothing happens: it depends on the step alone.
        """
        if self.budget is not None and step - self._moved_at >= REST:
            self._moved_at = step
            self._dense_until = step + 2 + DENSE  # the next step may be decided already

    def _decide(self, step: int) -> tuple[bool, bool]:
        if step % LAYERS_EVERY and step >= self._dense_until:  # nearly all steps
            return False, False
        if not looks_at_layers(step):  # and so not at terms
            return step < self._dense_until, False
        terms = looks_at_terms(step)
        if self.budget is None or step < self._dense_until:
            return True, terms
        wanted = terms or self._owed
        affordable = self.budget.affords()
        self._owed = wanted and not affordable
        return affordable, affordable and wanted
