"""The MLflow store: the same one from wherever a stage or command runs."""

from __future__ import annotations

import os
import re
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from transfer_learning.core.errors import UserError
from transfer_learning.core.files import DISK_FULL
from transfer_learning.core.workspace import main_workspace
from transfer_learning.experiments.results import MODEL
from transfer_learning.tracking import address, database
from transfer_learning.tracking.address import hidden, shown, uri

DEFAULTS = {  # of the environment, when a store is opened; the shell and .env come first
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",  # we retry ourselves, with all that is missing
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",  # seconds
}
VIEW = "results"  # name of the columns that the UI shows; MLflow keeps such a view in a tag of the experiment
VIEW_TAG = f"mlflow.sharedViewState.{VIEW}"
DATA_TAG = "data_name"  # of an experiment: what its photos are called, whatever somebody calls the experiment


@contextmanager
def one_at_a_time(run_id: str = "") -> Iterator[None]:
    """Hold the lock under which the store is made and runs are found or made, or that under which one run is written;
    other processes wait."""
    from filelock import FileLock

    number = f"-{zlib.crc32(run_id.encode()) % 16}" if run_id else ""  # a few files, not one for each run
    lock = FileLock(main_workspace() / ".dvc" / "tmp" / f"mlflow{number}.lock", timeout=120)
    with faults():
        Path(lock.lock_file).parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def faults() -> Iterator[None]:
    """Around calls of the store, and around nothing else: whatever its driver raises becomes one line.

    A full disk is left to `process.run`: it need not be the store's.

    Raises:
        UserError: the store cannot be reached, read or written, or is of another version of MLflow.
    """
    import sqlalchemy.exc
    from mlflow.exceptions import MlflowException

    try:
        yield
    except (MlflowException, sqlalchemy.exc.SQLAlchemyError, sqlite3.Error, OSError) as error:
        if isinstance(error, OSError) and error.errno in DISK_FULL:
            raise
        text = hidden(" ".join(str(error).split())) or type(error).__name__
        if "out-of-date database schema" in text or "Can't locate revision" in text:
            text = (
                f"it was written by another version of MLflow than {version('mlflow')}: `mlflow db upgrade` brings an "
                "older one up to date, a newer one needs that MLflow"
            )
        raise UserError(f"MLflow store {shown()}: {text[:400]}") from None  # MLflow says the cause at the end of 350


class _Client:
    """MLflow's client, each of whose calls is inside `faults`."""

    def __init__(self) -> None:
        from mlflow import MlflowClient

        self._client = MlflowClient(uri())

    def __getattr__(self, name: str) -> Any:
        return faults()(getattr(self._client, name))


class Store:
    """An open store. An SQLite one keeps its rollback journal: a write-ahead log that is left behind when somebody
    deletes mlflow.db spoils the next one.

    Raises:
        UserError: in one line, from every method: what `faults` says.
    """

    def __init__(self) -> None:
        for name, value in DEFAULTS.items():
            os.environ.setdefault(name, value)
        if beside := address.artifacts():  # else the files of `Default` go into the folder of whoever is first
            os.environ["_MLFLOW_SERVER_ARTIFACT_ROOT"] = beside.as_uri()
        with one_at_a_time(), faults():  # parallel first uses of a database fail
            if file := address.database():
                database.prepare(file)
            try:
                self.client: Any = _Client()
                self.client.search_experiments(max_results=1)  # makes the tables, or says why it cannot
            except ImportError as error:
                lacking = f"needs the Python package {error.name}, its driver, which is not installed: pip installs it"
                raise UserError(f"MLflow store {shown()}: {lacking}, or name a server in its place") from None
            except ValueError as error:  # a wrong address
                raise UserError(f"MLflow store {shown()}: {hidden(str(error))}; {address.ALLOWED}") from None

    def experiment(self, name: str) -> str | None:
        """Id of the MLflow experiment of photos of this name, also where somebody has renamed it; None where there is
        none, or it was deleted."""
        found = self._experiment(name)
        return found.experiment_id if found and found.lifecycle_stage == "active" else None

    def _experiment(self, name: str) -> Any:
        from mlflow.entities import ViewType

        found = self.client.get_experiment_by_name(name)
        if found is not None:
            return found
        token = None
        while True:
            page = self.client.search_experiments(view_type=ViewType.ALL, page_token=token)
            for one in page:
                if one.tags.get(DATA_TAG) == name:
                    return one
            token = page.token
            if not token:
                return None

    def runs(self, experiment: str, tags: dict[str, str], *, deleted: bool = False) -> list[Any]:
        """Runs of an MLflow experiment (by id) that have these tags, newest first; or those that were deleted."""
        from mlflow.entities import ViewType

        view = ViewType.DELETED_ONLY if deleted else ViewType.ACTIVE_ONLY
        # MLflow's language has no escapes, and MySQL does not tell upper case from lower: the rest is compared here
        plain = {name: value for name, value in tags.items() if re.fullmatch(r"[\w.-]+", value, re.ASCII)}
        wanted = " and ".join(f"tags.`{name}` = '{value}'" for name, value in plain.items())
        found, token = [], None
        while True:
            page = self.client.search_runs([experiment], wanted, run_view_type=view, page_token=token)
            found += [run for run in page if tags.items() <= run.data.tags.items()]
            token = page.token
            if not token:
                return found

    def registered(self, name: str, alias: str) -> Any:
        """The version of a registered model that has this alias; None where there is none."""
        found = self.registry(name)
        version = found.aliases.get(alias) if found else None
        return self.client.get_model_version(name, version) if version else None

    def registry(self, name: str) -> Any:
        """A registered model; None where there is none of this name. Asked without MLflow's language for searches."""
        token = None
        while True:
            page = self.client.search_registered_models(page_token=token)
            for one in page:
                if one.name == name:
                    return one
            token = page.token
            if not token:
                return None

    def model_of(self, experiment: str, run_id: str) -> Any:
        """The finished logged model of a run; None where it has none."""
        return self._model_with("READY", experiment, run_id)

    def begun_model(self, experiment: str, run_id: str) -> Any:
        """A logged model of a run that a killed process has not finished; None where there is none."""
        return self._model_with("PENDING", experiment, run_id)

    def _model_with(self, status: str, experiment: str, run_id: str) -> Any:
        for model in self.client.search_logged_models([experiment], f"source_run_id = '{run_id}'"):
            if str(model.status) in (f"LoggedModelStatus.{status}", status):
                return model
        return None

    def has_files(self, model: Any) -> bool:
        """Whether the files of a logged model are there."""
        listed = self.client.list_logged_model_artifacts
        there = {file.path for folder in (None, "artifacts") for file in listed(model.model_id, folder)}
        return {"MLmodel", f"artifacts/{MODEL.name}"} <= there

    def fetch_model(self, version: Any) -> Path:
        """Download a version of a registered model; the folder that it lies in."""
        import mlflow

        with faults():
            mlflow.set_tracking_uri(uri())
            return Path(mlflow.artifacts.download_artifacts(f"models:/{version.name}/{version.version}"))
