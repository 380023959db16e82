"""history.csv of a training phase: where it lies, its columns, how it is written and read."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from transfer_learning.core.files import written_aside

if TYPE_CHECKING:  # commands that only read a history start without pandas
    import pandas as pd

COLUMNS = ["epoch", "loss", "accuracy", "val_loss", "val_accuracy"]
HISTORIES = {"train_frozen": "reports/frozen/history.csv", "finetune": "reports/finetune/history.csv"}  # by stage

Row = dict[str, float]
"""An epoch: COLUMNS, the epoch a whole number counted from 1 over both phases, the others at six decimals."""


def best(rows: Iterable[Row], monitor: str) -> Row:
    """The row that is best on validation, the first of equal ones.

    Args:
        rows: at least one.
        monitor: loss, or accuracy, of which the lower loss decides between equal ones.
    """
    if monitor == "accuracy":
        return min(rows, key=lambda row: (-row["val_accuracy"], row["val_loss"], row["epoch"]))
    return min(rows, key=lambda row: (row["val_loss"], row["epoch"]))


def write(history: pd.DataFrame, stage: str) -> None:
    """Write the history of a stage, with COLUMNS, to its place."""
    with written_aside(Path(HISTORIES[stage])) as aside:
        history.to_csv(aside, index=False, lineterminator="\n")


def read(stage: str, folder: Path = Path()) -> list[Row]:
    """Read the history of a stage.

    Args:
        folder: a workspace, or the exported files of a revision.
    """
    with open(folder / HISTORIES[stage], newline="", encoding="utf-8") as file:
        return _parsed(file)


def parse(text: str) -> list[Row]:
    """Read the text of a history.csv."""
    return _parsed(text.splitlines())


def _parsed(lines: Iterable[str]) -> list[Row]:
    rows = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(lines)]
    return [row | {"epoch": int(row["epoch"])} for row in rows]
