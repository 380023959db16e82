"""Bring the run of an experiment in the MLflow store up to what the experiment's files hold."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

from transfer_learning.core.errors import UserError
from transfer_learning.experiments import revisions
from transfer_learning.experiments.results import MODEL
from transfer_learning.tracking import address
from transfer_learning.tracking.contents import Contents, Point
from transfer_learning.tracking.datasets import log_datasets
from transfer_learning.tracking.logged_model import log_model
from transfer_learning.tracking.store import DATA_TAG, VIEW_TAG, Store, one_at_a_time

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

    def sync(
        self,
        contents: Contents,
        *,
        status: str,
        live_tags: dict[str, str],
        replace_files: bool,
        since: int | None = None,
    ) -> list[str]:
        """Bring the run of an experiment up to its contents; what is there already is left alone, and so is a run that
        somebody has deleted.

        Args:
            status: of the run from now on.
            live_tags: facts of this process, for a run that it writes itself.
            replace_files: log figures and predictions again even where the run has some.
            since: start of the stage that is running, in ms: it gets a run although one was deleted before that.

        Returns:
            What was added, in words; empty when the run had everything.

        Raises:
            UserError: the MLflow experiment was deleted; and what `faults` says.
        """
        run, added = self._run(contents, since)
        if run is None:
            return []
        run_id = run.info.run_id
        with one_at_a_time(run_id):
            if status != "RUNNING" and not added:  # another process may have written meanwhile
                self._known.pop(run_id, None)
                run = self.client.get_run(run_id)
            self._write(run, contents, live_tags, added, replace_files=replace_files)
            if status == "RUNNING":
                if run.info.status != status:
                    self.client.update_run(run_id, status)
            elif self.client.get_run(run_id).info.status != status:
                self.client.set_terminated(run_id, status)
        return added

    def _write(
        self, run: Any, contents: Contents, live_tags: dict[str, str], added: list[str], *, replace_files: bool
    ) -> None:
        """Write what a run lacks; its lock is held. Puts what that was, in words, into `added`."""
        from mlflow.entities import Metric, Param, RunTag

        run_id, now = run.info.run_id, int(time.time() * 1000)
        params = [Param(*pair) for pair in contents.params.items() if pair[0] not in run.data.params]
        wanted = contents.tags | live_tags
        mine = run.data.tags.get("dvc_experiment") == contents.name  # else the frozen phase of another experiment
        tags = [RunTag(*pair) for pair in wanted.items() if mine and run.data.tags.get(pair[0]) != pair[1]]
        if params or tags:
            self.client.log_batch(run_id, params=params, tags=tags)
        missing = [point for point in contents.points if point not in self._points(run)]
        for start in range(0, len(missing), BATCH):
            chunk = missing[start : start + BATCH]
            self.client.log_batch(run_id, metrics=[Metric(name, value, now, step) for name, value, step in chunk])
            self._known[run_id].update(chunk)
        if missing:
            added.append(f"{len({point[2] for point in missing})} epochs")
        datasets = log_datasets(self.client, run, contents)
        if contents.whole:
            added += self._files(run_id, contents, replace=replace_files)
            if contents.stage == "finetune":
                model_id = self._model(run, contents, added)
                results = [(name, value) for name, value in contents.test.items() if name not in run.data.metrics]
                about = {"model_id": model_id} | dict(zip(("dataset_name", "dataset_digest"), datasets, strict=False))
                self.client.log_batch(run_id, metrics=[Metric(name, value, now, 0, **about) for name, value in results])
                if results:
                    added.append("test results")

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
        if not self.registry(registry):
            self.client.create_registered_model(registry)
        of_run = self.client.search_model_versions(f"run_id = '{run_id}'")
        for there in (one for one in of_run if one.name == registry):
            for tag in tags.items():
                self.client.set_model_version_tag(registry, there.version, *tag)
            return str(there.version)
        made = self.client.create_model_version(registry, f"models:/{model_id}", run_id, tags, model_id=model_id)
        return str(made.version)

    def _run(self, contents: Contents, since: int | None) -> tuple[Any, list[str]]:
        """Find the run of these contents, or make one; None where it was deleted."""
        with one_at_a_time():
            experiment = self._active(contents.experiment)
            found = self._found(experiment, contents)
            if found is not None or self._found(experiment, contents, deleted=True, since=since) is not None:
                return found, []
            display = contents.name if contents.stage == "finetune" else f"{contents.name} {contents.stage}"
            made = self.client.create_run(experiment, tags=contents.tags, run_name=display)
            self._known[made.info.run_id] = set()
            return made, ["run"]

    def _active(self, name: str) -> str:
        """Id of the MLflow experiment of photos of this name, made if there is none; the lock is held."""
        found = self._experiment(name)
        if found is None:
            root = address.artifacts()
            return str(
                self.client.create_experiment(
                    name,
                    artifact_location=(root / _folder(name)).as_uri() if root else None,
                    tags={VIEW_TAG: json.dumps({"selectedColumns": COLUMNS}), DATA_TAG: name},
                )
            )
        experiment = str(found.experiment_id)
        if found.lifecycle_stage != "active":
            again = f"`mlflow experiments restore --experiment-id {experiment}` brings it back"
            raise UserError(f"MLflow store {address.shown()}: its experiment {found.name} was deleted: {again}")
        if DATA_TAG not in found.tags:  # of an earlier version of ours, or MLflow's own
            self.client.set_experiment_tag(experiment, DATA_TAG, name)
        return experiment

    def _found(self, experiment: str, contents: Contents, *, deleted: bool = False, since: int | None = None) -> Any:
        """The run of these contents: of the same name and settings, and with no other number.

        Args:
            deleted: of the runs that somebody has deleted, those that started after `since`, in ms.
        """
        tags = {"stage": contents.stage, "dvc_experiment": contents.name}
        if contents.name != revisions.WORKSPACE:
            tags["dvc_baseline"] = contents.baseline
        late = since or 0
        for run in self.runs(experiment, tags, deleted=deleted):
            if deleted and run.info.start_time < late:
                continue
            shared = contents.params.keys() & run.data.params.keys()
            if all(contents.params[key] == run.data.params[key] for key in shared) and self._agrees(run, contents):
                return run
        head = contents.tags.get("frozen_weights_md5")
        if contents.stage == "train_frozen" and head:  # one frozen phase serves every experiment that starts from it
            for run in self.runs(experiment, {"stage": contents.stage, "frozen_weights_md5": head}, deleted=deleted):
                if contents.whole and run.info.start_time >= late and self._agrees(run, contents):
                    return run
        return None

    def _agrees(self, run: Any, contents: Contents) -> bool:
        """Whether no number of the run differs from that of the contents."""
        there = {(name, step): value for name, value, step in self._points(run)}
        same = all(there.get((name, step), value) == value for name, value, step in contents.points)
        return same and all(run.data.metrics.get(name, value) == value for name, value in contents.test.items())

    def _points(self, run: Any) -> set[Point]:
        """The points of its curves that a run has."""
        run_id = run.info.run_id
        if run_id not in self._known:
            self._known[run_id] = {
                (point.key, point.value, point.step)
                for name in run.data.metrics
                if not name.startswith(("test/", "val/"))
                for point in self.client.get_metric_history(run_id, name)
            }
        return self._known[run_id]

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
        if (contents.folder / MODEL).exists() and not (model and self.has_files(model)):
            begun = model or self.begun_model(run.info.experiment_id, run.info.run_id)
            log_model(run.info.run_id, contents.folder, begun.model_id if begun else None)
            model = self.model_of(run.info.experiment_id, run.info.run_id)
            added.append("model")
        return model.model_id if model else None


def _folder(name: str) -> str:
    """Folder for the runs of an MLflow experiment. Two may share one: each run has a folder of its own in it."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", name).lstrip(".-")[:80]
    return "_" if plain in ("", "mlartifacts") else plain
