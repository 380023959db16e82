"""What every stage does around its own work: one place for errors, exit codes and the folder's lock."""

from __future__ import annotations

import io
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
from transfer_learning.core.errors import UserError
from transfer_learning.core.files import DISK_FULL, written_aside
from transfer_learning.core.waiting import locked
from transfer_learning.core.workspace import STAGES, main_workspace
from transfer_learning.stage import at_work, environment
from transfer_learning.stage.same_settings import same_settings
from transfer_learning.stage.timing import write_seconds


def run(name: str, work: Callable[[], None]) -> None:
    """Run a stage or command; exit with 2 and one line for a mistake of the user, else let the traceback show.

    Ctrl-C and SIGTERM both arrive as KeyboardInterrupt, so that `finally` is done, and end with 130. What the main
    workspace's .env sets (see .env.example) is added to the environment.

    Args:
        name: stage name, as in dvc.yaml.
        work: reads settings, opens inputs, writes outputs.
    """
    started = time.monotonic()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a name that the terminal cannot encode stops no command
    try:
        ours = Path(transfer_learning.__file__).resolve()
        if Path.cwd().resolve() not in ours.parents:
            raise UserError(f"run from the folder that holds dvc.yaml; the code at hand is {ours.parent}")
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
        write_seconds(name, time.monotonic() - started)


@contextmanager
def _alone(name: str) -> Iterator[None]:
    """Hold the current folder for one stage. One whose `dvc` was killed goes on by itself; its successor waits."""
    with locked(at_work.STAGE_LOCK, lambda: f"{name}: waiting for {at_work.holder()}, which still runs in this folder"):
        with written_aside(at_work.HOLDER) as aside:
            aside.write_text(f"stage {name} (process {os.getpid()})")
        with same_settings(name):
            yield
        environment.record(name)


def _interrupt(*_: Any) -> NoReturn:
    raise KeyboardInterrupt


def _fail(message: str) -> None:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(2)
