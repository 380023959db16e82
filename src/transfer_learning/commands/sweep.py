"""Run a recipe of conf/sweep through DVC's queue: a list of override lists, where `key=1,2` stands for both.

    ./tl sweep fine_tune_at --jobs 2

It shows how far it is and the best trial so far, and at the end all trials, best first. Started again, after an
interruption or with more in the recipe, it runs what is not done yet.
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
    from transfer_learning.reporting import leaderboard, leaderboard_table, sweep_view
    from transfer_learning.reporting.trials import of_experiments
    from transfer_learning.settings import params

    if arguments.recipe is None:
        raise UserError(f"name a recipe, one of {known()}")
    path = RECIPES / f"{arguments.recipe}.yaml"
    if not path.exists():
        raise UserError(f"no recipe {path}: {arguments.recipe} must be one of {known()}")
    trials = sweep.read(path)
    before = sweep.done([trial for trial in trials if not sweep.may_have_changed(trial)])
    waiting = [trial for trial in trials if trial.name not in before]
    print(f"sweep {arguments.recipe}: {len(trials)} trials, {len(before)} of them done before", flush=True)
    console = leaderboard_table.console()
    settings, here = [params.flatten(trial.values) for trial in trials], params.flat()
    if waiting:
        view = sweep_view.View(settings, list(before.values()), jobs=arguments.jobs, here=here, console=console)
        try:
            with view.shown():
                sweep.queue(waiting, show=view.queued)
                sweep.watch(waiting, jobs=arguments.jobs, show=view.update)
        except KeyboardInterrupt:
            print("run the same sweep again to go on", file=sys.stderr)
            raise
    done = sweep.done(trials)
    if done:
        record(list(done.values()))
        leaderboard_table.show(leaderboard.sections(of_experiments(done.values()), here), console)
    print(
        f"{len(done)} of {len(trials)} trials succeeded; `./tl leaderboard` sets them beside all others, in a page too"
    )
    if failed := [trial for trial in trials if trial.name not in done]:
        raise UserError("failed: " + "; ".join(sweep.save_log(trial) for trial in failed))


def record(names: list[str]) -> None:
    """Add to the MLflow store the trials that came out of the run cache, where no stage ran to do it."""
    command = [sys.executable, "src/cli.py", "record", *names]
    if subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode:
        print("warning: the MLflow store lacks trials of this sweep; `./tl record` adds them", file=sys.stderr)
