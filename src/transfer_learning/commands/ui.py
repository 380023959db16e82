"""Add to the MLflow store what it lacks, as `./tl record` does, and start its UI on 127.0.0.1."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING

from transfer_learning.core.errors import UserError

if TYPE_CHECKING:
    from transfer_learning.tracking import store


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", help="default: the environment variable PORT, else 5000")


def run(arguments: argparse.Namespace) -> None:
    from transfer_learning.tracking import record, store

    port = arguments.port or os.environ.get("PORT", "5000")
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise UserError(f"port {port!r}: allowed is a number from 1 to 65535")
    opened = store.Store()  # it is there from now on, readable and of this version of MLflow
    try:
        if added := record.missing():
            print("\n".join(added), flush=True)
    except UserError as error:
        print(f"warning: {error}", file=sys.stderr, flush=True)
    page = _runs(opened)
    if store.uri().startswith("http"):
        print(f"the store is a server, with a UI of its own: {store.shown()}/{page}")
        return
    os.environ["MLFLOW_BACKEND_STORE_URI"] = store.uri()  # not on the command line, where others see a password
    os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"  # halves memory and start-up time
    print(f"MLflow UI of {store.shown()}: http://127.0.0.1:{port}/{page} in about 15 s; Ctrl-C stops it", flush=True)
    options = ["--host", "127.0.0.1", "--port", port, "--workers", "1"]
    os.execv(sys.executable, [sys.executable, "-m", "mlflow", "ui", *options])


def _runs(opened: store.Store) -> str:
    """The page with the runs of the data at hand; without the parameters MLflow opens on its pages for chat models."""
    from transfer_learning.settings import params
    from transfer_learning.tracking import store

    try:
        experiment = opened.experiment(str(params.flat()["data.name"]))
    except (UserError, OSError, KeyError) as error:  # there is no readable params.yaml, as amid a merge
        print(f"warning: params.yaml: {error}", file=sys.stderr, flush=True)
        return ""
    if experiment is None:
        return ""
    view = f"&viewStateShareKey={store.VIEW}" if store.VIEW_TAG in opened.client.get_experiment(experiment).tags else ""
    return f"#/experiments/{experiment}/runs?workflowType=machine_learning{view}"
