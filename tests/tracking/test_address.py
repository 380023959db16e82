"""Addresses of the store: one store from everywhere, and no password in what people see."""

from __future__ import annotations

from pathlib import Path

import pytest

from transfer_learning.core.errors import UserError
from transfer_learning.experiments.passwords import without_passwords
from transfer_learning.tracking import address


@pytest.mark.parametrize(
    ("named", "file"),
    [
        ("", "main/mlflow.db"),
        ("sqlite:///mlflow.db", "main/mlflow.db"),
        ("sqlite:///a/../x%20y.db", "main/a/../x y.db"),
        ("SQLite+pysqlite:///mlflow.db", "main/mlflow.db"),
        ("sqlite:///{}/elsewhere/a.db", "elsewhere/a.db"),
    ],
)
def test_an_sqlite_store_has_its_files_beside_it(
    named: str, file: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "main"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", named.format(tmp_path))
    assert address.database() == tmp_path / file
    assert address.artifacts() == (tmp_path / file).parent.resolve() / "mlartifacts"
    again = address.uri()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", again)  # as mlflow.set_tracking_uri does
    assert (address.uri(), address.database()) == (again, tmp_path / file)


@pytest.mark.parametrize("name", ["My%20Repo", "what?", "a#b", "ü ö", "me@home"])
def test_a_path_is_escaped_before_it_is_an_address(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from sqlalchemy.engine import make_url

    monkeypatch.setenv("DVC_ROOT", str(tmp_path / name))
    assert make_url(address.uri()).database == str(tmp_path / name / "mlflow.db")
    assert address.shown() == f"sqlite:///{tmp_path / name}/mlflow.db"


@pytest.mark.parametrize("named", ["mlruns", "./mlruns", "/tmp/mlruns", "file:///tmp/mlruns", "sqlite://", "ftp://a/b"])
def test_what_is_no_store_is_refused(named: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", named)
    with pytest.raises(UserError, match="allowed are sqlite:///mlflow"):
        address.uri()


@pytest.mark.parametrize(
    ("named", "quoted"),
    [
        ("postgresql://me:s3/cret@db.example.org/mlflow", "no host cret@db.example.org"),
        ("mysql+pymysql://me:cret@s3@db/mlflow?ssl=1", "no host s3@db, password cret"),
        ("http://me:s3cret@mlflow.example.org", "password s3cret"),
        ("http://me:s3 cret@mlflow.example.org", "port s3 cret"),
        ("http://[me:cret@h", "no IPv6 address: [me:cret"),
        ("postgresql://db/mlflow?user=me&password=s3cret", "password s3cret"),
        ("postgresql://me:s3%2Fcret@db/mlflow", "password s3/cret"),
        ("mssql+pyodbc:///?odbc_connect=DRIVER%3DX%3BPWD%3Ds3cret", "password s3cret"),
    ],
)
def test_no_password_is_shown(named: str, quoted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", named)
    said = address.shown() + address.hidden(f"cannot connect to {named}: {quoted}")
    assert "cret" not in said


def test_a_remote_s_password_is_not_shown_and_a_path_stays() -> None:
    assert without_passwords("ssh://me:a/b@c@host/x: https://u:p@h") == "ssh://host/x: https://h"
    assert (
        without_passwords("no sqlite:////home/me@x/a.db or file:///me@x")
        == "no sqlite:////home/me@x/a.db or file:///me@x"
    )
