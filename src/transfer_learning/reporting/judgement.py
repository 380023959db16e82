"""Which guarded metrics are worse: each photo of both models side by side, and one bound on chance for all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from transfer_learning.evaluation.predictions import Table
from transfer_learning.reporting import chance
from transfer_learning.reporting.contradictions import right_in_training
from transfer_learning.reporting.state import State
from transfer_learning.settings.schema import Gate

ACCURACY, LOSS, VALIDATED = "test/accuracy", "test/loss", "finetune/val_accuracy"
TOGETHER = "{}, test and validation together"
# A metric on its own photos must be so many times as rare as one on test and validation photos together, which see a
# change best; the bound for the whole gate is one (benchmarks/gate.md has both).
ALONE = 4.0
COUNTED = ("frozen/val_accuracy", VALIDATED)  # shares of the metric `photos` beside them
ROUNDED = 1e-9


def _balanced(table: Table) -> np.ndarray:
    photos = np.bincount(table.labels, minlength=len(table.classes))
    return (table.labels == table.predicted) * len(table.keys) / (len(table.classes) * photos[table.labels])


# (n,) what each photo adds to n times the metric; of the photos of which part. Losses are of the model as it is used,
# calibrated; that of training, in the metric finetune/val_loss, is not.
PER_PHOTO: dict[str, tuple[str, Callable[[Table], np.ndarray]]] = {
    ACCURACY: ("test", lambda table: (table.labels == table.predicted).astype(float)),
    LOSS: ("test", lambda table: table.losses),
    "test/balanced_accuracy": ("test", _balanced),
    VALIDATED: ("validation", lambda table: right_in_training(table).astype(float)),
    "finetune/val_loss": ("validation", lambda table: table.losses),
}


@dataclass(frozen=True)
class Judged:
    """A guarded metric of two models.

    Attributes:
        worse: by how much the new model is worse; below 0 it is better.
        chance: how often equal models would show this in any metric of the gate; None where nothing in git tells.
        strict: a drop within the tolerance counts too, where it is twice as rare.
        how: what it was judged by, for people.
    """

    name: str
    worse: float
    tolerance: float
    chance: float | None
    strict: bool = False
    how: str = "photo by photo"

    def reason(self, significance: float) -> str | None:
        """Why the new model counts as worse, in words; None if it does not."""
        if self.worse <= ROUNDED:
            return None
        said, beyond = f"{self.name} is worse by {self.worse:.4f}", self.worse > self.tolerance + ROUNDED
        if self.chance is None:
            return f"{said}, more than the {self.tolerance:g} allowed" if beyond else None
        if beyond and self.chance < significance:
            return f"{said}, more than the {self.tolerance:g} allowed (by chance in {self.chance:.2g})"
        if self.strict and self.chance < significance / 2:
            return f"{said}, within the {self.tolerance:g} allowed, but not by chance (p = {self.chance:.2g})"
        return None


@dataclass(frozen=True)
class _Sum:
    """What each photo adds to a change for the worse: `test` (n,) and `validation` (m,), 0 where it adds nothing."""

    name: str
    test: np.ndarray
    validation: np.ndarray
    tolerance: float
    weight: float
    strict: bool


def judge(base: State, new: State, limits: Gate) -> list[Judged]:
    """Judge every guarded metric that both states have, the first of them the accuracy on the test photos.

    Both must have the same test photos. Where both have the same validation photos, these are paired too; else, as
    with a base of before they were kept, their accuracy is judged by how many of them each model has right.
    """
    guarded = {ACCURACY: ("higher", limits.accuracy_tolerance)}
    guarded |= {name: (one.better, one.tolerance) for name, one in limits.metrics.items()}
    guarded = {name: one for name, one in guarded.items() if name in base.metrics and name in new.metrics}
    pairs = {"test": _paired(base.test, new.test), "validation": _paired(base.validation, new.validation)}
    sums = _sums(guarded, pairs)
    counted = {
        name: chance.of_counts(_counts(base, name), _counts(new, name))
        for name in guarded
        if name in COUNTED and name not in sums and guarded[name][0] == "higher" and _has_counts(base, new, name)
    }
    families = bool(sums) + len(counted)  # each has its share of the bound (Bonferroni)
    harms = np.stack([np.concatenate([one.test, one.validation]) for one in sums.values()], axis=1) if sums else None
    found = []
    if harms is not None:
        p_values = chance.chances(harms, [one.weight for one in sums.values()])
        found = [
            Judged(one.name, float(total), one.tolerance, min(1.0, float(p) * families), one.strict)
            for one, total, p in zip(sums.values(), harms.sum(axis=0), p_values, strict=True)
        ]
    for name, (better, tolerance) in guarded.items():
        change = new.metrics[name] - base.metrics[name]
        worse = change if better == "lower" else -change
        if name in counted:
            how = "by counts: no validation photos of both are in git"
            found.append(Judged(name, worse, tolerance, min(1.0, counted[name] * families), how=how))
        elif name not in sums:
            found.append(Judged(name, worse, tolerance, None, how="by its tolerance alone"))
    return found


def _paired(base: Table | None, new: Table | None) -> tuple[Table, Table] | None:
    """Both tables with the photos in the same order; None where they are not the same photos with the same labels."""
    if base is None or new is None or base.classes != new.classes or len(base.keys) != len(new.keys):
        return None
    place = {key: number for number, key in enumerate(base.keys)}
    if not all(key in place for key in new.keys):
        return None
    ordered = base.at([place[key] for key in new.keys])
    return (ordered, new) if (ordered.labels == new.labels).all() else None


def _sums(guarded: dict[str, tuple[str, float]], pairs: dict[str, tuple[Table, Table] | None]) -> dict[str, _Sum]:
    """The metrics that are means over photos of which both models' are there, and accuracy and loss on all of them."""
    sizes = {part: len(pair[0].keys) if pair else 0 for part, pair in pairs.items()}
    nothing = {part: np.zeros(size) for part, size in sizes.items()}
    changes: dict[str, np.ndarray] = {}  # for the worse, of each photo
    for name, (part, of_photo) in PER_PHOTO.items():
        if pair := pairs[part]:
            change = of_photo(pair[1]) - of_photo(pair[0])
            lower = guarded[name][0] == "lower" if name in guarded else name.endswith("loss")
            changes[name] = change if lower else -change
    found = {}
    together = bool(pairs["validation"]) and VALIDATED in guarded
    for name, (_, tolerance) in guarded.items():
        if name in changes:
            part = PER_PHOTO[name][0]
            own = nothing | {part: changes[name] / sizes[part]}
            weight = ALONE if together else 1.0
            found[name] = _Sum(name, own["test"], own["validation"], tolerance, weight, name == ACCURACY)
    for name, on_validation, word in ((ACCURACY, VALIDATED, "accuracy"), (LOSS, "finetune/val_loss", "loss")):
        if together and name in found:
            photos, full = sum(sizes.values()), TOGETHER.format(word)
            parts = changes[name] / photos, changes[on_validation] / photos
            found[full] = _Sum(full, *parts, guarded[name][1], 1.0, name == ACCURACY)
    return found


def _has_counts(base: State, new: State, name: str) -> bool:
    photos = name.replace("val_accuracy", "photos")
    return all(0 <= state.metrics[name] <= 1 <= state.metrics.get(photos, 0) for state in (base, new))


def _counts(state: State, name: str) -> tuple[int, int]:
    """Photos that a model has right, and all of them."""
    photos = int(state.metrics[name.replace("val_accuracy", "photos")])
    return round(state.metrics[name] * photos), photos
