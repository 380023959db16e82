"""Look at photos of one's own before training: a folder, an archive or the URL of one. Changes nothing.

    ./tl new-data ~/Pictures/flowers
    ./tl new-data photos.zip data.encoding=gbk 'data.leave_out=[unsorted]'
    ./tl new-data ~/Pictures/flowers --pairs pairs.html

It ends with the command that runs the experiment on them.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transfer_learning.core.errors import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from transfer_learning.reporting import new_photos

FEW_TEST_PHOTOS = 100  # the 95 % interval of 90 right of 100 reaches from 83 to 94 %
LISTED = 10  # lines of each kind
ENDS = 6  # largest and smallest classes, where there are many


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", metavar="FOLDER", help="a folder of photos, a zip or tar file of one, or its URL")
    pairs = "write a page that shows photos that may look the same side by side"
    parser.add_argument("--pairs", type=Path, metavar="FILE.html", help=pairs)
    parser.add_argument("setting", nargs="*", help="settings to look with, such as data.skip_broken=true")


def run(arguments: argparse.Namespace) -> None:
    from rich.console import Console
    from rich.markup import escape

    from transfer_learning.ingest import own_folder
    from transfer_learning.reporting import new_photos, pages, pairs_page

    given: str = arguments.path
    out: Path | None = arguments.pairs
    if out:
        pages.refuse(out, "--pairs")
    changed: list[str] = arguments.setting
    values = composed(given, changed)
    console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 100)
    source = own_folder.find(given)
    with tempfile.TemporaryDirectory() as aside:
        listing = own_folder.listed(source, Path(aside) / "photos", values.data)
        for note in listing.notes():
            console.print(escape(note))
        found = new_photos.look(listing.folder, listing.paths, values)
        named = given if own_folder.is_url(given) else str(source)
        if out:
            pages.write(pairs_page.render(found, listing.folder, named), out, "--pairs")
    show(console, found, named, changed)
    if out:
        console.print(escape(printable(f"{out}: the photos that may look the same, side by side")))


def composed(path: str, changed: list[str]) -> Any:
    """The settings of an experiment on these photos."""
    from transfer_learning.experiments.compose import compose
    from transfer_learning.reporting import new_photos
    from transfer_learning.settings import params

    with tempfile.TemporaryDirectory() as aside:
        target = Path(aside) / "params.yaml"
        compose(target, ["data=folder", f"data.path={new_photos.quoted(path)}", *changed])
        return params.check(params.read_yaml(target))


def show(console: Console, found: new_photos.Findings, path: str, changed: list[str]) -> None:
    """Print what was found and what to run."""
    from rich.markup import escape

    from transfer_learning.ingest.splitting import describe
    from transfer_learning.reporting import new_photos, recipe, too_little

    console.print(_classes(found))
    low, middle, high = (tuple(edge) for edge in _quantiles(found))
    formats = ", ".join(f"{number:,} {kind}" for kind, number in found.formats.items())
    console.print(f"sizes: {low[0]} x {low[1]} to {high[0]} x {high[1]} pixels, median {middle[0]} x {middle[1]}")
    console.print(f"formats: {formats}")
    _list(console, "cannot be read", [f"{name} {why}" for name, why in found.broken.items()])
    console.print(f"exact duplicates within a class: {found.repeated} (the split leaves them out)")
    _list(console, "the same photo in two classes: remove one of each pair", _pairs(found.contradictions))
    title = "pair(s) in different parts may look the same (--pairs FILE.html shows them side by side)"
    alike = [f"{100 * pair.similarity:.0f} %  {pair.one}  {pair.other}" for pair in found.similar]
    _list(console, title, alike)
    if found.split is not None:
        console.print(escape(f"the split would be: {describe(found.split)}"))
        test = int((found.split["part"] == "test").sum())
        if test < FEW_TEST_PHOTOS:
            console.print(f"{test} test photos are few: a result on them says little", style="bold yellow")
    else:
        console.print(f"the split would be refused: {escape(found.refused)}", style="bold red")
    for line in too_little.warnings(found.table.drop_duplicates("sha256")):
        console.print(escape(printable(line)), style="bold yellow")
    chosen = new_photos.proposals(found, path, changed)
    console.print("\nTo run the experiment on them:\n", style="bold")
    console.print(f"  {escape(new_photos.command(chosen))}\n")
    for override, reason in chosen:
        if reason:
            console.print(escape(f"  {override}: {reason}"))
        if override.startswith("+recipe="):  # as it is: what else was given, people know
            values = composed(path, [override, *(one for one in changed if one.startswith("data."))])
            sets = recipe.reasons(values, found.sizes, found.split)
            for name, why in sets:
                console.print(escape(f"    {name}: {why}"))


def _classes(found: new_photos.Findings) -> Table:
    from rich.markup import escape
    from rich.table import Table

    from transfer_learning.photos.parts import PARTS

    counts = found.table.groupby(["label", "part"]).size().unstack(fill_value=0)
    counts = counts.loc[counts.sum(axis=1).sort_values(ascending=False, kind="stable").index]
    parts = [part for part in PARTS if part in counts]
    table = Table(title=f"{len(counts)} classes, {len(found.table):,} photos that can be read", title_justify="left")
    table.add_column("class", overflow="fold")
    for part in parts or ["photos"]:
        table.add_column(part, justify="right")
    few = len(counts) <= 2 * ENDS + 1
    for number, (label, row) in enumerate(counts.iterrows()):
        if few or number < ENDS or number >= len(counts) - ENDS:
            table.add_row(escape(printable(str(label))), *(f"{row[part]:,}" for part in parts or [""]))
        elif number == ENDS:
            table.add_row(f"... {len(counts) - 2 * ENDS} more", *("" for _ in parts or [""]))
    return table


def _quantiles(found: new_photos.Findings) -> list[Any]:
    order = found.sizes.prod(axis=1).argsort(kind="stable")
    return [found.sizes[order[index]].tolist() for index in (0, len(order) // 2, -1)]


def _pairs(pairs: list[tuple[str, str]]) -> list[str]:
    return [f"{one}  {other}" for one, other in pairs]


def _list(console: Console, title: str, lines: list[str]) -> None:
    from rich.markup import escape

    if lines:
        console.print(f"{len(lines)} {title}:", style="bold yellow")
        for line in lines[:LISTED]:
            console.print(escape(printable(f"  {line}")))
        if len(lines) > LISTED:
            console.print(f"  ... and {len(lines) - LISTED} more")
