"""The file of an SQLite store: whole or not at all, migrated in a copy."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from support.clone import ROOT

from transfer_learning.core.errors import UserError
from transfer_learning.tracking import database


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store as it is made; only read."""
    path = tmp_path_factory.mktemp("My%20Repo what? a#b ü") / "mlflow.db"
    path.with_name("mlflow.db-journal").write_bytes(b"of a database that was deleted")
    database.prepare(path)
    return path


def run(path: Path, statement: str) -> list[tuple[str, ...]]:
    with closing(sqlite3.connect(path)) as connection, connection:
        return connection.execute(statement).fetchall()


def test_a_store_is_one_whole_file(made: Path) -> None:
    assert [path.name for path in made.parent.iterdir()] == ["mlflow.db"]
    assert run(made, "SELECT version_num FROM alembic_version") == [(database._newest(),)]


def test_a_making_that_is_broken_off_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow.store.db import utils

    def broken_off(engine: object) -> None:
        utils.InitialBase.metadata.create_all(engine)
        raise KeyboardInterrupt

    monkeypatch.setattr(utils, "_initialize_tables", broken_off)
    with pytest.raises(KeyboardInterrupt):
        database.prepare(tmp_path / "mlflow.db")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["no version", "half a migration", "a table lost"])
def test_a_spoilt_store_says_how_to_get_out_of_it(made: Path, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "mlflow.db"
    shutil.copy(made, path)
    change = {
        "no version": "DELETE FROM alembic_version",
        "half a migration": "UPDATE alembic_version SET version_num = '451aebb31d03'",
        "a table lost": "DROP TABLE logged_model_tags",
    }[kind]
    run(path, change)
    content = path.read_bytes()
    with pytest.raises(UserError, match=r"it is spoilt, .*`mv mlflow.db mlflow.db.spoilt` there, then `./tl record`"):
        database.prepare(path)
    assert path.read_bytes() == content


@pytest.fixture
def older(tmp_path: Path) -> tuple[Path, str]:
    """A store of an older MLflow, and the revision of its tables."""
    from alembic import command
    from mlflow.store.db import utils

    path = tmp_path / "mlflow.db"
    older = database._script().get_revision(database._newest()).down_revision
    engine = database._aside(path)
    utils.InitialBase.metadata.create_all(engine)
    config = utils._get_alembic_config(str(engine.url))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, older)
    engine.dispose()
    return path, older


def test_an_older_store_is_migrated_and_kept(older: tuple[Path, str], capsys: pytest.CaptureFixture[str]) -> None:
    path, revision = older
    database.prepare(path)
    assert run(path, "SELECT version_num FROM alembic_version") == [(database._newest(),)]
    kept = path.with_name(f"mlflow.db.{revision}")
    assert run(kept, "SELECT version_num FROM alembic_version") == [(revision,)]
    assert f"as it was: {kept.name}" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["no store yet", "an older store"])
def test_a_kill_halfway_leaves_what_was_there_and_the_next_is_whole(older: tuple[Path, str], kind: str) -> None:
    path, _ = older
    if kind == "no store yet":
        path.unlink()
    before = path.read_bytes() if path.exists() else None
    code = f"""
import os, signal
from pathlib import Path
from sqlalchemy import event
from sqlalchemy.engine import Engine
from transfer_learning.tracking import database
@event.listens_for(Engine, "after_cursor_execute")
def kill(connection, cursor, statement, *_):
    if statement.startswith("UPDATE alembic_version"):
        os.kill(os.getpid(), signal.SIGKILL)
database.prepare(Path({str(path)!r}))
"""
    done = subprocess.run([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": str(ROOT / "src")}, check=False)
    assert done.returncode == -9
    assert (path.read_bytes() if path.exists() else None) == before
    database.prepare(path)
    assert run(path, "SELECT version_num FROM alembic_version") == [(database._newest(),)]
    assert not list(path.parent.glob(".*"))  # what the killed process left is gone


@pytest.mark.parametrize(
    ("location", "belongs"),
    [
        ("file:///old/mlartifacts/drawn/1", "mlartifacts/drawn/1"),
        ("file:///a/mlartifacts/b/mlartifacts/d%20e/1", "mlartifacts/d%20e/1"),
        ("/repo/.dvc/tmp/exps/tmp1/mlruns/1/m", "mlartifacts/1/m"),
        ("s3://bucket/mlartifacts/1", None),
    ],
)
def test_files_belong_beside_the_store(tmp_path: Path, location: str, belongs: str | None) -> None:
    found = database._beside(location, tmp_path / "mlartifacts", ours=True)
    assert found == (f"{tmp_path.as_uri()}/{belongs}" if belongs else None)
