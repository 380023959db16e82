"""A lock that another process may hold."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout


@contextmanager
def locked(path: Path, waiting_for: Callable[[], str]) -> Iterator[None]:
    """Hold a lock file; where another process holds it, say for whom this one waits, once.

    Args:
        waiting_for: the line to print.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print(waiting_for(), file=sys.stderr, flush=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
