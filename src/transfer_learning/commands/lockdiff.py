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
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transfer_learning.experiments import lock


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("there", help="a git revision, a DVC experiment or a folder")
    parser.add_argument("here", nargs="?", default=".", help="the same; the workspace by default")


def run(arguments: argparse.Namespace) -> None:
    from transfer_learning.experiments import lock

    there, here = state(arguments.there), state(arguments.here)
    found = lock.first_difference(there, here)
    if found is None:
        print(f"the same: all {len(here.stages)} stages of {arguments.there} and {arguments.here} have the same bytes")
        return
    print(describe(found))
    sys.exit(1)


def state(name: str) -> lock.State:
    """What is recorded of a folder, revision or experiment.

    Raises:
        UserError: there is no such one, or its dvc.lock is missing or broken.
    """
    from transfer_learning.experiments import lock, revisions

    source = Path(name) if Path(name).is_dir() else revisions.commit(name)
    return lock.state_of(source, "the workspace" if name == "." else name)


def describe(found: lock.Difference) -> str:
    """The difference in a few lines."""
    what = "with other bytes" if found.outputs else "that differs, and every output is the same"
    lines = [f"{found.stage} is the first stage {what}"]
    lines += [f"  output   {path}" for path in found.outputs]
    lines += [f"  input    {path}" for path in found.inputs_by_file]
    lines += [f"  setting  {_sides(one)}" for one in found.settings]
    lines += [f"  machine  {_sides(one)}" for one in found.facts or []]
    if found.facts is None:
        lines.append("  nothing is recorded of the machines: reports/environment.json lacks this stage on one side")
    elif not found.is_explained:
        lines.append("  nothing that is recorded differs with it: neither input, setting nor fact of the machine")
    return "\n".join(lines)


def _sides(one: tuple[str, Any, Any]) -> str:
    return "{}: {} -> {}".format(*one)
