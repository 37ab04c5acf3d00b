"""MLflow: series as metrics, findings as tags and as an artifact, in the user's run or a new one.

with mlflow.start_run(), unstuck.watch(model) as run, unstuck_mlflow.mirror(run): ...
unstuck_mlflow.write(unstuck.load("runs/train-1"), tracking_uri="sqlite:///mlflow.db")
"""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager

import mlflow  # type: ignore[import-not-found, unused-ignore]
from mlflow import MlflowClient
from mlflow.entities import Metric  # type: ignore[import-not-found, unused-ignore]

from unstuck.integrations import findings
from unstuck.integrations.sink import PREFIX, Mirror, Reading, Watched, put
from unstuck.records import Diagnosis, Run

EXPERIMENT = "unstuck"  # where a run is made that nobody has named one for
BATCH = 1000  # metrics in one call: the most MLflow takes
LONGEST_NAME, LONGEST_TAG = 250, 500
ARTIFACT = "unstuck/findings.md"


class MLflow:
    """Writes into a run, by default the active one; where there is none, into a new one."""

    def __init__(
        self,
        run_id: str | None = None,
        tracking_uri: str | None = None,
        name: str = "",
        artifacts: str | None = None,
    ) -> None:
        self._client = MlflowClient(tracking_uri)
        active = mlflow.active_run() if tracking_uri is None else None
        self._mine = run_id is None and active is None
        if run_id is not None:
            self.run_id = run_id
        elif active is not None:
            self.run_id = active.info.run_id
        else:
            self.run_id = self._new(name, artifacts)
        self._names: dict[str, str] = {}
        self._tags: set[str] = set()

    def readings(self, readings: list[Reading]) -> None:
        now = time.time()
        metrics = [
            Metric(self._name(name), value, int((now if wall is None else wall) * 1000), step)
            for name, step, value, wall in readings
        ]
        for i in range(0, len(metrics), BATCH):
            self._client.log_batch(self.run_id, metrics=metrics[i : i + BATCH])

    def findings(self, diagnosis: Diagnosis) -> None:
        told = {PREFIX + key: text[:LONGEST_TAG] for key, text in findings.tags(diagnosis).items()}
        for gone in self._tags - told.keys():
            self._client.delete_tag(self.run_id, gone)
        for key, text in told.items():
            self._client.set_tag(self.run_id, key, text)
        self._tags = set(told)
        self._client.log_text(self.run_id, findings.markdown(diagnosis), ARTIFACT)

    def close(self) -> None:
        if self._mine:
            self._client.set_terminated(self.run_id)

    def _new(self, name: str, artifacts: str | None) -> str:
        known = self._client.get_experiment_by_name(EXPERIMENT)
        experiment = (
            known.experiment_id
            if known
            else self._client.create_experiment(EXPERIMENT, artifact_location=artifacts)
        )
        return str(self._client.create_run(experiment, run_name=name or None).info.run_id)

    def _name(self, name: str) -> str:
        """A name MLflow takes: letters, digits and `_ - . / : space`; two never become one."""
        if name not in self._names:
            safe = re.sub(r"[^\w\-./: ]", "_", PREFIX + name, flags=re.ASCII)[:LONGEST_NAME]
            taken, unique, count = set(self._names.values()), safe, 1
            while unique in taken:
                count += 1
                unique = f"{safe[: LONGEST_NAME - 10]}.{count}"
            self._names[name] = unique
        return self._names[name]


def write(
    what: Run | Diagnosis,
    run_id: str | None = None,
    *,
    tracking_uri: str | None = None,
    artifacts: str | None = None,
) -> str:
    """Write a run and what is found in it; the id of the MLflow run it was written into.

    `artifacts` says where those of a new experiment are kept, where MLflow's default is not meant.
    """
    run = what.run if isinstance(what, Diagnosis) else what
    sink = MLflow(run_id, tracking_uri, run.name, artifacts)
    put(what, sink)
    return sink.run_id


@contextmanager
def mirror(
    run: Watched,
    run_id: str | None = None,
    *,
    tracking_uri: str | None = None,
    every: float = 30.0,
) -> Iterator[Mirror]:
    """Write a run while it is recorded, every so many seconds, and its findings."""
    with Mirror(run, MLflow(run_id, tracking_uri, run.path.name), every) as mirroring:
        yield mirroring
