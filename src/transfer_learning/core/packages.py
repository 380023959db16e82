"""A process that lacks a package, as any is that takes another Python than the environment's."""

from __future__ import annotations

import sys
from types import TracebackType


def say_what_is_missing() -> None:
    """Let a missing package end this process with one line and exit code 2; for a door, before it imports one."""
    sys.excepthook = _one_line


def _one_line(kind: type[BaseException], error: BaseException, where: TracebackType | None) -> None:
    if not isinstance(error, ModuleNotFoundError) or (error.name or "").startswith("transfer_learning"):
        sys.__excepthook__(kind, error, where)
        return
    print(
        f"error: {sys.executable} has no {error.name}: `make environment` makes .venv, and `.venv/bin/python "
        f"{sys.argv[0]}` takes it, as `make repro` does",
        file=sys.stderr,
    )
    sys.exit(2)
