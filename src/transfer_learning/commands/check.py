"""Check what CI and pre-commit guard, without data, training or network.

A line for each check. The exit code is 1 where one is wrong.
"""

from __future__ import annotations

import argparse
import sys

from transfer_learning.core.errors import UserError


def configure(parser: argparse.ArgumentParser) -> None:
    """It takes no arguments."""


def run(arguments: argparse.Namespace) -> None:
    from transfer_learning.reporting.checks import CHECKS

    wrong = False
    for what, check in CHECKS.items():
        try:
            problem = check()
        except UserError as error:
            problem = str(error)
        wrong = wrong or problem is not None
        print(f"ok     {what}" if problem is None else f"wrong  {what}: {problem}")
    if wrong:
        sys.exit(1)
