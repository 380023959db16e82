"""The leaderboard in a terminal: as much of it as its width takes."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from typing import Literal

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from transfer_learning.core.errors import printable
from transfer_learning.reporting import leaderboard
from transfer_learning.reporting.leaderboard import AGAINST, Line, Section
from transfer_learning.reporting.trials import PARTS

WIDEST = 32  # characters of a cell: the settings that are lists have more
LINES = 20  # of a table; a page has them all
NAMED = 6  # columns for which there is no room
SHORT = {AGAINST: "against\nprobe"}
EXPENDABLE = (AGAINST, "time", "commit")  # where there is no room for all, in this order; then the last settings


def console() -> Console:
    """For standard output; what is no terminal is as wide as many are."""
    return Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else 120)


def show(sections: Sequence[Section], console: Console, parts: Sequence[str] = PARTS) -> None:
    """Print a table of each section, best first."""
    for number, section in enumerate(sections):
        if number:
            console.print(f"\nNot to be compared with those above, {section.note}:", soft_wrap=True)
        elif section.note:
            console.print(f"{section.note}:", soft_wrap=True)
        _show(section, console, parts)


def _show(section: Section, console: Console, parts: Sequence[str]) -> None:
    full = [leaderboard.lines(section.trials, parts, intervals=intervals) for intervals in (True, False)]
    columns = [column for column in full[0][0].cells if any(line.cells[column] for line in full[0])]
    unbounded = console.options.update_width(10_000)
    for lines, kept, break_words in _smaller(full[0], full[1], columns, parts):
        table = _table(lines[:LINES], kept, break_words=break_words)
        if Measurement.get(console, unbounded, table).maximum <= console.width:
            break
    console.print(table)
    rest = len(lines) - LINES
    without = [column for column in columns if column not in kept]
    named = ", ".join(without[:NAMED]) + (f" and {len(without) - NAMED} more" if len(without) > NAMED else "")
    said = [f"{rest} more lines"] * (rest > 0) + [f"no room for {named}"] * bool(without)
    if said:
        console.print("; ".join(said), soft_wrap=True)


def _smaller(
    full: list[Line], bare: list[Line], columns: list[str], parts: Sequence[str]
) -> Iterator[tuple[list[Line], list[str], bool]]:
    """Lines, columns, and whether the words of a heading are on lines of their own: less from one to the next."""
    yield full, columns, False
    kept = list(columns)
    for column in [*EXPENDABLE, None]:
        yield bare, kept, False
        yield bare, kept, True
        kept = [one for one in kept if one != column]
    settings = [one for one in kept if one not in ("experiment", *parts)]
    while settings:
        kept = [one for one in kept if one != settings[-1]]
        settings.pop()
        yield bare, kept, True


def _table(lines: Sequence[Line], columns: Sequence[str], *, break_words: bool) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("", justify="right", no_wrap=True)
    for column in columns:
        heading = SHORT.get(column, column.replace(".", ".\n"))
        heading = re.sub(r"(\w{5,}?_)(?=\w)", r"\1\n", heading) if break_words else heading
        justify: Literal["left", "right"] = "left" if column == "experiment" else "right"
        table.add_column(Text(heading), justify=justify, no_wrap=True, vertical="top")
    for line in lines:
        cells = [_shortened(line.cells[column]) for column in columns if column != "experiment"]
        names = Text("\n").join(map(_shortened, line.cells["experiment"].split(", ")))
        table.add_row(str(line.place or ""), names, *cells, style="bold" if line.is_mean else "")
    return table


def _shortened(text: str) -> Text:
    return Text(printable(text if len(text) <= WIDEST else f"{text[: WIDEST - 1]}…"))
