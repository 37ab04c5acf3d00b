"""Lightning: `Trainer(callbacks=[WatchCallback()])` records `fit` with what the module logs.

The run begins where training does (after the sanity check, with the weights of a checkpoint) and
ends with it, on errors and interrupts too. Every process records itself.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

try:
    import lightning.pytorch as pl  # type: ignore[import-not-found, unused-ignore]
except ModuleNotFoundError as error:
    if error.name != "lightning":
        raise
    import pytorch_lightning as pl  # type: ignore[import-not-found, unused-ignore]
from torch import nn
from torch.optim import Optimizer

from unstuck.integrations.sink import Sink
from unstuck.integrations.training import Training


class WatchCallback(pl.Callback):  # type: ignore[misc, unused-ignore]
    """Watches `fit` as `unstuck.watch` does, and takes over the metrics that were logged.

    `out` and `name` are those of `unstuck.watch`; `sink` is a dashboard that is told, too.
    """

    def __init__(
        self,
        out: str | Path | None = None,
        name: str = "",
        *,
        sink: Sink | None = None,
        **options: Any,
    ) -> None:
        self._training = Training(out=out, name=name, sink=sink, **options)
        self._before: dict[str, Any] = {}
        self._validates: set[str] = set()

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        self._training.begin(
            {type(pl_module).__name__: pl_module},
            names_of(pl_module, trainer.optimizers),
            dict(getattr(pl_module, "hparams", {})),
            trainer.global_step,
        )

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        self._training.metrics({"epoch": trainer.current_epoch})

    def on_validation_start(self, trainer: Any, pl_module: Any) -> None:
        self._before = dict(trainer.callback_metrics)

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        new = {k: v for k, v in trainer.callback_metrics.items() if self._before.get(k) is not v}
        if not trainer.sanity_checking:
            self._validates |= new.keys()
            self._training.metrics(whole_passes(new), "val")
        self._before = {}

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        own = {k: v for k, v in trainer.callback_metrics.items() if k not in self._validates}
        self._training.metrics(whole_passes(own), "train")

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        self._training.end()

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        self._training.end(exception)


def whole_passes(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Metrics of whole epochs; what was logged of the last step alone is left out."""
    found = {}
    for key, value in metrics.items():
        if key.endswith("_step") and f"{key.removesuffix('_step')}_epoch" in metrics:
            continue
        if key.endswith("_epoch") and key.removesuffix("_epoch") in metrics:
            continue
        found[key] = value
    return found


def names_of(module: nn.Module, optimizers: list[Any]) -> dict[str, Optimizer]:
    """Optimizers by the part of the module they train: `generator`; a single one: `optimizer`."""
    if len(optimizers) == 1:
        return {"optimizer": optimizers[0]}
    names = {id(p): name for name, p in module.named_parameters()}
    found: dict[str, Optimizer] = {}
    for i, optimizer in enumerate(optimizers):
        held = {names.get(id(p), "") for g in optimizer.param_groups for p in g["params"]}
        parts = {name.partition(".")[0] for name in held}
        name = parts.pop() if len(parts) == 1 and "" not in parts else f"optimizer.{i}"
        found[name if name not in found else f"{name}.{i}"] = optimizer
    return found
