"""A comparison in pictures: both histories, both confusion matrices, the photos that flipped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator, PercentFormatter
from sklearn.metrics import confusion_matrix

from transfer_learning.core import files, history
from transfer_learning.figures import drawing, results
from transfer_learning.photos import decode, inventory
from transfer_learning.reporting import gate
from transfer_learning.reporting.comparison import Comparison
from transfer_learning.reporting.state import State

DRAWN = 10  # flipped photos of each kind
THUMBNAIL = 160  # pixels
LONGEST = 40  # letters of a state's label


def draw_curves(path: Path, found: Comparison) -> None:
    """Both histories over each other, the base dashed."""
    with drawing.drawing(path, nrows=2, figsize=(8, 7.5), sharex=True) as (figure, axes):
        for state, style in ((found.base, "--"), (found.new, "-")):
            rows = [row for stage in history.HISTORIES for row in state.histories[stage]]
            trained = pd.DataFrame([row for row in rows if row["epoch"] > 0])
            for axis, name in zip(axes, ("accuracy", "loss"), strict=True):
                for column, colour, part in (
                    (name, drawing.TRAIN, "training"),
                    (f"val_{name}", drawing.VALIDATION, "validation"),
                ):
                    label = f"{part}, {_shown(state)}"
                    axis.plot(trained["epoch"], trained[column], style, color=colour, label=label, lw=1.6)
        for axis, title in zip(axes, ("Accuracy", "Cross-entropy"), strict=True):
            axis.set_title(title)
        axes[0].yaxis.set_major_formatter(PercentFormatter(1.0, decimals=None))
        axes[1].set(ylim=(0, None), xlabel="epoch")
        axes[1].xaxis.set_major_locator(MaxNLocator(integer=True))
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)


def _shown(state: State) -> str:
    return drawing.shown([state.label], longest=LONGEST)[0]


def draw_confusions(path: Path, found: Comparison) -> None:
    """Both confusion matrices side by side, on one scale."""
    classes = found.new.test.classes
    counts = [
        confusion_matrix(state.test.labels, state.test.predicted, labels=range(len(classes)))
        for state in (found.base, found.new)
    ]
    height = max(4.4, 0.45 * min(len(classes), results.MOST_CELLS) + 1)
    with drawing.drawing(path, ncols=2, figsize=(2 * height + 0.2, height)) as (_, axes):
        for axis, state, matrix in zip(axes, (found.base, found.new), counts, strict=True):
            if len(classes) > results.MOST_CELLS:
                results.draw_top_confusions(axis, matrix, classes)
            else:
                results.draw_confusion(axis, matrix, classes, peak=int(np.max(counts)))
            axis.set_title(_shown(state))


def draw_flips(path: Path, found: Comparison, raw: Path) -> None:
    """Thumbnails of flipped photos, the lost ones first; nothing where none of them is there."""
    assert found.paired
    folder = inventory.read(raw).folder

    def there(flip: gate.Flip) -> bool:  # the photo that was tested, and no other of its name
        return (folder / flip.path).is_file() and files.digest(folder / flip.path, "sha256") == flip.sha256

    chosen = [(flip, "lost") for flip in found.paired.lost if there(flip)][:DRAWN]
    chosen += [(flip, "gained") for flip in found.paired.gained if there(flip)][:DRAWN]
    if chosen:
        paths = [folder / flip.path for flip, _ in chosen]
        pixels = np.stack([decode.load(path, size=THUMBNAIL, bound=decode.ANY) for path in paths])
        classes = found.new.test.classes
        names = dict(zip(classes, drawing.shown(classes), strict=True))
        titles = [f"{names[flip.label]}, {kind}\n{flip.base:.2f} to {flip.new:.2f}" for flip, kind in chosen]
        colours = [drawing.WRONG if kind == "lost" else drawing.RIGHT for _, kind in chosen]
        heading = f"Flipped: {len(found.paired.lost)} lost (red), {len(found.paired.gained)} gained"
        drawing.photo_grid(path, pixels, titles, columns=5, heading=heading, colours=colours)
