"""Whether a model is worse than another on the same test photos, told apart from chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import binom, bootstrap

from transfer_learning.core.errors import UserError
from transfer_learning.evaluation.metrics import mcnemar
from transfer_learning.evaluation.predictions import probability, read, right
from transfer_learning.settings.schema import Gate

RESAMPLES = 9999


class OtherPhotosError(UserError):
    """Two models were measured on different photos, or on photos with other labels."""


@dataclass(frozen=True)
class Flip:
    """A photo whose prediction changed; the probabilities are of the second of two classes, else of its own class."""

    path: str
    label: str
    base: float
    new: float
    sha256: str = ""


@dataclass(frozen=True)
class Paired:
    """Two models on the same photos.

    Attributes:
        photos: how many.
        base_right: photos that the base model predicts right.
        lost: the photos that only the base model predicts right.
        gained: those that only the new model predicts right.
    """

    photos: int
    base_right: int
    lost: tuple[Flip, ...]
    gained: tuple[Flip, ...]

    @property
    def change(self) -> float:
        """Accuracy of the new model less that of the base, in [-1, 1]."""
        return (len(self.gained) - len(self.lost)) / self.photos

    @property
    def p_value(self) -> float:
        """Two-sided exact McNemar test: how often equal models differ at least this much (McNemar 1947)."""
        return mcnemar(len(self.lost), len(self.gained))

    @property
    def p_worse(self) -> float:
        """The same in one direction: how often the new one of two equal models loses at least this many photos."""
        return float(binom.sf(len(self.lost) - 1, len(self.lost) + len(self.gained), 0.5))

    def interval(self, confidence: float) -> tuple[float, float]:
        """Paired bootstrap percentile interval of the change (Efron and Tibshirani 1993): photos drawn again."""
        if not self.lost and not self.gained:
            return 0.0, 0.0
        changes = np.zeros(self.photos)
        changes[: len(self.lost)] = -1
        changes[len(self.lost) : len(self.lost) + len(self.gained)] = 1
        options = {"n_resamples": RESAMPLES, "batch": 1000, "rng": np.random.default_rng(0)}
        found = bootstrap((changes,), np.mean, confidence_level=confidence, method="percentile", **options)
        return float(found.confidence_interval.low), float(found.confidence_interval.high)

    def worse(self, gate: Gate) -> str | None:
        """Why the new model counts as worse, in words; None if it does not.

        It does for a drop beyond the tolerance that equal models would show in less than `significance` of all cases,
        and for any drop that the two-sided test calls significant. Both together raise a false alarm in at most
        `significance` of all pairs of equal models, however few the photos (benchmarks/gate.py).
        """
        drop = f"its accuracy is lower by {-self.change:.1%}"
        if self.change < -gate.accuracy_tolerance - 1e-9 and self.p_worse < gate.significance:
            return f"{drop}, more than the {gate.accuracy_tolerance:.1%} allowed (by chance in {self.p_worse:.2g})"
        if self.change < 0 and self.p_value < gate.significance:
            return (
                f"{drop}, within the {gate.accuracy_tolerance:.1%} allowed, but not by chance (p = {self.p_value:.2g})"
            )
        return None

    def __str__(self) -> str:
        base = self.base_right / self.photos
        return (
            f"accuracy {base:.1%} -> {base + self.change:.1%} on {self.photos} photos: {len(self.gained)} gained, "
            f"{len(self.lost)} lost, p = {self.p_value:.2g}"
        )


def pair(base: str, new: str) -> Paired:
    """Pair two models' predictions photo by photo, by the content of the photos.

    Args:
        base: text of a predictions.csv.
        new: the same of the other model.

    Raises:
        OtherPhotosError: they tell other classes apart, or are of other photos.
        UserError: one of them is no such table.
    """
    before, after = read(base), read(new)
    classes, others = ({row["label"] for row in rows.values()} for rows in (before, after))
    if classes != others:
        raise OtherPhotosError(
            f"the classes differ: {_some(classes - others)} only there, {_some(others - classes)} only here"
        )
    common = before.keys() & after.keys()
    if len(common) < max(len(before), len(after)):
        raise OtherPhotosError(
            f"the test photos differ: {len(before)} there, {len(after)} here, {len(common)} of them the same "
            "(seed, split.* and the data decide which they are)"
        )
    relabelled = [after[key]["path"] for key in after if before[key]["label"] != after[key]["label"]]
    if relabelled:
        raise OtherPhotosError(f"{len(relabelled)} test photos have another label now, such as {relabelled[0]}")
    flips = {
        key: Flip(row["path"], row["label"], probability(before[key]), probability(row), sha256=key)
        for key, row in after.items()
    }
    was_and_is = {key: (right(before[key]), right(row)) for key, row in after.items()}
    return Paired(
        photos=len(after),
        base_right=sum(was for was, _ in was_and_is.values()),
        lost=tuple(flips[key] for key, (was, now) in was_and_is.items() if was and not now),
        gained=tuple(flips[key] for key, (was, now) in was_and_is.items() if now and not was),
    )


def _some(names: set[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return (", ".join(sorted(names)[:5]) or "none") + more
