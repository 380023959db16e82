"""Which epoch's weights a phase of training ended with, and whether another epoch was clearly better."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from transfer_learning.core.history import Row

METRICS = {"train_frozen": "reports/frozen/metrics.json", "finetune": "reports/finetune/metrics.json"}  # by stage
CHANCE = 0.05  # how often two equal epochs may be called different


def row(rows: Sequence[Row], metrics: Mapping[str, Any]) -> Row:
    """The epoch whose weights are kept: with early stopping the best one, or what the phase starts from, else the last.

    Args:
        rows: history of the phase.
        metrics: what the phase has measured of the weights that it kept.
    """
    number = metrics.get("best_epoch", rows[-1]["epoch"])
    return next(row for row in rows if row["epoch"] == number)


def caveat(stage: str, rows: Sequence[Row], metrics: Mapping[str, Any]) -> str | None:
    """Say that the last epoch, which is kept, is clearly worse than the best one; None if it is not.

    The best is the one with the lowest validation loss, which early stopping would have kept; so it is not chosen for
    the accuracy that it is judged by. Clearly is a McNemar test in one direction at CHANCE. That test needs to know
    which photos the two epochs have wrong, and only how many is kept: half of their mistakes are taken to be the same
    photos, for these are two states of one training (two networks trained apart would share fewer). So half as many
    photos as both have wrong together have changed sides, and at least as many as the difference.

    Args:
        stage: train_frozen or finetune.
        rows: its history; a row of epoch 0 is of the untrained head.
        metrics: its metrics, with the number of validation photos.
    """
    trained = [row for row in rows if row["epoch"] > 0]
    if "best_epoch" in metrics or "photos" not in metrics or not trained:
        return None
    best, last, photos = min(trained, key=lambda row: row["val_loss"]), trained[-1], int(metrics["photos"])
    wrong = [round((1 - row["val_accuracy"]) * photos) for row in (best, last)]
    more = wrong[1] - wrong[0]
    changed = max(more, -(-sum(wrong) // 2))
    changed += (changed - more) % 2  # so many one way, the others the other way
    from scipy.stats import binom  # takes a third of a second to import, and most results do not come this far

    if more <= 0 or binom.sf((changed + more) // 2 - 1, changed, 0.5) >= CHANCE:
        return None
    at = [f"{row['val_accuracy']:.1%} on validation" for row in (best, last)]
    return (
        f"{stage} has kept its last epoch, {int(last['epoch'])}, with {at[1]}, though epoch {int(best['epoch'])} had "
        f"{at[0]}: {stage}.early_stopping=3 keeps the best one"
    )
