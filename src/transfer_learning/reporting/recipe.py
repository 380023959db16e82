"""The recipe of conf/recipe that suits photos of one's own, and why it sets what it sets, a line each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from transfer_learning.evaluation.metrics import wilson_interval

if TYPE_CHECKING:
    import pandas as pd

    from transfer_learning.settings.schema import Settings

RECIPES = {"small": 500, "medium": 3000, "large": None}  # of conf/recipe: fewer training photos than this
LIKELY = 0.9  # accuracy for which the interval of the test is said


def for_photos(train: int) -> str:
    """The recipe for so many training photos, as an override."""
    return "+recipe=" + next(name for name, bound in RECIPES.items() if bound is None or train < bound)


def reasons(settings: Settings, sizes: np.ndarray, split: pd.DataFrame | None) -> list[tuple[str, str]]:
    """What the recipe sets for these photos, and why.

    Args:
        settings: with the recipe.
        sizes: (n, 2) width and height of the photos in pixels.
        split: rows with the part of each photo; None where they cannot be split.
    """
    side, tuned, moved = int(np.median(sizes.min(axis=1))), settings.finetune, settings.augment
    size = settings.images.size
    enlarged = f"; the photos have {side}: enlarged they are told apart better" if side < size else ""
    found = [
        (f"images.size={size}", f"pixels, as the network was trained at{enlarged}"),
        (f"train_frozen.start={settings.train_frozen.start}", "the head is trained out before the first epoch"),
        (f"finetune.learning_rate={tuned.learning_rate:g}", f"{tuned.optimizer}, down to 0 along a {tuned.schedule}"),
        (f"finetune.early_stopping={tuned.early_stopping}", "the best epoch on validation is kept, or the probe"),
        (
            f"augment.flip={str(moved.flip).lower()}",
            "photos are mirrored, turned, shifted and zoomed a little: false where left and right or text matter",
        ),
    ]
    if split is not None:
        parts = {part: int((split["part"] == part).sum()) for part in ("train", "validation", "test")}
        steps = -(-parts["train"] // tuned.batch_size)
        found.insert(3, (f"finetune.epochs={tuned.epochs}", f"of {steps:,} steps, {steps * tuned.epochs:,} in all"))
        low, high = wilson_interval(round(LIKELY * parts["test"]), parts["test"], confidence=0.95)
        held = (
            f"{parts['validation']:,} photos for validation, one of which is {1 / parts['validation']:.1%}, and "
            f"{parts['test']:,} for the test, on which {LIKELY:.0%} right may be {low:.0%} to {high:.0%}; "
            "split.validation_fraction holds out more"
        )
        found.append(("held out", held))
    return found
