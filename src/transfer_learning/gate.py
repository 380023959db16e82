"""Whether a model is worse than another on the same test photos, told apart from chance."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass

from scipy.stats import binomtest

from transfer_learning.errors import UserError
from transfer_learning.settings import Gate

COLUMNS = ("path", "sha256", "label", "probability", "predicted")  # of reports/test/predictions.csv


@dataclass(frozen=True)
class Paired:
    """Two models on the same photos.

    Attributes:
        photos: how many.
        base_right: photos that the base model predicts right.
        lost: paths of the photos that only the base model predicts right.
        gained: paths of those that only the new model predicts right.
    """

    photos: int
    base_right: int
    lost: tuple[str, ...]
    gained: tuple[str, ...]

    @property
    def change(self) -> float:
        """Accuracy of the new model less that of the base, in [-1, 1]."""
        return (len(self.gained) - len(self.lost)) / self.photos

    @property
    def p_value(self) -> float:
        """Two-sided exact McNemar test: how often equal models differ at least this much (McNemar 1947)."""
        return mcnemar(len(self.lost), len(self.gained))

    def worse(self, gate: Gate) -> str | None:
        """Why the new model counts as worse, in words; None if it does not."""
        if self.change < -gate.accuracy_tolerance - 1e-9:  # 2 of 200 photos is no more than 0.01
            return (
                f"its accuracy is lower by {-self.change:.1%}, more than {gate.accuracy_tolerance:.1%} is not allowed"
            )
        if self.change < 0 and self.p_value < gate.significance:
            return f"its accuracy is lower by {-self.change:.1%}, not by chance (p = {self.p_value:.3g})"
        return None

    def __str__(self) -> str:
        base = self.base_right / self.photos
        return (
            f"accuracy {base:.1%} -> {base + self.change:.1%} on {self.photos} photos: {len(self.gained)} gained, "
            f"{len(self.lost)} lost, p = {self.p_value:.2g}"
        )


def mcnemar(lost: int, gained: int) -> float:
    """p-value in (0, 1] of the two-sided exact McNemar test from the numbers of photos that changed either way."""
    return float(binomtest(lost, lost + gained).pvalue) if lost + gained else 1.0


def pair(base: str, new: str) -> Paired:
    """Pair two models' predictions photo by photo, by the content of the photos.

    Args:
        base: text of a predictions.csv.
        new: the same of the other model.

    Raises:
        UserError: they tell other classes apart, or are of other photos.
    """
    before, after = _read(base), _read(new)
    classes, others = ({row["label"] for row in rows.values()} for rows in (before, after))
    if classes != others:
        raise UserError(f"the classes differ: {', '.join(sorted(classes))} there, {', '.join(sorted(others))} here")
    common = before.keys() & after.keys()
    if len(common) < max(len(before), len(after)):
        raise UserError(
            f"the test photos differ: {len(before)} there, {len(after)} here, {len(common)} of them the same "
            "(seed, split.* and the data decide which they are)"
        )
    relabelled = [after[key]["path"] for key in after if before[key]["label"] != after[key]["label"]]
    if relabelled:
        raise UserError(f"{len(relabelled)} test photos have another label now, such as {relabelled[0]}")
    right = {key: (_right(before[key]), _right(after[key])) for key in after}
    return Paired(
        photos=len(after),
        base_right=sum(was for was, _ in right.values()),
        lost=tuple(after[key]["path"] for key, (was, now) in right.items() if was and not now),
        gained=tuple(after[key]["path"] for key, (was, now) in right.items() if now and not was),
    )


def _right(row: dict[str, str]) -> bool:
    return row["label"] == row["predicted"]


def _read(text: str) -> dict[str, dict[str, str]]:
    """Rows of a predictions.csv by the sha256 of the photo."""
    reader = csv.DictReader(io.StringIO(text))
    missing = [column for column in COLUMNS if column not in (reader.fieldnames or [])]
    if missing:
        raise UserError(f"predictions.csv has no column {missing[0]}: an older version wrote it, evaluate again")
    return {row["sha256"]: row for row in reader}
