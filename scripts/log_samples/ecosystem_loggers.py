"""The tools that only log, whose captures ecosystem.py takes: one small function each."""

from ecosystem_programs import kept, on_terminal

LOGGERS = ["timm", "sacred", "dvclive", "loguru", "rich_progress", "tqdm_nested"]


@kept("summary.csv")
def timm():
    from regression import training
    from timm.utils import update_summary

    for epoch, r in enumerate(training(30)):
        update_summary(epoch, {"loss": r.loss}, {"loss": r.val_loss, "top1": 100 * r.accuracy,
                       "top5": 100.0}, "summary.csv", lr=r.lr, write_header=epoch == 0)  # fmt: skip


@kept("runs/1/metrics.json")
def sacred():
    from regression import training
    from sacred import Experiment
    from sacred.observers import FileStorageObserver

    experiment = Experiment("logistic", save_git_info=False)
    experiment.observers.append(FileStorageObserver("runs"))

    @experiment.main
    def train(_run):
        for r in training(60):
            if r.step % 2 == 0:
                _run.log_scalar("training.loss", r.loss, r.step)
            if r.step % 10 == 0:
                _run.log_scalar("validation.loss", r.val_loss, r.step)

    experiment.run(options={"--loglevel": "ERROR"})


@kept("dvclive/plots/metrics/train/loss.tsv")
def dvclive():
    from dvclive import Live
    from regression import training

    with Live(save_dvc_exp=False, report=None) as live:
        for r in training(60):
            live.log_metric("train/loss", r.loss)
            live.log_metric("val/loss", r.val_loss)
            live.next_step()


def loguru():
    from loguru import logger
    from regression import training

    for r in training(200):
        if r.step % 10 == 0:
            logger.info(f"Step {r.step}/200 | loss={r.loss:.4f} | lr={r.lr:.2e}")
        if r.step % 50 == 49:
            logger.success(f"Step {r.step}/200 | val_loss={r.val_loss:.4f} acc={r.accuracy:.2%}")


@on_terminal
def rich_progress():
    from regression import training
    from rich.progress import Progress

    with Progress(auto_refresh=False) as bars:
        task = bars.add_task("loss", total=120)
        for r in training(120):
            note = f"step {r.step} loss {r.loss:.3f} acc {r.accuracy:.3f}"
            bars.update(task, advance=1, description=note, refresh=r.step % 6 == 0)


@on_terminal
def tqdm_nested():
    from regression import training
    from tqdm import trange

    readings = training(200)
    for epoch in trange(5, desc="epochs", mininterval=0):
        bar = trange(40, desc=f"epoch {epoch}", leave=False, mininterval=0, miniters=8)
        for _ in bar:
            r = next(readings)
            bar.set_postfix(loss=f"{r.loss:.3f}", acc=f"{r.accuracy:.2f}", refresh=False)
