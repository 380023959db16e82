"""Find photos whose label looks wrong, and write a page on which a person ticks those that are.

    ./tl labels                    of the workspace's photos, into labels.html

Open the page in a browser, tick, and save corrections.csv. Then `dvc exp run -S split.corrections=FILE` gives these
photos the class that you have chosen, or leaves them out. Every photo is judged by linear probes that have not seen it.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from transfer_learning.core.errors import printable

if TYPE_CHECKING:
    from rich.table import Table

    from transfer_learning.reporting.label_issues import Issue

LISTED = 10  # photos in the table


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, default=Path("labels.html"), metavar="FILE", help="default: labels.html")


def run(arguments: argparse.Namespace) -> None:
    from rich.console import Console

    from transfer_learning.ingest import corrections
    from transfer_learning.photos import inventory
    from transfer_learning.reporting import label_issues, label_page, pages
    from transfer_learning.settings import params

    settings = params.check(params.read_yaml(Path("params.yaml")))
    found = label_issues.in_workspace(settings)
    earlier = corrections.read(Path(settings.split.watch))
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    if found.issues:
        console.print(table(found.issues[:LISTED]))
    console.print(f"{len(found.issues):,} of {found.photos:,} photos have a label that looks wrong")
    html = label_page.render(found, inventory.read(Path("data/raw")), earlier, data=settings.data.name)
    pages.write(html, arguments.out, "--out")
    shown = min(len(found.issues), label_page.MOST)
    print(f"{arguments.out}: {shown:,} of them to look at, the surest first, {len(html) / 1e6:.1f} MB")


def table(issues: list[Issue]) -> Table:
    """Photos with their label and the one that is suggested."""
    from rich.table import Table
    from rich.text import Text

    shown = Table()
    for column in ("photo", "part", "label", "suggested"):
        shown.add_column(column, overflow="fold")
    shown.add_column("probability", justify="right")
    for one in issues:
        names = (Text(printable(text)) for text in (one.path.as_posix(), one.part, one.label, one.likely[0]))
        shown.add_row(*names, f"{one.probability:.1%}")
    return shown
