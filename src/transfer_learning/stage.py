"""What every stage does around its own work: one place for errors, exit codes and timing."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from dotenv import load_dotenv

import transfer_learning
from transfer_learning.errors import UserError

DISK_FULL = 28  # errno.ENOSPC


def main_workspace() -> Path:
    """The folder that holds .dvc: in a queued or temporary experiment that is not the current folder."""
    return Path(os.environ.get("DVC_ROOT", ".")).resolve()


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
        work()
    except KeyboardInterrupt:
        print(f"{name}: stopped", file=sys.stderr)
        sys.exit(130)
    except UserError as error:
        _fail(f"{name}: {error}")
    except OSError as error:
        if error.errno != DISK_FULL:
            raise
        _fail(f"{name}: the disk of {Path.cwd()} is full; nothing half-written is left, make room and run again")
    _write_seconds(name, time.monotonic() - started)


def _interrupt(*_: Any) -> NoReturn:
    raise KeyboardInterrupt


def _fail(message: str) -> None:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(2)


def seconds_file(experiment: str) -> Path:
    """Where the wall seconds of stages are kept: beside DVC's own temporary files, one file an experiment."""
    return main_workspace() / ".dvc" / "tmp" / f"seconds-{experiment}.json"


def read_seconds(path: Path) -> dict[str, float]:
    """Wall seconds by stage of the latest run of each; empty when none was measured here."""
    return json.loads(path.read_text()) if path.exists() else {}


def _write_seconds(name: str, seconds: float) -> None:
    path = seconds_file(os.environ.get("DVC_EXP_NAME") or "workspace")
    if "DVC_STAGE" in os.environ and path.parent.is_dir():
        with written_aside(path) as aside:
            aside.write_text(json.dumps(read_seconds(path) | {name: round(seconds, 1)}))


@contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """Give a path to write a file or fill a folder at; rename it to `path` when all went well, else remove it."""
    aside = path.with_name(f".{path.name}.partial-{os.getpid()}")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield aside
        if path.is_dir():
            shutil.rmtree(path)
        aside.replace(path)
    finally:
        if aside.is_dir():
            shutil.rmtree(aside)
        else:
            aside.unlink(missing_ok=True)


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
