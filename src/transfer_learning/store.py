"""The MLflow store: the same one from wherever a stage or command runs."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

from transfer_learning.errors import UserError
from transfer_learning.workspace import main_workspace

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")  # we retry ourselves, with all that is missing
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")  # seconds

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

    folder = main_workspace() / ".dvc" / "tmp"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "mlflow.lock", timeout=120):
        yield


def one_line(error: BaseException) -> str:
    """An error of the store's driver, short enough for a terminal."""
    return _PASSWORD.sub("//", " ".join(str(error).split()))[:300] or type(error).__name__


class Store:
    """An open store. An SQLite one keeps its rollback journal: a write-ahead log that is left behind when somebody
    deletes mlflow.db spoils the next one.

    Raises:
        Exception: whatever the store's driver raises, from every method; `opened` turns them into one line.
    """

    def __init__(self) -> None:
        from mlflow import MlflowClient

        with one_at_a_time():  # parallel first uses of an SQLite store fail
            if uri().startswith(SQLITE):
                _check(Path(uri().removeprefix(SQLITE)))
            if is_local():
                _follow_a_move(main_workspace() / "mlflow.db")
            self.client = MlflowClient(uri())
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


S = TypeVar("S", bound=Store)


@contextmanager
def opened(kind: type[S]) -> Iterator[S]:
    """Open the store for a command, as a Store or a kind of it.

    Raises:
        UserError: the store cannot be reached, read or written, or is of another version of MLflow; one line.
    """
    import sqlalchemy.exc
    from mlflow.exceptions import MlflowException

    try:
        yield kind()
    except (MlflowException, sqlalchemy.exc.SQLAlchemyError, sqlite3.Error, OSError) as error:
        text = one_line(error)
        if "out-of-date database schema" in text or "Can't locate revision" in text:
            text = (
                f"it was written by another version of MLflow than {version('mlflow')}: `mlflow db upgrade` brings an "
            )
            text += "older one up to date, a newer one needs that MLflow"
        raise UserError(f"MLflow store {shown()}: {text}") from None


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
