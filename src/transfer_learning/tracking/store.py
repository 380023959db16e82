"""The MLflow store: the same one from wherever a stage or command runs."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from transfer_learning.core.errors import UserError
from transfer_learning.core.files import DISK_FULL
from transfer_learning.core.workspace import main_workspace

DEFAULTS = {  # of the environment, when a store is opened; the shell and .env come first
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",  # we retry ourselves, with all that is missing
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",  # seconds
}
SQLITE = "sqlite:///"  # and a path
_PASSWORD = re.compile(r"//[^/\s]+@")  # in an address
VIEW = "results"  # name of the columns that the UI shows; MLflow keeps such a view in a tag of the experiment
VIEW_TAG = f"mlflow.sharedViewState.{VIEW}"


def is_local() -> bool:
    """Whether the store is the SQLite file at the root of the main workspace: MLFLOW_TRACKING_URI names no other."""
    return not os.environ.get("MLFLOW_TRACKING_URI")


def uri() -> str:
    """Address of the store."""
    named = os.environ.get("MLFLOW_TRACKING_URI") or f"{SQLITE}mlflow.db"
    if not named.startswith(SQLITE):
        return named
    # a relative path would lie in the folder of a temporary experiment, and be deleted with it
    return f"{SQLITE}{main_workspace() / named.removeprefix(SQLITE)}"


def shown() -> str:
    """Address of the store as people may see it: without a user name or password."""
    return _PASSWORD.sub("//", uri())


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Hold the lock under which the store is made and runs are found or made; other processes wait."""
    from filelock import FileLock

    lock = FileLock(main_workspace() / ".dvc" / "tmp" / "mlflow.lock", timeout=120)
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
        text = _PASSWORD.sub("//", " ".join(str(error).split())) or type(error).__name__
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
        with one_at_a_time(), faults():  # parallel first uses of an SQLite store fail
            if uri().startswith(SQLITE):
                _check(Path(uri().removeprefix(SQLITE)))
            if is_local():
                _follow_a_move(main_workspace() / "mlflow.db")
            self.client: Any = _Client()
            self.client.search_experiments(max_results=1)  # makes the tables, or says why it cannot

    def experiment(self, name: str) -> str | None:
        """Id of an MLflow experiment; None where there is none of this name."""
        found = self.client.get_experiment_by_name(name)
        return found.experiment_id if found else None

    def runs(self, experiment: str, **tags: str) -> list[Any]:
        """Runs of an MLflow experiment (by id) that have these tags, newest first."""
        wanted = " and ".join(f"tags.`{name}` = '{value}'" for name, value in tags.items())
        found, token = [], None
        while True:
            page = self.client.search_runs([experiment], wanted, page_token=token)
            found += page
            token = page.token
            if not token:
                return found

    def registered(self, name: str, alias: str) -> Any:
        """The version of a registered model that has this alias; None where there is none."""
        found = self.client.search_registered_models(f"name = '{name}'")
        version = found[0].aliases.get(alias) if found else None
        return self.client.get_model_version(name, version) if version else None

    def model_of(self, experiment: str, run_id: str) -> Any:
        """The finished logged model of a run; None where it has none."""
        for model in self.client.search_logged_models([experiment], f"source_run_id = '{run_id}'"):
            if str(model.status) in ("LoggedModelStatus.READY", "READY"):
                return model
        return None

    def fetch_model(self, version: Any) -> Path:
        """Download a version of a registered model; the folder that it lies in."""
        import mlflow

        with faults():
            mlflow.set_tracking_uri(uri())
            return Path(mlflow.artifacts.download_artifacts(f"models:/{version.name}/{version.version}"))


def _check(database: Path) -> None:
    """Open a database file, which need not exist yet; MLflow tries for 100 s before it says that it cannot."""
    database.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA schema_version")


def _follow_a_move(database: Path) -> None:
    """Point an SQLite store whose folder was moved or copied at the artifacts that lie beside it now."""
    beside = (database.parent / "mlartifacts").as_uri()
    columns = {"experiments": "artifact_location", "runs": "artifact_uri", "logged_models": "artifact_location"}
    columns |= {"model_versions": "storage_location"}
    with closing(sqlite3.connect(database)) as connection, connection:
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        for table, column in columns.items():
            if table in tables:
                connection.execute(
                    f"UPDATE {table} SET {column} = ? || substr({column}, instr({column}, '/mlartifacts/') + 12) "
                    f"WHERE {column} LIKE 'file:///%/mlartifacts/%' AND substr({column}, 1, length(?)) <> ?",
                    (beside, f"{beside}/", f"{beside}/"),
                )
