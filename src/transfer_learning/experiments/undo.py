"""Several files are written, or none: what they were is kept until all are, and put back after a failure or a kill."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from transfer_learning.core import files
from transfer_learning.core.errors import UserError
from transfer_learning.stage import at_work

BEFORE = at_work.FOLDER / "before"  # there while the files are being written, and after a kill
LIST = "files.json"


@contextmanager
def alone() -> Iterator[None]:
    """Hold the folder, as a stage does, after what a killed command has left is undone.

    Raises:
        UserError: `dvc`, a stage or such a command works in this folder.
    """
    at_work.refuse_beside_others()
    lock = FileLock(at_work.STAGE_LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise UserError(f"{at_work.holder()} works in this folder: wait until it has ended") from None
    with lock:
        if undo():
            print("a command that was killed had written a part of its files: they are as they were before it")
        yield


@contextmanager
def all_or_none(paths: Iterable[Path]) -> Iterator[None]:
    """Write these files in the body; where it fails, they are as they were.

    Args:
        paths: relative to the current folder; a file need not be there.
    """
    with files.written_aside(BEFORE) as aside:
        there = [path for path in paths if path.exists()]
        for path in there:
            (aside / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, aside / path)
        aside.mkdir(exist_ok=True)
        names = {path.as_posix(): path in there for path in paths}
        (aside / LIST).write_text(json.dumps(names))
    try:
        yield
    except BaseException:
        undo()
        raise
    _forget()


def undo() -> bool:
    """Put back the files of a command that has not ended; whether there were any."""
    if not BEFORE.exists():
        return False
    for name, was_there in json.loads((BEFORE / LIST).read_text()).items():
        if was_there:
            with files.written_aside(Path(name)) as aside:
                shutil.copy2(BEFORE / name, aside)
        else:
            Path(name).unlink(missing_ok=True)
    _forget()
    return True


def _forget() -> None:
    """Let one rename be the end of it: a folder that is half removed would be put back."""
    gone = BEFORE.with_name("before.partial-done")
    files.remove(gone)
    BEFORE.rename(gone)
    files.remove(gone)
