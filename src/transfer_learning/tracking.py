"""MLflow: one run is one experiment, in one store at the main workspace, however DVC runs the stage.

A stage finds another stage's run by a tag with the md5 of the weights file that both know, the md5 of dvc.lock. The
store is a record, not the truth: when it cannot be reached, training goes on and says so once.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from transfer_learning.settings import flat
from transfer_learning.stage import main_workspace

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
STAGE_TAG = "stage"
CURVES = {"loss": "train/loss", "accuracy": "train/accuracy"}
VALIDATION_CURVES = {"val_loss": "validation/loss", "val_accuracy": "validation/accuracy"}


def md5(path: Path) -> str:
    """md5 of a file's content, as dvc.lock has it."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def store_uri() -> str:
    """MLFLOW_TRACKING_URI if set, else an SQLite file at the root of the main workspace."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{main_workspace() / 'mlflow.db'}"


class Record:
    """A run that is being written; every call that fails is reported once, then the run is left alone."""

    def __init__(self, client: Any, run_id: str | None) -> None:
        self.client = client
        self.run_id = run_id

    def send(self, call: Callable[[Any, str], Any]) -> None:
        """Do `call(client, run_id)` unless the store has failed before."""
        if self.run_id is None:
            return
        try:
            call(self.client, self.run_id)
        except Exception as error:  # whatever the store's driver raises: no record is worth a training
            _say_once(error)
            self.run_id = None

    def epoch(self, row: dict[str, float]) -> None:
        """Log a row of the history at the step of its epoch."""
        self._points([row], fine_tuning=False)

    def fine_tuning_epoch(self, row: dict[str, float]) -> None:
        """Log a row of the fine-tuning history at the step of its epoch."""
        self._points([row], fine_tuning=True)

    def replay(self, rows: list[dict[str, float]]) -> None:
        """Log the epochs of the frozen phase, so that the run has the whole curve, and mark where it ends."""
        self._points(rows, fine_tuning=False)
        start = int(rows[-1]["epoch"]) + 1
        self.send(lambda client, run: client.log_param(run, "fine_tuning_starts_at_epoch", start))

    def _points(self, rows: list[dict[str, float]], *, fine_tuning: bool) -> None:
        from mlflow.entities import Metric
        from mlflow.utils.time import get_current_time_millis

        now = get_current_time_millis()
        points = [
            Metric(name, float(row[column]), now, int(row["epoch"]))
            for row in rows
            for column, name in (CURVES | VALIDATION_CURVES).items()
        ]
        points += [Metric("phase/fine_tuning", float(fine_tuning), now, int(row["epoch"])) for row in rows]
        self.send(lambda client, run: client.log_batch(run, metrics=points))

    def metrics(self, values: dict[str, float], prefix: str) -> None:
        """Log single numbers as `prefix/name`."""
        from mlflow.entities import Metric
        from mlflow.utils.time import get_current_time_millis

        points = [Metric(f"{prefix}/{name}", value, get_current_time_millis(), 0) for name, value in values.items()]
        self.send(lambda client, run: client.log_batch(run, metrics=points))

    def tags(self, **tags: str) -> None:
        """Set tags of the run."""
        from mlflow.entities import RunTag

        self.send(lambda client, run: client.log_batch(run, tags=[RunTag(*tag) for tag in tags.items()]))

    def tag(self, name: str) -> str:
        """Read a tag of the run; empty where there is no run or no such tag."""
        found: list[str] = []
        self.send(lambda client, run: found.append(client.get_run(run).data.tags.get(name, "")))
        return found[0] if found else ""

    def file(self, path: Path, folder: str) -> None:
        """Log a file as an artifact in `folder` of the run."""
        self.send(lambda client, run: client.log_artifact(run, str(path), folder))


@contextmanager
def run(stage: str) -> Iterator[Record]:
    """Open a run of its own for a training stage, with all settings as params; close it whatever happens."""
    record = _start(stage)
    status = "FAILED"
    try:
        yield record
        status = "FINISHED"
    except KeyboardInterrupt:
        status = "KILLED"
        raise
    finally:
        record.send(lambda client, run_id: client.set_terminated(run_id, status))


def find(stage: str, **tags: str) -> Record:
    """Find the latest run of `stage` that has these tags, to add to it; where there is none, nothing is logged."""
    try:
        client, experiment_id = _client()
        wanted = " and ".join(f"tags.{name} = '{value}'" for name, value in {STAGE_TAG: stage, **tags}.items())
        found = client.search_runs([experiment_id], wanted, max_results=1, order_by=["attributes.start_time DESC"])
    except Exception as error:  # as in Record.send
        _say_once(error)
        return Record(None, None)
    if not found:
        print(f"no MLflow run of {stage} has made these weights: its test results are only in reports/")
        return Record(client, None)
    return Record(client, found[0].info.run_id)


def log_model(record: Record, model: Any, *, size: int, classes: list[str]) -> None:
    """Log the whole model with its signature: (n, size, size, 3) float32 in [0, 255] to (n, 1) float32."""
    import keras
    import mlflow
    import numpy as np
    import tensorflow as tf
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    signature = ModelSignature(
        inputs=Schema([TensorSpec(np.dtype(np.float32), (-1, size, size, 3), "photos")]),
        outputs=Schema([TensorSpec(np.dtype(np.float32), (-1, 1))]),
    )

    def log(client: Any, run_id: str) -> None:
        mlflow.set_tracking_uri(store_uri())
        finished = client.get_run(run_id).info.status
        with mlflow.start_run(run_id=run_id):
            mlflow.keras.log_model(
                model,
                name="model",
                signature=signature,
                pip_requirements=[f"tensorflow=={tf.__version__}", f"keras=={keras.__version__}"],
                metadata={"classes": classes},
            )
        client.set_terminated(run_id, finished)

    record.send(log)


def _start(stage: str) -> Record:
    name = os.environ.get("DVC_EXP_NAME") or "workspace"
    try:
        client, experiment_id = _client()
        tags = {STAGE_TAG: stage, "dvc_experiment": name, "mlflow.source.git.commit": _commit()}
        display = name if stage == "finetune" else f"{name} {stage}"
        run_id = client.create_run(experiment_id, tags=tags, run_name=display).info.run_id
        record = Record(client, run_id)
    except Exception as error:  # as in Record.send
        _say_once(error)
        return Record(None, None)
    from mlflow.entities import Param

    record.send(lambda c, r: c.log_batch(r, params=[Param(key, str(value)) for key, value in flat().items()]))
    return record


def _client() -> tuple[Any, str]:
    """Open the store; made by one process at a time, as parallel first uses of an SQLite store fail."""
    from filelock import FileLock

    root = main_workspace()
    with FileLock(root / ".dvc" / "tmp" / "mlflow.lock", timeout=120):
        from mlflow import MlflowClient

        client = MlflowClient(store_uri())
        name = str(flat()["data.name"])
        experiment = client.get_experiment_by_name(name)
        if experiment is not None:
            return client, experiment.experiment_id
        beside = None if os.environ.get("MLFLOW_TRACKING_URI") else (root / "mlartifacts" / name).as_uri()
        return client, client.create_experiment(name, artifact_location=beside)


def _commit() -> str:
    found = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return found.stdout.strip() or "none"


def _say_once(error: Exception) -> None:
    line = " ".join(str(error).split())[:300]
    print(f"warning: MLflow store {store_uri()} failed, this run is not recorded further: {line}", file=sys.stderr)
