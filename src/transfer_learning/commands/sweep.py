"""Run a recipe of conf/sweep through DVC's queue: a list of override lists, where `key=1,2` stands for both.

    ./tl sweep fine_tune_at --jobs 2

Started again, after an interruption or with more in the recipe, it runs what is not done yet.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from transfer_learning.core.errors import UserError

RECIPES = Path("conf/sweep")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("recipe", nargs="?", metavar="RECIPE", help=f"a file of {RECIPES}: {known()}")
    parser.add_argument("-j", "--jobs", type=int, default=1, metavar="N", help="trials at a time; default: 1")


def known() -> str:
    """The names of all recipes."""
    return ", ".join(sorted(path.stem for path in RECIPES.glob("*.yaml")))


def run(arguments: argparse.Namespace) -> None:
    from transfer_learning.experiments import sweep

    if arguments.recipe is None:
        raise UserError(f"name a recipe, one of {known()}")
    path = RECIPES / f"{arguments.recipe}.yaml"
    if not path.exists():
        raise UserError(f"no recipe {path}: {arguments.recipe} must be one of {known()}")
    trials = sweep.read(path)
    waiting = [trial for trial in trials if sweep.may_have_changed(trial) or not sweep.is_done(trial)]
    done = len(trials) - len(waiting)
    print(f"sweep {arguments.recipe}: {len(trials)} trials, {done} of them done before", flush=True)
    sweep.queue(waiting)
    failed = sweep.watch(waiting, jobs=arguments.jobs) if waiting else []
    if len(failed) < len(trials):
        record([trial.name for trial in trials if trial not in failed])
    print(f"{len(trials) - len(failed)} of {len(trials)} trials succeeded; `dvc exp show --only-changed` compares them")
    if failed:
        raise UserError("failed: " + "; ".join(sweep.save_log(trial) for trial in failed))


def record(names: list[str]) -> None:
    """Add to the MLflow store the trials that came out of the run cache, where no stage ran to do it."""
    command = [sys.executable, "src/cli.py", "record", *names]
    if subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode:
        print("warning: the MLflow store lacks trials of this sweep; `./tl record` adds them", file=sys.stderr)
