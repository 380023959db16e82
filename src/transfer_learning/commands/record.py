"""Record into MLflow whatever DVC has and the store lacks.

    ./tl record            the workspace and every experiment of the checked-out commit
    ./tl record NAME ...   these experiments, of whatever commit

What is there already is left alone, so it can run as often as one likes. Runs whose process is gone are closed.
"""

from __future__ import annotations

import argparse


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", nargs="*", metavar="NAME", help="a DVC experiment")
    what = "only what DVC is running in this folder, when standard input says that it is done (evaluate starts this)"
    parser.add_argument("--here", action="store_true", help=what)


def run(arguments: argparse.Namespace) -> None:
    from transfer_learning.tracking import record

    if arguments.here:
        record.running()
        return
    added = record.missing(arguments.names)
    print("\n".join(added) if added else "nothing was missing: the store has every experiment that DVC has")
