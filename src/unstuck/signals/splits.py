"""The same metric on the training split and on the validation split, and where it should go."""

import re

from unstuck.records import Run, Series
from unstuck.signals.spans import finite
from unstuck.vocabulary import higher_is_better

TRAINING = ("train_", "training_", "tr_")  # how a metric of the training split may begin

LOWER_IS_BETTER = re.compile(r"loss|err|mse|mae|nll|entropy|ppl|perplexity|wer|cer|l1|lpips|fid")


def direction(name: str) -> int:
    """1 for metrics that are meant to fall, -1 for those meant to rise, 0 where not known."""
    if higher_is_better(name):
        return -1
    return 1 if LOWER_IS_BETTER.search(name.rsplit("/", 1)[1].lower()) else 0


def both_splits(run: Run) -> list[tuple[Series, Series]]:
    """(training, validation) of every metric that has both; a logged loss is a training metric."""
    training: dict[str, Series] = {}
    for series in (*run.matching("loss/*"), *run.matching("metric/train/*")):
        name = series.name.split("/", 1)[1].removeprefix("train/")
        for beginning in TRAINING:
            name = name.removeprefix(beginning)
        training[name] = series
    found = ((training.get(s.name.split("/", 2)[2]), s) for s in run.matching("metric/val/*"))
    return [(train, val) for train, val in found if train is not None and len(finite(val))]
