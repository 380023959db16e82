"""Write reports/leaderboard.md and .png: the experiments on the photos at hand, side by side.

python src/leaderboard.py         those that `dvc exp show` shows, of the checked-out commit
python src/leaderboard.py --all   of every commit; their code may differ
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from transfer_learning import contents, files, leaderboard, revisions, settings, stage
from transfer_learning.errors import UserError

TABLE, FIGURE = Path("reports/leaderboard.md"), Path("reports/leaderboard.png")


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="leaderboard", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--all", action="store_true", help="experiments of every commit")
    parser.add_argument("--validation", action="store_true", help="without test results, while something is chosen")
    arguments = parser.parse_args()
    parts = ["validation"] if arguments.validation else list(leaderboard.PARTS)
    shown = json.loads(revisions.dvc("exp", "show", "--json", *(["--all-commits"] if arguments.all else [])))
    trials, left_out = leaderboard.read(shown)
    if left_out:
        print(f"without {left_out} that have not run to their end with their settings")
    data, photos = str(settings.flat()["data.name"]), contents.locked(Path()).get("data/raw", "")
    chosen = [trial for trial in trials if (trial.settings["data.name"], trial.photos) == (data, photos)]
    if len(chosen) < len(trials):
        print(f"without {len(trials) - len(chosen)} experiments on other photos than those of the workspace")
    if not chosen:
        raise UserError(f"no experiment on {data} has run to its end: `dvc repro`, `dvc exp run` and `make sweep` do")
    with files.written_aside(TABLE) as aside:
        aside.write_text(leaderboard.markdown(chosen, title=f"Leaderboard of {data}", figure=FIGURE.name, parts=parts))
    if leaderboard.varying(chosen):
        leaderboard.draw(FIGURE, chosen, title=f"{len(chosen)} experiments on {data}; bar: mean", parts=parts)
    else:
        FIGURE.unlink(missing_ok=True)  # there is nothing to draw a result against
    print(f"{len(chosen)} experiments in {TABLE}" + (f" and {FIGURE}" if FIGURE.exists() else ""))


if __name__ == "__main__":
    stage.run("leaderboard", main)
