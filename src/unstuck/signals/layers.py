"""The layers of models in the order the run recorded them, which is that of their registration."""

from unstuck.records import Run, Series
from unstuck.signals.names import where_of


def layers_of(run: Run, what: str, statistic: str = "") -> dict[str, dict[str, Series]]:
    """model -> layer -> series, for `<what>/.../<model>.<layer>[/<statistic>]`.

    `layer` keeps the model's name. A layer that several optimizers train is taken once.
    """
    found: dict[str, dict[str, Series]] = {}
    for name, series in run.series.items():
        parts = name.split("/")
        if parts[0] != what or len(parts) < 3 or (statistic and parts[-1] != statistic):
            continue
        layer = where_of(name) if statistic else parts[-1]
        model = layer.split(".", 1)[0]
        found.setdefault(model, {}).setdefault(layer, series)
    return found
