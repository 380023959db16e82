"""Say which stage first differs between two dvc.lock files, and which fact of the environment differs with it.

    ./tl lockdiff main            a git revision, or an experiment, against the workspace
    ./tl lockdiff main my-branch  two of them
    ./tl lockdiff ../other        another folder of this project against the workspace

The exit code is 0 where they are the same, 1 where they differ.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from transfer_learning import environment, lockfiles, revisions
from transfer_learning.errors import UserError


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("there", help="a git revision, a DVC experiment or a folder")
    parser.add_argument("here", nargs="?", default=".", help="the same; the workspace by default")


def run(arguments: argparse.Namespace) -> None:
    (there, facts_there), (here, facts_here) = (read(name) for name in (arguments.there, arguments.here))
    found = lockfiles.first_difference(there, here, facts_there, facts_here)
    if found is None:
        print(f"the same: all {len(here)} stages of {arguments.there} and {arguments.here} have the same bytes")
        return
    print(describe(found))
    sys.exit(1)


def read(name: str) -> tuple[lockfiles.Lock, lockfiles.Facts]:
    """Stages of a dvc.lock, and the facts recorded with it.

    Raises:
        UserError: there is no such folder, revision or experiment, or no dvc.lock in it.
    """
    import yaml

    if Path(name).is_dir():
        texts = [path.read_text() if path.exists() else None for path in _files(Path(name))]
    else:
        commit = revisions.commit(name)
        texts = [revisions.text(commit, path.as_posix()) for path in _files(Path())]
    if texts[0] is None:
        raise UserError(f"{name} has no dvc.lock")
    return yaml.safe_load(texts[0])["stages"], environment.parse(texts[1] or "{}")


def _files(folder: Path) -> tuple[Path, Path]:
    return folder / "dvc.lock", folder / environment.FILE


def describe(found: lockfiles.Difference) -> str:
    """The difference in a few lines."""
    what = "with other bytes" if found.outputs else "that differs, and every output is the same"
    lines = [f"{found.stage} is the first stage {what}"]
    lines += [f"  output   {path}" for path in found.outputs]
    lines += [f"  input    {path}" for path in found.inputs]
    lines += [f"  setting  {_sides(one)}" for one in found.settings]
    lines += [f"  machine  {_sides(one)}" for one in found.facts or []]
    if found.facts is None:
        lines.append("  nothing is recorded of the machines: reports/environment.json lacks this stage on one side")
    elif not found.is_explained:
        lines.append("  nothing that is recorded differs with it: neither input, setting nor fact of the machine")
    return "\n".join(lines)


def _sides(one: tuple[str, Any, Any]) -> str:
    return "{}: {} -> {}".format(*one)
