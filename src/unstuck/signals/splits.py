"""The same metric on the training split and on the validation split."""

from unstuck.records import Run, Series
from unstuck.signals.spans import finite

TRAINING = ("train_", "training_", "tr_")  # how a metric of the training split may begin


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
