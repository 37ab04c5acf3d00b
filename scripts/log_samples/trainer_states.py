"""Samples of the Transformers Trainer, into tests/logs/trainer-state and tests/logs/text-log.

    python scripts/log_samples/trainer_states.py

Needs transformers, accelerate and torch. `output` is an output directory with two checkpoints,
without its weights; `transformers.log` is what the Trainer printed.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

LOGS = Path(__file__).resolve().parents[2] / "tests" / "logs"


def trained(folder: str) -> None:
    import torch
    from transformers import Trainer, TrainingArguments, set_seed

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = torch.nn.Linear(8, 2)

        def forward(self, x, labels):
            logits = self.net(x)
            return {"loss": torch.nn.functional.cross_entropy(logits, labels), "logits": logits}

    set_seed(0)
    x = torch.randn(320, 8)
    rows = [{"x": row, "labels": int(row.sum() > 0)} for row in x]
    arguments = TrainingArguments(
        folder,
        num_train_epochs=3,
        per_device_train_batch_size=8,
        learning_rate=0.05,
        logging_steps=5,
        eval_strategy="steps",
        eval_steps=20,
        save_steps=50,
        report_to=[],
        use_cpu=True,
        remove_unused_columns=False,
    )
    trainer = Trainer(
        Net(),
        arguments,
        train_dataset=rows[:256],
        eval_dataset=rows[256:],
        compute_metrics=lambda it: {"accuracy": float((it[0].argmax(1) == it[1]).mean())},
    )
    trainer.train()


def main() -> None:
    if len(sys.argv) > 1:
        return trained(sys.argv[1])
    out = LOGS / "trainer-state" / "output"
    shutil.rmtree(out.parent, ignore_errors=True)
    with tempfile.TemporaryDirectory() as folder:
        printed = subprocess.run(
            [sys.executable, __file__, folder],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=True,
            env={**os.environ, "HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"},
        ).stdout
        for state in sorted(Path(folder).glob("checkpoint-*/trainer_state.json")):
            target = out / state.parent.name / state.name
            target.parent.mkdir(parents=True)
            target.write_text(
                re.sub(r'"[^"\n]*/[^"\n]*checkpoint[^"\n]*"', "null", state.read_text())
            )
    (LOGS / "text-log").mkdir(exist_ok=True)
    (LOGS / "text-log" / "transformers.log").write_bytes(printed)
    return None


if __name__ == "__main__":
    main()
