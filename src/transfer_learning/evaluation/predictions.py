"""predictions.csv: what a model makes of each test photo, and the same of each validation photo. Written, read and
understood here and nowhere else."""

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
VALIDATION = Path("reports/validation_predictions.csv")  # so that two models can be paired on these photos too
COLUMNS = ("path", "sha256", "label", "probability", "predicted")
OF_LABEL = "label_probability"  # a further one where there are more than two classes
ROUNDING = 5e-7  # of a probability in the file

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

    def unsure(self, reject_below: float) -> np.ndarray:
        """(n,) whether the probability of the predicted class is below this; none is below 0."""
        return self.confidence < reject_below

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


@dataclass(frozen=True)
class Table:
    """A predictions.csv as numbers.

    Attributes:
        keys: sha256 of each of the n photos.
        classes: names, sorted.
        labels: (n,) index of the true class.
        predicted: (n,) index of the predicted class.
        said: (n,) the column `probability`.
        own: (n,) probability of the true class.
    """

    keys: list[str]
    classes: list[str]
    labels: np.ndarray
    predicted: np.ndarray
    said: np.ndarray
    own: np.ndarray

    @property
    def losses(self) -> np.ndarray:
        """(n,) cross-entropy, bounded by what six decimals can tell from 0."""
        return -np.log(self.own.clip(ROUNDING, 1 - ROUNDING))

    def at(self, places: Sequence[int]) -> Table:
        """The photos at these places, in their order."""
        columns = (column[places] for column in (self.labels, self.predicted, self.said, self.own))
        return Table([self.keys[place] for place in places], self.classes, *columns)


def numbers(text: str, name: str = PATH.name) -> Table:
    """A predictions.csv as numbers; raises as `read`."""
    found = read(text, name)
    table = list(found.values())
    classes = sorted({row["label"] for row in table})
    index = {label: number for number, label in enumerate(classes)}
    labels, predicted = (np.array([index[row[column]] for row in table]) for column in ("label", "predicted"))
    said, chosen = np.array([[float(row["probability"]), probability(row)] for row in table]).T
    own = np.where((labels == 0) & (OF_LABEL not in table[0]), 1 - chosen, chosen)
    return Table(list(found), classes, labels, predicted, said, own)


def rows(text: str) -> list[Row]:
    """Rows of a predictions.csv in their order, as they are."""
    return list(csv.DictReader(io.StringIO(text)))


def read(text: str, name: str = PATH.name) -> dict[str, Row]:
    """Rows of a predictions.csv by the sha256 of the photo.

    Args:
        name: of the file, for people.

    Raises:
        UserError: it has other columns, or no rows, a row cut short, a photo twice, or probabilities that cannot be.
    """
    try:
        table = rows(text)
    except csv.Error as error:
        raise UserError(f"{name} is no table ({error}): evaluate again") from None
    if not table:
        raise UserError(f"{name} has no photos: evaluate again")
    missing = [column for column in COLUMNS if column not in table[0]]
    if missing:
        raise UserError(f"{name} has no column {missing[0]}: an older version wrote it, evaluate again")
    found: dict[str, Row] = {}
    classes = {row["label"] for row in table}
    for number, row in enumerate(table, start=1):
        if None in row or None in row.values():
            raise UserError(f"{name}: photo {number} has not as many cells as there are columns: evaluate again")
        if problem := _problem(row, classes):
            raise UserError(f"{name}: photo {number} {problem}: evaluate again")
        if row["sha256"] in found:
            raise UserError(f"{name} has {row['path']} twice, also as {found[row['sha256']]['path']}: evaluate again")
        found[row["sha256"]] = row
    return found


def _problem(row: Row, classes: set[str]) -> str | None:
    """What no evaluation could have written in a row; None if it is well."""
    if not row["sha256"]:
        return "has no sha256"
    if row["predicted"] not in classes:
        return f"is predicted as {row['predicted']!r}, no photo's class"
    several = OF_LABEL in row
    if several != (len(classes) > 2) and len(classes) > 1:
        return f"has {'a' if several else 'no'} {OF_LABEL}, of {len(classes)} classes"
    for said in (row["probability"], row.get(OF_LABEL, "0")):
        try:
            value = float(said)
        except ValueError:
            value = float("nan")
        if not 0 <= value <= 1:  # nor is NaN
            return f"has a probability of {said!r}"
    if several:
        best, own = float(row["probability"]), float(row[OF_LABEL])
        if (right(row) and best != own) or own > best or (not right(row) and own + best > 1 + 4 * ROUNDING):
            return f"has probabilities of {best:g} and {own:g}, which contradict each other"
        if best < 1 / len(classes) - 4 * ROUNDING:
            return f"is predicted with {best:g}, less than another class must have"
    return None


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
