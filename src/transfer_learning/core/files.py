"""Files: written whole or not at all, digested, and refused where the disk cannot hold them."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from transfer_learning.core.errors import UserError

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


def digest(path: Path, algorithm: str) -> str:
    """Digest of a file's content by an algorithm of hashlib, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


@contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """Give a path to write a file or fill a folder at; rename it to `path` when all went well, else remove it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f".{path.name}.partial-*"):
        if not is_being_written(left):  # who wrote it was killed and could not tidy up
            remove(left)
    aside = path.with_name(f".{path.name}.partial-{os.getpid()}")
    try:
        yield aside
        put(aside, path)
    finally:
        remove(aside)


def put(aside: Path, path: Path) -> None:
    """Rename a finished file or folder to its place, where an older one may be."""
    if path.is_dir():
        shutil.rmtree(path)
    aside.replace(path)


def is_being_written(aside: Path) -> bool:
    """Whether a file is one that a living process writes aside."""
    name, _, pid = aside.name.rpartition("-")
    return name.endswith(".partial") and pid.isdecimal() and psutil.pid_exists(int(pid))


def remove(path: Path) -> None:
    """Remove a file or folder, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_json(path: Path, values: dict[str, object]) -> None:
    """Write sorted JSON with floats at six decimals; NaN and infinity are refused."""
    rounded = {key: round(value, 6) if isinstance(value, float) else value for key, value in values.items()}
    with written_aside(path) as aside:
        aside.write_text(json.dumps(rounded, indent=2, allow_nan=False) + "\n")


def check_space(folder: Path, needed: int, what: str) -> None:
    """Refuse to start work that the disk cannot hold.

    Raises:
        UserError: less than `needed` bytes are free where `folder` is.
    """
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise UserError(f"{what} needs {needed / 1e6:,.0f} MB, but {folder.resolve()} has {free / 1e6:,.0f} MB free")
