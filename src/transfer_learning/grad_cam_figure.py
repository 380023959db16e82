"""The figure of Grad-CAM overlays on test photos."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from transfer_learning import explanations, figures
from transfer_learning.predictions import Predictions

if TYPE_CHECKING:
    import keras

PAIRS = 3  # in a row
ROWS = {"surest mistakes": 2, "surest right": 1, "least sure right": 1}  # of each group
LONGEST = 16  # letters of a class name in a title


def draw(path: Path, model: keras.Model, found: Predictions, pixels: figures.Pixels) -> None:
    """Draw photos beside their Grad-CAM overlay for the predicted class: mistakes first, then right ones.

    Args:
        model: the whole model.
    """
    confidence = found.confidence
    rows = [
        (group, chosen[start : start + PAIRS])
        for group, chosen in choose(found.labels, confidence, found.predicted).items()
        for start in range(0, len(chosen), PAIRS)
    ]
    every = np.concatenate([chosen for _, chosen in rows])
    photos = pixels(every)
    maps = explanations.heatmaps(model, photos, found.predicted[every])
    place = {index: number for number, index in enumerate(every)}
    names = figures.shown(found.classes, longest=LONGEST)
    size = {"nrows": len(rows), "ncols": 2 * PAIRS, "figsize": (1.3 * 2 * PAIRS, 1.7 * len(rows) + 0.5)}
    with figures.drawing(path, squeeze=False, **size) as (figure, axes):
        for axis in axes.flat:
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(False)
            axis.grid(False)
        for (group, chosen), row in zip(rows, axes, strict=True):
            row[0].set_ylabel(group, fontsize=8.5)
            for i, left, right in zip(chosen, row[::2], row[1::2], strict=False):
                photo = photos[place[i]]
                left.imshow(photo)
                right.imshow(explanations.overlay(photo, maps[place[i]]))
                name, wrong = names[found.predicted[i]], found.wrong[i]
                title = f"{name} {confidence[i]:.0%}" + (f",\nis {names[found.labels[i]]}" if wrong else "")
                colour = figures.WRONG if wrong else figures.RIGHT
                left.set_title(title, fontsize=8.5, color=colour, loc="center")
                right.set_title(f"evidence for\n{name}", fontsize=8.5, loc="center")
        figure.suptitle("Grad-CAM: where the evidence for the predicted class lies (red: most)", fontsize=12)


def choose(labels: np.ndarray, confidence: np.ndarray, predicted: np.ndarray) -> dict[str, np.ndarray]:
    """Choose the photos of each group of the figure; a photo is in one group only.

    Args:
        confidence: (n,) probability of the predicted class.

    Returns:
        (k,) indices of photos by group; groups without photos are left out.
    """
    order = np.argsort(-confidence, kind="stable")
    wrong, right = order[(predicted != labels)[order]], order[(predicted == labels)[order]]
    sure = right[: PAIRS * ROWS["surest right"]]
    unsure = right[len(sure) :][::-1][: PAIRS * ROWS["least sure right"]]
    groups = zip(ROWS, (wrong[: PAIRS * ROWS["surest mistakes"]], sure, unsure), strict=True)
    return {group: chosen for group, chosen in groups if len(chosen)}
