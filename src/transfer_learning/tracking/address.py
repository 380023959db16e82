"""The address of the MLflow store: the same one from wherever a stage or command runs, and as people may see it."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from transfer_learning.core.errors import UserError
from transfer_learning.core.workspace import main_workspace
from transfer_learning.experiments.passwords import without_passwords

SQLITE = "sqlite:///"  # and a path
SERVERS = ("http", "https", "databricks", "databricks-uc", "uc")
DATABASES = ("postgresql", "mysql", "mssql")  # of MLflow, and SQLite
ALLOWED = (
    "allowed are sqlite:///mlflow.db and the like, a server's http(s) address, and postgresql://, mysql://, mssql://"
)
_SECRET = re.compile("pass|pwd|secret|token|key|odbc", re.IGNORECASE)  # in names of values


def _named() -> str:
    return os.environ.get("MLFLOW_TRACKING_URI") or f"{SQLITE}mlflow.db"


def _scheme() -> str:
    head, colon, _ = _named().partition(":")
    return head.partition("+")[0].lower() if colon else ""


def is_server() -> bool:
    """Whether the store is a server, which keeps artifacts as well."""
    return _scheme() in SERVERS or _named() == "databricks"


def database() -> Path | None:
    """The file of an SQLite store; a relative one is of the main workspace: the folder of a temporary experiment is
    deleted. None for other stores.

    Raises:
        UserError: the address names no file.
    """
    if _scheme() != "sqlite":
        return None
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        path = make_url(_named()).database
    except ArgumentError:
        path = None
    if not path or path == ":memory:" or path.startswith("file:"):
        raise UserError(f"MLFLOW_TRACKING_URI={_without_user()}: names no file; {ALLOWED}")
    return main_workspace() / path


def uri() -> str:
    """Address of the store.

    Raises:
        UserError: it names no store.
    """
    path = database()
    if path is None:
        return _folder().as_uri() if not is_server() and _scheme() not in DATABASES else _named()
    escaped = str(path).replace("%", "%25").replace("?", "%3F")  # what SQLAlchemy reads in an address
    # MLflow makes the folder of a plain `sqlite:` without reading the escapes, beside the right one
    return f"{SQLITE}{path}" if escaped == str(path) else f"sqlite+pysqlite:///{escaped}"


def _folder() -> Path:
    """The folder of a file store, which MLflow takes no longer unless told to."""
    named, scheme = _named(), _scheme()
    if scheme not in ("", "file") or os.environ.get("MLFLOW_ALLOW_FILE_STORE", "").lower() not in ("true", "1"):
        what = "names a folder, which MLflow does not take any more" if scheme in ("", "file") else "names no store"
        raise UserError(f"MLFLOW_TRACKING_URI={_without_user()}: {what}; {ALLOWED}")
    return main_workspace() / (unquote(urlsplit(named).path) if scheme else named)


def artifacts() -> Path | None:
    """The folder with the files of a store that is a database: beside an SQLite one, else in the main workspace. None
    where the store has a place of its own."""
    path = database()
    if path is not None:
        return path.parent.resolve() / "mlartifacts"
    return main_workspace() / "mlartifacts" if _scheme() in DATABASES else None


def shown() -> str:
    """Address of the store as people may see it: without user name, password and options, which may hold some."""
    try:
        path = database()
    except UserError:
        path = None
    if path:
        return f"{SQLITE}{path}"
    return _without_user()


def _without_user() -> str:
    head, between, rest = _named().partition("://")
    return f"{head}{between}{rest.rpartition('@')[2] if head != 'sqlite' else rest}".partition("?")[0].partition("#")[0]


def hidden(text: str) -> str:
    """A message of a store's driver without the store's passwords, which it may quote whole, in pieces or escaped."""
    if _scheme() != "sqlite" and "://" in _named():
        rest = _named().partition("://")[2]
        user = rest.rpartition("@")[0]
        if re.search(r"[/@?#\s\[\]]", user):  # its pieces would look like host, port or path
            return (
                "cannot be used; the reason may hold the password, and is shown once that has %2F for / and %40 for @"
            )
        secrets = {user.partition(":")[2]}
        secrets |= set(re.findall(r"(?i)(?:pwd|password)=([^;&]+)", unquote(rest)))
        secrets |= {value for name, value in parse_qsl(rest.partition("?")[2]) if _SECRET.search(name)}
    else:
        secrets = set()
    secrets |= {os.environ.get(f"MLFLOW_TRACKING_{name}", "") for name in ("PASSWORD", "TOKEN")}
    forms = {form for one in secrets for form in (one, unquote(one), quote(one, safe=""), quote(unquote(one), safe=""))}
    for form in sorted(forms - {""}, key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(form)}(?!\w)" if len(form) < 4 else re.escape(form), "***", text)
    return without_passwords(text)
