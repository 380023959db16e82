"""Push to DVC's remote every run that the run cache has, so that a colleague's `dvc exp run --pull` finds them.

    ./tl push    does `dvc push --run-cache`, then pushes what that leaves out

`dvc push` knows the outputs of the workspace and `dvc exp push` those of an experiment, both without the small files
that git keeps (`cache: false`). A run of which one file is missing is computed again.
"""

from __future__ import annotations

import argparse

from transfer_learning.core.errors import UserError


def configure(parser: argparse.ArgumentParser) -> None:
    """It takes no arguments."""


def run(arguments: argparse.Namespace) -> None:
    from transfer_learning.experiments import dvc_inside, revisions

    if not revisions.dvc_shown("push", "--run-cache"):
        raise UserError("`dvc push --run-cache` has failed, for the reason above")
    pushed, whole, gone = dvc_inside.push_runs()
    print(
        f"{pushed} more files pushed: the remote has all that {whole} runs of stages put out"
        + (f"; {gone} left out, whose outputs are not all here" if gone else "")
    )
