"""The command that writes a run into a dashboard: TensorBoard, MLflow, Weights & Biases."""

import re
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from unstuck.diagnose import diagnose
from unstuck.load import load_all
from unstuck.records import Diagnosis
from unstuck.report.text import clean, counted

NEEDS = {"tensorboard": "torch tensorboard", "mlflow": "mlflow", "wandb": "wandb"}


@click.command(name="export")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--to", "kind", type=click.Choice(list(NEEDS)), required=True, help="Which one.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder (default: tensorboard/, wandb/, for mlflow what MLFLOW_TRACKING_URI says).",
)
def export_command(path: Path, kind: str, out: Path | None) -> None:
    """Write the runs at PATH, every series and what is found in them, into a dashboard.

    Nothing there is overwritten: each run becomes a run more.
    """
    runs = load_all(path)
    writer = _writer(kind)
    for run in runs:
        diagnosis = diagnose(run)
        where = writer(diagnosis, out)
        told = counted(len(diagnosis.findings), "finding")
        series = counted(len(run.series), "series", "series")
        click.echo(f"{clean(run.name)}: {series} and {told} written to {where}")


def _writer(kind: str) -> Callable[[Diagnosis, Path | None], str]:
    try:
        module = import_module(f"unstuck.integrations.{kind}")
    except ModuleNotFoundError as error:
        if str(error.name).startswith("unstuck"):
            raise
        raise click.ClickException(
            f"--to {kind} needs {error.name}, which is not installed: pip install {NEEDS[kind]}"
        ) from None
    writers: dict[str, Callable[[Any, Diagnosis, Path | None], str]] = {
        "tensorboard": _to_tensorboard,
        "mlflow": _to_mlflow,
        "wandb": _to_wandb,
    }
    return lambda diagnosis, out: writers[kind](module, diagnosis, out)


def _to_tensorboard(module: Any, diagnosis: Diagnosis, out: Path | None) -> str:
    folder = (out or Path("tensorboard")) / _file_name(diagnosis.run.name)
    if folder.exists() and any(folder.iterdir()):
        raise click.ClickException(f"{folder} holds something already; give another --out")
    module.write(diagnosis, folder)
    return str(folder)


def _to_mlflow(module: Any, diagnosis: Diagnosis, out: Path | None) -> str:
    if out is None:
        return f"run {module.write(diagnosis)}"
    folder = out.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    made = module.write(
        diagnosis,
        tracking_uri=f"sqlite:///{folder / 'mlflow.db'}",
        artifacts=(folder / "artifacts").as_uri(),
    )
    return f"{out / 'mlflow.db'}, run {made}"


def _to_wandb(module: Any, diagnosis: Diagnosis, out: Path | None) -> str:
    folder = out or Path()
    folder.mkdir(parents=True, exist_ok=True)
    return str(Path(module.write(diagnosis, folder=folder).dir).parent)


def _file_name(name: str) -> str:
    """A run's name as one folder's name: what a log says is not to lead elsewhere."""
    return re.sub(r"[^\w.-]+", "_", name).strip("._")[:100] or "run"
