"""The glossary: what every series and fact is called, its unit, what it means, who writes it.

Names are `<what>/<where>[/<which>]`, the same whether watched or read from a log. A reading is
numbered by the training step it was taken in, counted from 0.
"""

import re
from fnmatch import fnmatchcase

from unstuck.glossary import data, facts, gradients, layers, losses, machine, representations
from unstuck.glossary.entry import Entry
from unstuck.words import ERROR, LOSS, words_of

SERIES = (
    *losses.ENTRIES,
    *gradients.ENTRIES,
    *layers.ENTRIES,
    *data.ENTRIES,
    *representations.ENTRIES,
    *machine.ENTRIES,
)
FACTS = facts.ENTRIES

LOSS_WORDS = LOSS | ERROR | {"err", "error", "errors"}
VALIDATION_PREFIXES = ("val_", "valid_", "validation_", "test_", "eval_", "dev_")
_RISES = re.compile(  # a word of a metric that is meant to rise
    r"(bal)?acc(uracy|uracies)?\d*|top\d+|psnr|(ms)?ssim|m?ap\d*|map\d*|au(c|roc|prc)|f\d(score)?"
    r"|[mgdc]?iou|jaccard|dice|precision|recall|r2|bleu\d*|rouge\w*|[csi]*snr|cider|ndcg\d*|hits\d*"
    r"|mrr|kappa|mcc|rewards?|returns?"
)


def meaning_of(name: str) -> Entry | None:
    """The glossary entry of a series or fact, if its name is known."""
    return next((e for e in (*SERIES, *FACTS) if fnmatchcase(name, e.pattern)), None)


def metric_name(key: str) -> str:
    """The series a logged metric belongs to.

    >>> metric_name("val_loss"), metric_name("psnr"), metric_name("metric/val/psnr")
    ('metric/val/loss', 'metric/train/psnr', 'metric/val/psnr')
    """
    if key == "epoch" or key.startswith(("metric/", "loss_scale/")):
        return key
    for prefix in VALIDATION_PREFIXES:
        if key.startswith(prefix) and len(key) > len(prefix):
            return f"metric/val/{key.removeprefix(prefix).replace('/', '.')}"
    return f"metric/train/{key.replace('/', '.')}"


def higher_is_better(metric: str) -> bool:
    """Whether a metric's last name part is one of the usual ones that rise when all goes well.

    >>> higher_is_better("metric/val/mAP50(B)"), higher_is_better("metric/val/dice_loss")
    (True, False)
    """
    words = words_of(metric.rsplit("/", 1)[-1])
    return not LOSS_WORDS & set(words) and any(_RISES.fullmatch(word) for word in words)
