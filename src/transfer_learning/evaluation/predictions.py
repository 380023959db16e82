"""predictions.csv: what a model makes of each test photo. Written, read and understood here and nowhere else."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from transfer_learning.core.errors import UserError
from transfer_learning.core.files import written_aside
from transfer_learning.photos.inventory import Photos

PATH = Path("reports/test/predictions.csv")
COLUMNS = ("path", "sha256", "label", "probability", "predicted")
OF_LABEL = "label_probability"  # a further one where there are more than two classes

Row = dict[str, str]
"""A photo, by column. `probability` is that of the second of two classes; of more it is that of the predicted class,
and `label_probability` that of the true one."""


@dataclass(frozen=True)
class Predictions:
    """What a model makes of n photos.

    Attributes:
        paths: of the photos, relative to their folder.
        labels: (n,) index of the true class.
        probabilities: (n, classes) in [0, 1].
        predicted: (n,) index of the predicted class.
        classes: names, sorted.
    """

    paths: Sequence[Path]
    labels: np.ndarray
    probabilities: np.ndarray
    predicted: np.ndarray
    classes: Sequence[str]

    @property
    def confidence(self) -> np.ndarray:
        """(n,) probability of the predicted class."""
        return self.probabilities[np.arange(len(self.predicted)), self.predicted]

    @property
    def wrong(self) -> np.ndarray:
        """(n,) whether another class than the true one is predicted."""
        return self.predicted != self.labels

    def least_sure(self, number: int = 8) -> np.ndarray:
        """Indices of the photos whose most probable class is the least so: where a difference shows most."""
        return np.argsort(self.probabilities.max(axis=1), kind="stable")[:number]


def write(path: Path, found: Predictions, photos: Photos) -> None:
    """Write one row a photo.

    Args:
        photos: those that were predicted are among them.
    """
    two, rows = len(found.classes) == 2, np.arange(len(found.labels))
    columns: list[Iterable[Any]] = [
        (photo.as_posix() for photo in found.paths),
        map(photos.sha256, found.paths),
        (found.classes[label] for label in found.labels),
        _rounded(found.probabilities[:, 1] if two else found.confidence),
        (found.classes[predicted] for predicted in found.predicted),
    ]
    if not two:
        columns.append(_rounded(found.probabilities[rows, found.labels]))
    with written_aside(path) as aside, open(aside, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS if two else (*COLUMNS, OF_LABEL))
        writer.writerows(zip(*columns, strict=True))


def _rounded(probabilities: np.ndarray) -> list[float]:
    return probabilities.astype(float).round(6).tolist()


def rows(text: str) -> list[Row]:
    """Rows of a predictions.csv in their order, as they are."""
    return list(csv.DictReader(io.StringIO(text)))


def read(text: str) -> dict[str, Row]:
    """Rows of a predictions.csv by the sha256 of the photo.

    Raises:
        UserError: it has other columns, or no rows, or a probability that is no number.
    """
    table = rows(text)
    if not table:
        raise UserError("predictions.csv has no photos: evaluate again")
    missing = [column for column in COLUMNS if column not in table[0]]
    if missing:
        raise UserError(f"predictions.csv has no column {missing[0]}: an older version wrote it, evaluate again")
    for row in table:
        try:
            probability(row)
        except (TypeError, ValueError):
            said = row.get(OF_LABEL, row["probability"])
            raise UserError(f"predictions.csv has a probability of {said!r}: evaluate again") from None
    return {row["sha256"]: row for row in table}


def probability(row: Row) -> float:
    """Probability of the second of two classes; of more that of the photo's own class."""
    return float(row.get(OF_LABEL, row["probability"]))


def right(row: Row) -> bool:
    """Whether the true class is predicted."""
    return row["label"] == row["predicted"]


def mistakes(table: Iterable[Row], classes: Sequence[str]) -> list[dict[str, Any]]:
    """Wrongly predicted photos, the surest first, with the probability of the predicted class as `confidence`."""
    wrong: list[dict[str, Any]] = []
    for row in table:
        if not right(row):
            first = len(classes) == 2 and row["predicted"] == classes[0]
            said = float(row["probability"])
            wrong.append({**row, "confidence": 1 - said if first else said})
    return sorted(wrong, key=lambda row: (-row["confidence"], row["path"]))
