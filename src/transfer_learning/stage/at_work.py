"""Who works in this folder: every `dvc` that notes down what it reads and writes, and a stage whose `dvc` is gone."""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path
from typing import Any

import psutil
from filelock import FileLock, Timeout

from transfer_learning.core.errors import UserError

FOLDER = Path(".dvc/tmp")
STAGE_LOCK, HOLDER = FOLDER / "stage.lock", FOLDER / "stage.holder"
NOTES = FOLDER / "rwlock"  # DVC's, from before a stage begins until it is in dvc.lock; it has no other lock meanwhile


def dvc_processes() -> dict[int, str]:
    """The command of every living `dvc` that works on a stage in this folder, by process id."""
    notes = _notes()
    entries = [
        *notes.get("write", {}).values(),
        *(one for several in notes.get("read", {}).values() for one in several),
    ]
    return {entry["pid"]: _short(entry["cmd"]) for entry in entries if psutil.pid_exists(entry["pid"])}


def own_dvc() -> list[tuple[psutil.Process, str]]:
    """The `dvc` that runs this process as a stage, with its command; none where it was started by hand."""
    known = dvc_processes()
    return [(one, known[one.pid]) for one in psutil.Process().parents() if one.pid in known][:1]


def is_forced() -> bool:
    """Whether the `dvc` that runs this stage is to compute anew what it has: `--force`, or `-f` among others. In the
    queue it does not say so."""
    words = {word for _, command in own_dvc() for word in command.split()}
    return any(word in ("--force", "--no-run-cache") or re.fullmatch(r"-\w*f\w*", word) for word in words)


def refuse_beside_others() -> None:
    """Refuse to write params.yaml, which those who work in this folder read.

    Raises:
        UserError: somebody does; says who.
    """
    if other := _other():
        raise UserError(f"{other} works in this folder with params.yaml as it is: wait until it has ended")


def _other() -> str:
    """What works in this folder besides this process, in words; empty where nothing does."""
    for pid, command in dvc_processes().items():
        if pid != os.getpid():
            return f"`{command}` (process {pid})"
    FOLDER.mkdir(parents=True, exist_ok=True)
    lock = FileLock(STAGE_LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return holder()
    lock.release()
    return ""


def holder() -> str:
    """The stage that holds this folder, in words."""
    return HOLDER.read_text() if HOLDER.exists() else "another stage"


def _notes() -> dict[str, Any]:
    """DVC's notes; it writes them in place, so one that is half written is read again."""
    for attempt in range(50):
        try:
            found: dict[str, Any] = json.loads(NOTES.read_text())
            return found
        except FileNotFoundError:
            return {}
        except ValueError:
            time.sleep(0.1 if attempt else 0)
    return {}  # DVC itself says that the file is broken


def _short(command: str) -> str:
    """A command line without the folder of its program, whose name may have spaces."""
    return re.sub(r"^.*?/(?=dvc( |$))", "", command)
