"""Write a table of experiments on the photos at hand, side by side, and a figure beside it.

    ./tl leaderboard                   those that `dvc exp show` shows, of the checked-out commit
    ./tl leaderboard --all             of every commit; their code may differ
    ./tl leaderboard 'best-*' workspace --out best.md --title 'How best was chosen'

The page ends with the command that makes it.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from transfer_learning.core.errors import UserError


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", nargs="*", metavar="NAME", help="an experiment, a pattern of several, or workspace")
    parser.add_argument(
        "--out", type=Path, default=Path("reports/leaderboard.md"), metavar="FILE",
        help="default: reports/leaderboard.md; the figure is the .png beside it",
    )  # fmt: skip
    parser.add_argument("--title", metavar="TEXT", help="default: Leaderboard of the data's name")
    parser.add_argument("--all", action="store_true", help="experiments of every commit")
    parser.add_argument("--validation", action="store_true", help="without test results, while something is chosen")


def run(arguments: argparse.Namespace) -> None:
    import json

    from transfer_learning.core import files
    from transfer_learning.experiments import lock, revisions
    from transfer_learning.reporting import leaderboard, leaderboard_figure
    from transfer_learning.settings import params

    table, figure = arguments.out, arguments.out.with_suffix(".png")
    if table.suffix != ".md":
        raise UserError(f"--out {table}: name a .md file; the figure is put beside it")
    parts = ["validation"] if arguments.validation else list(leaderboard.PARTS)
    recorded = lock.outputs(lock.read())
    shown = json.loads(revisions.dvc("exp", "show", "--json", *(["--all-commits"] if arguments.all else [])))
    trials, left_out = leaderboard.read(shown, arguments.names)
    if left_out:
        print(f"without {left_out} that have not run to their end with their settings")
    data, photos = str(params.flat()["data.name"]), recorded.get("data/raw", "")
    chosen = [trial for trial in trials if (trial.settings["data.name"], trial.photos) == (data, photos)]
    if len(chosen) < len(trials):
        print(f"without {len(trials) - len(chosen)} experiments on other photos than those of the workspace")
    if not chosen:
        raise UserError(f"no experiment on {data} has run to its end: `dvc repro`, `dvc exp run` and `./tl sweep` do")
    title, command = arguments.title or f"Leaderboard of {data}", shlex.join(["./tl", *sys.argv[1:]])
    with files.written_aside(table) as aside:
        aside.write_text(leaderboard.markdown(chosen, title=title, figure=figure.name, command=command, parts=parts))
    if leaderboard.varying(chosen):
        leaderboard_figure.draw(figure, chosen, title=f"{len(chosen)} experiments on {data}; bar: mean", parts=parts)
    else:
        figure.unlink(missing_ok=True)  # there is nothing to draw a result against
    print(f"{len(chosen)} experiments in {table}" + (f" and {figure}" if figure.exists() else ""))
