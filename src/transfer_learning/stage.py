"""What every stage does around its own work: one place for errors, exit codes and timing."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, NoReturn

from dotenv import load_dotenv

import transfer_learning
from transfer_learning.errors import UserError
from transfer_learning.files import DISK_FULL, written_aside
from transfer_learning.workspace import STAGES, main_workspace


def run(name: str, work: Callable[[], None]) -> None:
    """Run a stage or command; exit with 2 and one line for a mistake of the user, else let the traceback show.

    Ctrl-C and SIGTERM both arrive as KeyboardInterrupt, so that `finally` is done, and end with 130. What the main
    workspace's .env sets (see .env.example) is added to the environment.

    Args:
        name: stage name, as in dvc.yaml.
        work: reads settings, opens inputs, writes outputs.
    """
    started = time.monotonic()
    try:
        ours = Path(transfer_learning.__file__).resolve()
        if Path.cwd().resolve() not in ours.parents:
            raise UserError(f"{name}: run from the folder that holds dvc.yaml; the code at hand is {ours.parent}")
        load_dotenv(main_workspace() / ".env")
        signal.signal(signal.SIGTERM, _interrupt)
        with _alone(name) if name in STAGES else nullcontext():
            work()
    except KeyboardInterrupt:
        print(f"{name}: stopped", file=sys.stderr)
        sys.exit(130)
    except UserError as error:
        _fail(f"{name}: {error}")
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        _fail(f"{name}: the disk of {Path.cwd()} is full: make room and run again")
    if name in STAGES:
        _write_seconds(name, time.monotonic() - started)


@contextmanager
def _alone(name: str) -> Iterator[None]:
    """Hold the current folder for one stage. One whose `dvc` was killed goes on by itself; its successor waits."""
    from filelock import FileLock, Timeout

    from transfer_learning import environment

    folder = Path(".dvc/tmp")
    folder.mkdir(parents=True, exist_ok=True)
    lock, holder = FileLock(folder / "stage.lock"), folder / "stage.holder"
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print(f"{name}: waiting for {_text(holder)}, which still runs in this folder", file=sys.stderr, flush=True)
        lock.acquire()
    try:
        with written_aside(holder) as aside:
            aside.write_text(f"stage {name} (process {os.getpid()})")
        yield
        environment.record(name)
    finally:
        lock.release()


def _text(holder: Path) -> str:
    return holder.read_text() if holder.exists() else "another stage"


def _interrupt(*_: Any) -> NoReturn:
    raise KeyboardInterrupt


def _fail(message: str) -> None:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(2)


def seconds_file(experiment: str, baseline: str) -> Path:
    """Where the wall seconds of stages are kept: beside DVC's own temporary files, one file an experiment.

    Args:
        baseline: commit that the experiment started from; empty for what plain `dvc repro` makes, of whatever commit.
    """
    return main_workspace() / ".dvc" / "tmp" / f"seconds-{experiment}{baseline and '-'}{baseline[:7]}.json"


def read_seconds(path: Path) -> dict[str, float]:
    """Wall seconds by stage of the latest run of each; empty when none was measured here."""
    return json.loads(path.read_text()) if path.exists() else {}


def _write_seconds(name: str, seconds: float) -> None:
    path = seconds_file(os.environ.get("DVC_EXP_NAME") or "workspace", os.environ.get("DVC_EXP_BASELINE_REV", ""))
    if "DVC_STAGE" in os.environ and path.parent.is_dir():
        with written_aside(path) as aside:
            aside.write_text(json.dumps(read_seconds(path) | {name: round(seconds, 1)}))
