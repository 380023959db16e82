"""Write one HTML file with everything about an experiment: results, curves, mistakes, settings, where they come from.

    ./tl report                    the workspace, into report.html
    ./tl report NAME --out FILE    a DVC experiment

The file needs no other file and no network. It is put into the experiment's MLflow run too, as report/report.html.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from transfer_learning.core import files
from transfer_learning.core.errors import UserError
from transfer_learning.experiments import revisions

if TYPE_CHECKING:
    from transfer_learning.experiments import results


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", metavar="NAME", help="a DVC experiment")
    parser.add_argument("--out", type=Path, default=Path("report.html"), metavar="FILE", help="default: report.html")


def run(arguments: argparse.Namespace) -> None:
    from transfer_learning.experiments import results
    from transfer_learning.reporting import html as report
    from transfer_learning.reporting import pages, provenance

    out: Path = arguments.out
    with tempfile.TemporaryDirectory() as aside:
        found, experiment = results.read(arguments.name, Path(aside))
        split = split_of(found, experiment, Path(aside))
        html = report.render(found, provenance.commit(experiment), split)
        pages.write(html, out, "--out")
        print(f"{out}: the results of {experiment.name if experiment else 'the workspace'}, {len(html) / 1e6:.1f} MB")
        log(found, html)


def split_of(found: results.Results, experiment: revisions.Experiment | None, aside: Path) -> Path | None:
    """The split.csv of the results: the workspace's if it is that one, else from DVC; None where it is gone."""
    from transfer_learning.experiments import dvc_inside, lock
    from transfer_learning.photos.parts import SPLIT

    locked = lock.outputs(lock.read(found.folder))
    if SPLIT.exists() and files.digest(SPLIT, "md5") == locked.get(SPLIT.as_posix()):
        return SPLIT
    try:
        there = dvc_inside.fetch(SPLIT, aside, experiment.commit if experiment else None)
    except UserError as error:  # it is for one table
        print(f"warning: without the numbers of photos: {error}", file=sys.stderr)
        return None
    return aside / SPLIT if there else None


def log(found: results.Results, html: str) -> None:
    """Put the report into the run of its experiment; where that cannot be, say so in one line and go on."""
    from transfer_learning.tracking import contents, recorder

    try:
        if recorder.Recorder().log_report(contents.of(found), html):
            return
        again = "./tl record" + (f" {found.name}" if found.name != revisions.WORKSPACE else "")
        problem = f"the MLflow store lacks the run of {found.name}: `{again}` adds it, then the report can be added"
    except UserError as error:
        problem = str(error)
    print(f"warning: not in MLflow: {problem}", file=sys.stderr)
