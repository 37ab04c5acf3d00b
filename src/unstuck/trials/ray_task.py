"""One run of a trial on a node of a Ray cluster: what is sent there and what comes back.

Both are JSON text; the files of the run come back as a ZIP archive (see `artefacts`). The training
is a process of its own, as it is on one machine; it ends when its Ray worker does.
"""

import json
import os
import platform
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from unstuck.records import Outcome
from unstuck.trials.artefacts import packed
from unstuck.trials.executor import Job
from unstuck.trials.plan import PlanError
from unstuck.trials.process import outcome, start, stop
from unstuck.trials.subject import Subject

POLL = 0.05  # seconds between looks at the training


def request(job: Job, subject: Subject, metric: str, threads: int, shipped: Path | None) -> str:
    """What a node is asked to do; `shipped`: the folder that Ray takes there, if any."""
    return json.dumps(
        {
            "version": version("unstuck"),
            "arm": job.arm,
            "recipe": dict(job.recipe),
            "seed": job.seed,
            "subject": asdict(subject),
            "metric": metric,
            "threads": threads,
            "folder": str(Path.cwd()),
            "shipped": "" if shipped is None else str(shipped),
        }
    )


def carry_out(text: str) -> tuple[str, bytes]:
    """Do the run a request describes; on a node. What came of it, and its files.

    Being interrupted (a cancelled task) ends the training first.
    """
    asked = _moved(json.loads(text), Path.cwd())
    try:
        _check(asked)
        with _at_home(asked), tempfile.TemporaryDirectory(prefix="unstuck-run-") as place:
            return _carried_out(asked, Path(place) / "run")
    except PlanError as error:
        return json.dumps({"fatal": f"{error} (on node {platform.node()})"}), b""


def answered(text: str, folder: Path) -> Outcome:
    """The outcome in a node's answer. Raises PlanError where no run can give a result."""
    answer = json.loads(text)
    if "fatal" in answer:
        raise PlanError(str(answer["fatal"]).replace(answer.get("folder") or "\0", str(folder)))
    metrics = {str(name): float(value) for name, value in answer["metrics"].items()}
    codes = None if answer["codes"] is None else tuple(map(str, answer["codes"]))
    return Outcome(
        str(answer["arm"]),
        int(answer["seed"]),
        metrics,
        codes,
        float(answer["seconds"]),
        str(answer["error"]),
    )


def _carried_out(asked: Mapping[str, Any], folder: Path) -> tuple[str, bytes]:
    subject = Subject(**{**asked["subject"], "path": tuple(asked["subject"]["path"])})
    job = Job(asked["arm"], asked["recipe"], asked["seed"], folder)
    running = start(job, subject, asked["threads"])
    try:
        while running.process.poll() is None:
            time.sleep(POLL)
        try:
            answer = _answer(outcome(running, subject, asked["metric"]))
        except PlanError as error:
            answer = {"fatal": str(error), "folder": str(folder)}
    finally:
        stop([running])
    return json.dumps(answer), packed(folder)


def _answer(found: Outcome) -> dict[str, Any]:
    """JSON has no word for NaN and infinity: numbers travel as text."""
    return {**asdict(found), "metrics": {name: repr(v) for name, v in found.metrics.items()}}


def _check(asked: Mapping[str, Any]) -> None:
    here, there = version("unstuck"), asked["version"]
    if here != there:
        raise PlanError(f"the node has unstuck {here}, the trial was started with {there}")


@contextmanager
def _at_home(asked: Mapping[str, Any]) -> Iterator[None]:
    """In the folder the trial was started in: shared with the node, or shipped to it."""
    before = Path.cwd()
    home = Path(asked["folder"])
    if not home.is_dir():
        raise PlanError(f"there is no folder {home}: share it with the nodes, or ship the project")
    os.chdir(home)
    try:
        yield
    finally:
        os.chdir(before)


def _moved(asked: dict[str, Any], copy: Path) -> dict[str, Any]:
    """The request with the paths its files have here: a worker starts in the copy of a folder that
    was shipped.
    """
    shipped = asked["shipped"]

    def there(text: str) -> str:
        return text.replace(shipped, str(copy)) if shipped else text

    subject = dict(asked["subject"])
    subject |= {name: there(subject[name]) for name in ("train", "command")}
    subject["path"] = [there(path) for path in subject["path"]]
    return {**asked, "folder": there(asked["folder"]), "subject": subject}
