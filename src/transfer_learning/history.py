"""history.csv of a training phase: where it lies, its columns, and the metrics that follow from it."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING

from transfer_learning.files import written_aside

if TYPE_CHECKING:  # commands that only read a history start without pandas
    import pandas as pd

    from transfer_learning.training_schema import Phase

COLUMNS = ["epoch", "loss", "accuracy", "val_loss", "val_accuracy"]
HISTORIES = {"train_frozen": "reports/frozen/history.csv", "finetune": "reports/finetune/history.csv"}  # by stage

Row = dict[str, float]
"""An epoch: COLUMNS, the epoch a whole number counted from 1 over both phases, the others at six decimals."""


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
        rows = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
    return [row | {"epoch": int(row["epoch"])} for row in rows]


def metrics(history: pd.DataFrame, phase: Phase) -> dict[str, object]:
    """Metrics of the weights that a phase ends with, by name: after its last epoch, or with early stopping after the
    one with the lowest validation loss, whose number is `best_epoch`."""
    if not phase.early_stopping:
        return history.drop(columns="epoch").iloc[-1].to_dict()
    trained = history[history["epoch"] > 0]
    best = trained.loc[trained["val_loss"].idxmin()]  # the first of equal ones
    return best.drop("epoch").to_dict() | {"best_epoch": int(best["epoch"])}
