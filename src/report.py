"""Write one HTML file with everything about an experiment: results, curves, mistakes, settings, where they come from.

    python src/report.py               the workspace
    python src/report.py NAME          a DVC experiment

The file needs no other file and no network. It is put into the experiment's MLflow run too, as report/report.html.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from transfer_learning import contents, files, provenance, recording, report, results, revisions, stage, store
from transfer_learning.errors import UserError
from transfer_learning.parts import SPLIT


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="report", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", nargs="?", metavar="NAME", help="a DVC experiment")
    parser.add_argument("--out", type=Path, default=Path("report.html"), metavar="FILE", help="default: report.html")
    arguments = parser.parse_args()
    out: Path = arguments.out
    with tempfile.TemporaryDirectory() as aside:
        found, experiment = results.read(arguments.name, Path(aside))
        split = split_of(found, experiment, Path(aside))
        html = report.render(found, provenance.commit(experiment), split)
        write(html, out)
        print(f"{out}: the results of {experiment.name if experiment else 'the workspace'}, {len(html) / 1e6:.1f} MB")
        log(found, html)


def split_of(found: contents.Contents, experiment: revisions.Experiment | None, aside: Path) -> Path | None:
    """The split.csv of the results: the workspace's if it is that one, else from DVC; None where it is gone."""
    locked = {path: md5 for path, _, md5, _ in provenance.outputs(found.folder)}
    if SPLIT.exists() and files.digest(SPLIT, "md5") == locked.get(SPLIT.as_posix()):
        return SPLIT
    there = results.fetch_output(SPLIT, aside, experiment.commit if experiment else None)
    return aside / SPLIT if there else None


def write(html: str, out: Path) -> None:
    """Write the file.

    Raises:
        UserError: it cannot be written there.
    """
    try:
        if out.is_dir():
            raise UserError(f"--out {out} is a folder: name a file")
        with files.written_aside(out) as aside:
            aside.write_text(html, encoding="utf-8")
    except OSError as error:
        raise UserError(f"--out {out} cannot be written: {error.strerror}") from None


def log(found: contents.Contents, html: str) -> None:
    """Put the report into the run of its experiment; where that cannot be, say so in one line and go on."""
    try:
        with store.opened(recording.Recorder) as recorder:
            if recorder.log_report(found, html):
                return
        again = "make record" + (f" NAMES={found.name}" if found.name != revisions.WORKSPACE else "")
        problem = f"the MLflow store lacks the run of {found.name}: `{again}` adds it, then the report can be added"
    except UserError as error:
        problem = str(error)
    print(f"warning: not in MLflow: {problem}", file=sys.stderr)


if __name__ == "__main__":
    stage.run("report", main)
