"""Record a training stage into MLflow while it runs; the stage starts this and writes to its standard input."""

from __future__ import annotations

import argparse


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("stage", choices=("train_frozen", "finetune"))


def run(arguments: argparse.Namespace) -> None:
    from transfer_learning.tracking import follow

    follow.until_the_end(arguments.stage)
