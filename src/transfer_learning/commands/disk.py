"""Show where the gigabytes are, what is safe to delete, and what it costs to have it again. Changes nothing.

    ./tl disk

Links that the workspace shares with DVC's cache count for the cache.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transfer_learning.experiments import disk

Row = tuple[str, int, str, str]  # what, bytes, what removes it, what makes it again
TOOLS = (".mypy_cache", ".ruff_cache", ".pytest_cache")
LEAST = 500_000  # bytes of a row that is shown
MOST = 8  # sets of features that are listed


def configure(parser: argparse.ArgumentParser) -> None:
    """It has no arguments."""


def run(arguments: argparse.Namespace) -> None:
    from rich.console import Console
    from rich.table import Table

    from transfer_learning.experiments import disk, revisions
    from transfer_learning.experiments.kept import name_a_few

    experiments = revisions.experiments()
    cache = disk.cache(experiments)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 110)
    table = Table(box=None, pad_edge=False)
    for name, justify in (("what", "left"), ("size", "right"), ("removed by", "left"), ("again by", "left")):
        table.add_column(name, justify=justify, overflow="fold")  # type: ignore[arg-type]
    rows = list(_rows(cache, len(experiments)))
    for what, size, removes, again in rows:
        if size >= LEAST:
            table.add_row(what, gigabytes(size), removes, again)
    table.add_row("together", gigabytes(sum(row[1] for row in rows)))
    console.print(table)
    if len(cache.features) > 1:
        console.print("\nfeatures by setting, in DVC's cache:")
        for one in cache.features[:MOST]:
            console.print(
                f"  {gigabytes(one.size):>8}  {_described(one, cache)}  {name_a_few(one.names)}", markup=False
            )
        if len(cache.features) > MOST:
            console.print(f"  and {len(cache.features) - MOST} more")


def gigabytes(size: int) -> str:
    """A size for people: in GB, or MB below one."""
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def _rows(cache: disk.Cache, experiments: int) -> Iterator[Row]:
    from transfer_learning.experiments import disk, dvc_inside
    from transfer_learning.tracking import address

    counted: set[tuple[int, int]] = set()
    disk.size(dvc_inside.cache_folder(), counted)  # these count below, by whom they are wanted

    def taken(*paths: str | Path) -> int:
        return sum(disk.size(Path(path), counted) for path in paths if Path(path).exists())

    yield "environment, .venv", taken(".venv"), "make clean", "make environment: a download"
    yield "caches of tools", taken(*TOOLS), "make clean", "by themselves"
    yield "downloads, data/downloads", taken("data/downloads"), "make clean", "make repro: a download"
    yield "data, models: copies of DVC's cache", taken("data", "models"), "", "dvc checkout"
    yield "DVC's cache: here, branches, tags", cache.here, "", "make repro"
    name = f"DVC's cache: {experiments} experiments"
    yield name, cache.experiments, "./tl tidy", "running them again"
    yield "DVC's cache: of nobody, or in git", cache.nobody, "./tl tidy", "running them again"
    yield "DVC's queue, .dvc/tmp/exps", taken(".dvc/tmp/exps"), "dvc queue remove --all", ""
    yield "kept epochs, .dvc/tmp/epochs", taken(".dvc/tmp/epochs"), "itself, the oldest", "training again"
    yield "the rest of .dvc/tmp", taken(".dvc/tmp"), "", ""
    files = address.artifacts()
    yield (
        "MLflow: a copy of each model",
        taken(*(files.glob("*/models") if files else ())),
        "./tl tidy",
        "./tl record",
    )
    yield "MLflow: figures and tables", taken(*filter(None, [files])), "./tl tidy", "./tl record"
    yield "MLflow: numbers", taken(*filter(None, [address.database()])), "", "./tl record"
    yield "git, .git", taken(".git"), "", ""


def _described(one: disk.Features, cache: disk.Cache) -> str:
    """The settings in which sets of features differ."""
    varying = [key for key in one.settings if len({str(other.settings[key]) for other in cache.features}) > 1]
    return ", ".join(f"{key}={one.settings[key]}" for key in varying) or "the same settings, other photos or code"
