"""The file of an SQLite store: made whole or not at all, brought up to date, and followed when it moved.

MLflow makes and migrates its tables in many transactions; one that is broken off halfway spoils the file for ever. So
both are done in a file aside, which is moved into place when it is whole. Of MLflow's private functions, those for
tables are called here.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
from contextlib import closing
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit

from transfer_learning.core.errors import UserError
from transfer_learning.core.files import written_aside
from transfer_learning.core.workspace import main_workspace

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

BESIDE = ("-journal", "-wal", "-shm")  # what SQLite keeps beside a database: of another one they would spoil it


def prepare(database: Path) -> None:
    """Let an SQLite store be there, whole and of this MLflow's tables; the caller holds the lock of the store.

    Raises:
        UserError: it is spoilt, or of a newer MLflow.
        sqlite3.Error: it cannot be opened, or is no database.
    """
    database = database.resolve()  # a link to it stays one
    database.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(database)) if database.exists() else closing(sqlite3.connect(":memory:")) as opened:
        tables = _tables(opened)  # MLflow tries for 100 s before it says that it cannot read a database
        at = _revision(opened, tables)
    if not tables:
        _make(database)
    elif at != _newest():
        _bring_up_to_date(database, at)
    else:
        _check_whole(database)
    _follow_a_move(database)


def _tables(opened: sqlite3.Connection) -> set[str]:
    return {row[0] for row in opened.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def _revision(opened: sqlite3.Connection, tables: set[str]) -> str | None:
    if "alembic_version" not in tables:
        return None
    row = opened.execute("SELECT version_num FROM alembic_version").fetchone()
    return str(row[0]) if row else None


def _spoilt(database: Path, why: str) -> UserError:
    remedy = f"`mv {database.name} {database.name}.spoilt` there, then `./tl record` makes it anew from what DVC has"
    return UserError(f"MLflow store sqlite:///{database}: it is spoilt, {why}: {remedy}")


def _script() -> Any:
    from alembic.script import ScriptDirectory
    from mlflow.store.db import utils

    return ScriptDirectory.from_config(utils._get_alembic_config(""))


def _newest() -> str:
    return str(_script().get_current_head())


def _make(database: Path) -> None:
    from mlflow.store.db import utils

    for ending in BESIDE:
        database.with_name(database.name + ending).unlink(missing_ok=True)
    with written_aside(database) as aside:
        engine = _aside(aside)
        try:
            utils._initialize_tables(engine)
        finally:
            engine.dispose()
        _sync(aside)


def _bring_up_to_date(database: Path, at: str | None) -> None:
    """Migrate a copy of an older store, and keep the older one beside it."""
    from alembic.util import CommandError
    from mlflow.exceptions import MlflowException
    from mlflow.store.db import utils
    from sqlalchemy.exc import SQLAlchemyError

    if at is None:
        raise _spoilt(database, "its making was broken off")
    try:
        _script().get_revision(at)
    except CommandError:
        raise UserError(
            f"MLflow store sqlite:///{database}: it was written by another version of MLflow than "
            f"{version('mlflow')}, a newer one: it needs that MLflow"
        ) from None
    kept = database.with_name(f"{database.name}.{at}")
    with written_aside(database) as aside:
        with closing(sqlite3.connect(database)) as there, closing(sqlite3.connect(aside)) as copy:
            if there.execute("PRAGMA journal_mode = DELETE").fetchone()[0] != "delete":
                raise UserError(
                    f"MLflow store sqlite:///{database}: it is in use and of an older MLflow: end its UI first"
                )
            there.backup(copy)
        engine = _aside(aside)
        try:
            utils._upgrade_db(engine)
            whole = utils._all_tables_exist(engine)
        except (SQLAlchemyError, MlflowException) as error:
            raise _spoilt(database, f"a migration was broken off ({' '.join(str(error).split())[:80]})") from None
        finally:
            engine.dispose()
        if not whole:
            raise _spoilt(database, "it lacks tables")
        _sync(aside)
        if not kept.exists():
            with written_aside(kept) as old:
                shutil.copyfile(database, old)
    said = (
        f"MLflow store sqlite:///{database}: brought up to date for MLflow {version('mlflow')}; as it was: {kept.name}"
    )
    print(said, file=sys.stderr, flush=True)


def _check_whole(database: Path) -> None:
    from mlflow.store.db import utils

    engine = _engine(database)
    try:
        if not utils._all_tables_exist(engine):
            raise _spoilt(database, "it lacks tables")
    finally:
        engine.dispose()


def _engine(database: Path) -> Engine:
    from sqlalchemy import URL, create_engine

    return create_engine(URL.create("sqlite", database=str(database)))


def _aside(database: Path) -> Engine:
    """Open a file that is not in place yet, without waiting for the disk at each step: it is synced when whole."""
    from sqlalchemy import event

    engine = _engine(database)

    @event.listens_for(engine, "connect")
    def quick(connection: Any, _: Any) -> None:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA journal_mode = MEMORY")

    return engine


def _sync(path: Path) -> None:
    with open(path, "rb+") as file:
        os.fsync(file.fileno())


def _follow_a_move(database: Path) -> None:
    """Point a store at the files that lie beside it now: its folder was moved or copied, or MLflow had put them into
    the folder of the process that came first."""
    root, ours = database.parent / "mlartifacts", database.parent == main_workspace()
    columns = {"experiments": "artifact_location", "runs": "artifact_uri", "logged_models": "artifact_location"}
    columns |= {"model_versions": "storage_location"}
    with closing(sqlite3.connect(database)) as connection:
        for table, column in columns.items():
            there = connection.execute(f"SELECT DISTINCT {column} FROM {table}").fetchall()
            moved = [(to, old) for (old,) in there if old and (to := _beside(old, root, ours=ours))]
            if moved:
                with connection:
                    connection.executemany(f"UPDATE {table} SET {column} = ? WHERE {column} = ?", moved)


def _beside(location: str, root: Path, *, ours: bool) -> str | None:
    """Where files that MLflow has noted at a location belong; None for those that stay where they are.

    Args:
        ours: the store is that of this repository: in a copy of both the files are the copy's, though others are there.
    """
    address = urlsplit(location)
    if address.scheme not in ("", "file"):  # such as s3:
        return None
    path = unquote(address.path) if address.scheme else location
    if path.startswith(f"{root}/"):
        return None
    named = "/mlartifacts/" if "/mlartifacts/" in path else "/mlruns/"
    head, found, tail = path.rpartition(named)
    kept = Path(head + found).is_dir() and "/.dvc/tmp/exps/" not in path  # there DVC deletes it
    if not found or (kept and not (ours and named == "/mlartifacts/")):
        return None
    return f"{root.as_uri()}/{quote(tail)}"
