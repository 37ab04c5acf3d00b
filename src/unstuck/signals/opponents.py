"""The terms by which a generator plays against its discriminator, and what the two share."""

import re
from collections.abc import Iterator

from unstuck.records import Run, Series
from unstuck.signals.games import ADVERSARIAL_TERM, generator_losses

_KIND = re.compile(r"cat|class|cls|label|aux|kind", re.IGNORECASE)  # names a kind, fools nobody


def is_adversarial(term: str) -> bool:
    """Whether a term is, by its name, what is to fool a discriminator."""
    return bool(ADVERSARIAL_TERM.search(term)) and not _KIND.search(term)


def the_game(run: Run, loss: Series) -> Series:
    """What a discriminator's loss says of the game: the loss, or its adversarial term by itself.

    A loss that also names kinds falls as these are learned, whoever wins.
    """
    parts = run.matching(f"term/{loss.name.split('/', 1)[1]}/*")
    names = [part.name.split("/", 2)[2] for part in parts]
    own = [part for part, name in zip(parts, names, strict=True) if is_adversarial(name)]
    kinds = any(_KIND.search(name) for name in names)
    return own[0] if kinds and len(own) == 1 else loss


def adversarial_shares(run: Run) -> Iterator[tuple[str, str, Series]]:
    """Loss, term and share of the gradient of every adversarial term beside other terms."""
    for series in generator_losses(run):
        loss = series.name.split("/", 1)[1]
        shares = run.matching(f"gradient_share/{loss}/*")
        for share in shares if len(shares) > 1 else []:
            term = share.name.split("/", 2)[2]
            if is_adversarial(term):
                yield loss, term, share
