"""Print the experiments on the photos at hand, best first, and write them all as a page with a figure beside it.

    ./tl leaderboard                   those of the checked-out commit
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
    from transfer_learning.core import files
    from transfer_learning.experiments import lock
    from transfer_learning.reporting import leaderboard, leaderboard_page, leaderboard_table, trials
    from transfer_learning.settings import params

    table, figure = arguments.out, arguments.out.with_suffix(".png")
    if table.suffix != ".md":
        raise UserError(f"--out {table}: name a .md file; the figure is put beside it")
    parts = ("validation",) if arguments.validation else trials.PARTS
    recorded, here = lock.outputs(lock.read()), params.flat()
    found, left_out = trials.read(trials.candidates(every_commit=arguments.all), arguments.names)
    if left_out:
        print(f"without {left_out} that have not run to their end with their settings")
    data, photos = str(here["data.name"]), recorded.get("data/raw", "")
    chosen = [trial for trial in found if (trial.settings["data.name"], trial.photos) == (data, photos)]
    if len(chosen) < len(found):
        print(f"without {len(found) - len(chosen)} experiments on other photos than those of the workspace")
    if not chosen:
        raise UserError(f"no experiment on {data} has run to its end: `dvc repro`, `dvc exp run` and `./tl sweep` do")
    sections = leaderboard.sections(chosen, here)
    leaderboard_table.show(sections, leaderboard_table.console(), parts)
    title, command = arguments.title or f"Leaderboard of {data}", shlex.join(["./tl", *sys.argv[1:]])
    page = leaderboard_page.markdown(sections, title=title, figure=figure.name, command=command, parts=parts)
    with files.written_aside(table) as aside:
        aside.write_text(page)
    drawn = sections[0].trials
    if leaderboard.varying([trial.settings for trial in drawn]):
        from transfer_learning.reporting import leaderboard_figure  # matplotlib

        leaderboard_figure.draw(figure, drawn, title=f"{len(drawn)} experiments on {data}; bar: mean", parts=parts)
    else:
        figure.unlink(missing_ok=True)  # there is nothing to draw a result against
    print(f"{len(chosen)} experiments in {table}" + (f" and {figure}" if figure.exists() else ""))
