"""Bring the run of an experiment in the MLflow store up to what the experiment's files hold."""

from __future__ import annotations

import hashlib
import json
import time
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

from transfer_learning import revisions
from transfer_learning.contents import MODEL, Contents, Point
from transfer_learning.parts import SPLIT, split_rows
from transfer_learning.store import VIEW_TAG, Store, is_local, one_at_a_time, uri
from transfer_learning.workspace import main_workspace

BATCH = 1000  # points of one log_batch, the bound of MLflow
COLUMNS = [  # of the UI's list of runs
    "attributes.`Duration`",
    "metrics.`val/accuracy`",
    "metrics.`val/loss`",
    "metrics.`test/accuracy`",
    "params.`finetune.fine_tune_at`",
    "params.`finetune.learning_rate`",
]


class Recorder(Store):
    """A store to record into; calls can be repeated, they add what is missing."""

    def __init__(self) -> None:
        super().__init__()
        self._known: dict[str, set[Point]] = {}  # points that a run, by id, has

    def sync(self, contents: Contents, *, status: str, live_tags: dict[str, str], replace_files: bool) -> list[str]:
        """Bring the run of an experiment up to its contents; what is there already is left alone.

        Args:
            status: of the run from now on.
            live_tags: facts of this process, for a run that it writes itself.
            replace_files: log figures and predictions again even where the run has some.

        Returns:
            What was added, in words; empty when the run had everything.
        """
        from mlflow.entities import Metric, Param, RunTag

        run, added = self._run(contents)
        run_id, now = run.info.run_id, int(time.time() * 1000)
        params = [Param(*pair) for pair in contents.params.items() if pair[0] not in run.data.params]
        wanted = contents.tags | live_tags
        mine = run.data.tags.get("dvc_experiment") == contents.name  # else the frozen phase of another experiment
        tags = [RunTag(*pair) for pair in wanted.items() if mine and run.data.tags.get(pair[0]) != pair[1]]
        if params or tags:
            self.client.log_batch(run_id, params=params, tags=tags)
        missing = [point for point in contents.points if point not in self._known[run_id]]
        for start in range(0, len(missing), BATCH):
            chunk = missing[start : start + BATCH]
            self.client.log_batch(run_id, metrics=[Metric(name, value, now, step) for name, value, step in chunk])
            self._known[run_id].update(chunk)
        if missing:
            added.append(f"{len({point[2] for point in missing})} epochs")
        datasets = self._datasets(run, contents)
        if contents.whole:
            added += self._files(run_id, contents, replace=replace_files)
            if contents.stage == "finetune":
                model_id = self._model(run, contents, added)
                results = [(name, value) for name, value in contents.test.items() if name not in run.data.metrics]
                about = {"model_id": model_id} | dict(zip(("dataset_name", "dataset_digest"), datasets, strict=False))
                self.client.log_batch(run_id, metrics=[Metric(name, value, now, 0, **about) for name, value in results])
                if results:
                    added.append("test results")
        if status == "RUNNING":
            if run.info.status != status:
                self.client.update_run(run_id, status)
        elif self.client.get_run(run_id).info.status != status:
            self.client.set_terminated(run_id, status)
        return added

    def find(self, contents: Contents) -> Any:
        """The run of these contents; None where the store has none."""
        experiment = self.experiment(contents.experiment)
        return self._found(experiment, contents) if experiment else None

    def log_report(self, contents: Contents, html: str) -> bool:
        """Log a report as report/report.html of the run of these contents; False where the store has no such run."""
        run = self.find(contents)
        if run is not None:
            self.client.log_text(run.info.run_id, html, "report/report.html")
        return run is not None

    def register(self, registry: str, run_id: str, model_id: str, tags: dict[str, str]) -> str:
        """Make a logged model a version in the registry, or find the one that it has; returns the version."""
        from mlflow.exceptions import MlflowException

        try:
            self.client.create_registered_model(registry)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        for there in self.client.search_model_versions(f"name = '{registry}' and run_id = '{run_id}'"):
            for tag in tags.items():
                self.client.set_model_version_tag(registry, there.version, *tag)
            return str(there.version)
        made = self.client.create_model_version(registry, f"models:/{model_id}", run_id, tags, model_id=model_id)
        return str(made.version)

    def _run(self, contents: Contents) -> tuple[Any, list[str]]:
        """Find the run of these contents, or make one."""
        with one_at_a_time():
            experiment = self.experiment(contents.experiment)
            if experiment is None:
                folder = main_workspace() / "mlartifacts" / contents.experiment
                beside = folder.as_uri() if is_local() else None
                experiment = self.client.create_experiment(
                    contents.experiment,
                    artifact_location=beside,
                    tags={VIEW_TAG: json.dumps({"selectedColumns": COLUMNS})},
                )
            found = self._found(experiment, contents)
            if found is not None:
                return found, []
            display = contents.name if contents.stage == "finetune" else f"{contents.name} {contents.stage}"
            made = self.client.create_run(experiment, tags=contents.tags, run_name=display)
            self._known[made.info.run_id] = set()
            return made, ["run"]

    def _found(self, experiment: str, contents: Contents) -> Any:
        """The run of these contents: of the same name and settings, and with no other number."""
        tags = {"stage": contents.stage, "dvc_experiment": contents.name}
        if contents.name != revisions.WORKSPACE:
            tags["dvc_baseline"] = contents.baseline
        for run in self.runs(experiment, **tags):
            shared = contents.params.keys() & run.data.params.keys()
            if all(contents.params[key] == run.data.params[key] for key in shared) and self._agrees(run, contents):
                return run
        head = contents.tags.get("frozen_weights_md5")
        if contents.stage == "train_frozen" and head:  # one frozen phase serves every experiment that starts from it
            for run in self.runs(experiment, stage=contents.stage, frozen_weights_md5=head):
                if contents.whole and self._agrees(run, contents):
                    return run
        return None

    def _agrees(self, run: Any, contents: Contents) -> bool:
        """Whether no number of the run differs from that of the contents."""
        run_id = run.info.run_id
        if run_id not in self._known:
            self._known[run_id] = {
                (point.key, point.value, point.step)
                for name in run.data.metrics
                if not name.startswith(("test/", "val/"))
                for point in self.client.get_metric_history(run_id, name)
            }
        there = {(name, step): value for name, value, step in self._known[run_id]}
        same = all(there.get((name, step), value) == value for name, value, step in contents.points)
        return same and all(run.data.metrics.get(name, value) == value for name, value in contents.test.items())

    def _datasets(self, run: Any, contents: Contents) -> list[str]:
        """Log the three parts of the photos as datasets; name and digest of the test part, if known."""
        import mlflow.data
        import pandas as pd
        from mlflow.entities import DatasetInput, InputTag

        if not (contents.folder / SPLIT).exists():
            return []
        there = {tag.value for one in run.inputs.dataset_inputs for tag in one.tags} if run.inputs else set()
        table = pd.DataFrame(split_rows(contents.folder / SPLIT))
        named = (contents.params.get(f"data.{key}") for key in ("url", "archive", "path"))
        source = next(filter(None, named), "drawn by the program")
        test: list[str] = []
        for part, rows in table.groupby("part"):
            digest = contents.tags.get("data_md5", "")[:8] + _digest(rows.to_csv(index=False))
            if str(part) not in there:
                data = mlflow.data.from_pandas(rows, name=contents.experiment, source=_source(source), digest=digest)
                tags = [InputTag("mlflow.data.context", str(part))]
                self.client.log_inputs(run.info.run_id, [DatasetInput(data._to_mlflow_entity(), tags)])
            if part == "test":
                test = [contents.experiment, digest]
        return test

    def _files(self, run_id: str, contents: Contents, *, replace: bool) -> list[str]:
        folders = set(contents.files.values())
        there = {file.path for folder in folders for file in self.client.list_artifacts(run_id, folder)}
        missing = [
            (path, to) for path, to in contents.files.items() if replace or f"{to}/{Path(path).name}" not in there
        ]
        for path, to in missing:
            self.client.log_artifact(run_id, str(contents.folder / path), to)
        return [f"{len(missing)} files"] if missing else []

    def _model(self, run: Any, contents: Contents, added: list[str]) -> str | None:
        model = self.model_of(run.info.experiment_id, run.info.run_id)
        if model is None and (contents.folder / MODEL).exists():
            log_model(run.info.run_id, contents.folder)
            model = self.model_of(run.info.experiment_id, run.info.run_id)
            added.append("model")
        return model.model_id if model else None


def log_model(run_id: str, folder: Path) -> None:
    """Log models/model.keras of a folder as a model that can be served, with its signature and the code it needs."""
    import mlflow
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema
    from mlflow.types.schema import AnyType

    signature = ModelSignature(
        inputs=Schema([ColSpec(AnyType(), "photo")]),
        outputs=Schema([ColSpec("string", "class"), ColSpec("double", "probability")]),
    )
    ours = folder / "src" / "transfer_learning"
    if not (ours / "served.py").exists():  # a revision from before models were served
        ours = Path(__file__).parent
    mlflow.set_tracking_uri(uri())
    warnings.filterwarnings("ignore", message=".*An input example was not provided")
    needed = ("tensorflow", "keras", "pillow", "numpy", "pandas", "omegaconf", "psutil", "mlflow")
    with mlflow.start_run(run_id=run_id):
        mlflow.pyfunc.log_model(
            name="model",
            python_model=str(ours / "served.py"),
            artifacts={"model": (folder / MODEL).resolve().as_uri()},
            code_paths=[str(ours)],  # the whole package: a list of its modules breaks at every new import
            signature=signature,
            pip_requirements=[f"{package}=={version(package)}" for package in needed],
        )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _source(text: str) -> Any:
    from mlflow.data.code_dataset_source import CodeDatasetSource
    from mlflow.data.http_dataset_source import HTTPDatasetSource

    return HTTPDatasetSource(text) if text.startswith("http") else CodeDatasetSource({"source": text})
