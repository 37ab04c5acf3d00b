"""Transformers: `Trainer(..., callbacks=[WatchCallback()])` records `train` with its evaluations.

The run ends with training. A `Trainer` tells nobody of an error in it: then the run ends with the
process, or where training begins once more. Every process records itself.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn
from torch.optim import Optimizer
from transformers import TrainerCallback  # type: ignore[import-not-found, unused-ignore]

from unstuck.integrations.sink import Sink
from unstuck.integrations.training import Training
from unstuck.watcher.trainer_logs import SUMMARY

ASKED = (  # of the arguments, what a diagnosis or a treatment can make use of
    *("learning_rate", "per_device_train_batch_size", "gradient_accumulation_steps"),
    *("weight_decay", "max_grad_norm", "warmup_steps", "warmup_ratio", "num_train_epochs"),
    *("max_steps", "adam_beta1", "adam_beta2", "adam_epsilon", "fp16", "bf16", "seed"),
    *("gradient_checkpointing", "label_smoothing_factor", "torch_compile"),
)


class WatchCallback(TrainerCallback):  # type: ignore[misc, unused-ignore]
    """Watches `train` as `unstuck.watch` does, and takes over the metrics that were logged.

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

    def on_train_begin(
        self,
        args: Any,
        state: Any,
        control: Any,
        model: nn.Module | None = None,
        optimizer: Optimizer | None = None,
        **told: Any,
    ) -> None:
        recipe = {name: getattr(args, name) for name in ASKED if hasattr(args, name)}
        recipe |= {"lr_scheduler_type": str(getattr(args.lr_scheduler_type, "value", ""))}
        recipe |= {"optim": str(getattr(args.optim, "value", args.optim))}
        own = innermost(optimizer)
        self._training.begin(
            {} if model is None else {"model": model},
            {} if own is None else {"optimizer": own},
            recipe,
            state.global_step,
        )

    def on_log(
        self,
        args: Any,
        state: Any,
        control: Any,
        logs: Mapping[str, Any] | None = None,
        **told: Any,
    ) -> None:
        if logs and SUMMARY not in logs:
            self._training.metrics(logs)

    def on_train_end(self, args: Any, state: Any, control: Any, **told: Any) -> None:
        self._training.end()


def innermost(optimizer: Optimizer | None) -> Optimizer | None:
    """The optimizer that Accelerate has wrapped, whose steps can be heard of."""
    while isinstance(inner := getattr(optimizer, "optimizer", None), Optimizer):
        optimizer = inner
    return optimizer if isinstance(optimizer, Optimizer) else None
