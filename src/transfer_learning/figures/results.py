"""Figures of the results on test photos, readable at two classes and at a thousand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.ticker import PercentFormatter
from sklearn.metrics import confusion_matrix, roc_auc_score, roc_curve

from transfer_learning.evaluation.metrics import calibration_bins, calibration_error, judged
from transfer_learning.evaluation.predictions import Predictions
from transfer_learning.figures.drawing import GREY, RIGHT, TRAIN, VALIDATION, WRONG, Pixels, drawing, photo_grid, shown

MOST_CELLS = 12  # classes of a confusion matrix; of more only the most frequent confusions are shown
LISTED = 20  # confusions
CURVES = 5  # ROC curves of single classes
ROWS = 30  # classes in the chart of all of them
BIG = 5  # classes whose cells have room for a share beside the count


def confusion(path: Path, found: Predictions) -> None:
    """Counts of true against predicted class."""
    classes, labels = found.classes, found.labels
    counts = confusion_matrix(labels, found.predicted, labels=range(len(classes)))
    if len(classes) > MOST_CELLS:
        wrong = int(found.wrong.sum())
        rows = min(LISTED, int(np.count_nonzero(counts - np.diag(np.diag(counts)))))
        with drawing(path, figsize=(8, 1.6 + 0.3 * max(rows, 3))) as (_, axis):
            draw_top_confusions(axis, counts, classes)
            axis.set_title(f"Most frequent confusions: {wrong} of {len(labels)} test photos are wrong")
        return
    side = max(4.6, 0.62 * len(classes) + 1.6)
    with drawing(path, figsize=(side + 0.6, side)) as (_, axis):
        draw_confusion(axis, counts, classes, peak=counts.max())
        axis.set_title(f"Confusion on {len(labels)} test photos")


def draw_confusion(axis: Any, counts: np.ndarray, classes: Sequence[str], *, peak: int) -> None:
    """Draw counts (classes, classes), true by predicted, onto an axis; the darkest colour stands for `peak`."""
    axis.imshow(counts, cmap="Blues", vmin=0, vmax=peak)
    axis.grid(False)
    few = len(classes) <= BIG
    for (row, column), number in np.ndenumerate(counts):
        share = f"\n{number / max(counts[row].sum(), 1):.1%}" if few else ""
        colour = "white" if number > peak / 2 else "black"
        size = 13 if len(classes) == 2 else 10
        if few or number:
            axis.text(column, row, f"{number}{share}", ha="center", va="center", color=colour, fontsize=size)
    ticks, names = range(len(classes)), shown(classes)
    if len(classes) == 2:
        axis.set_xticks(ticks, names)
        axis.set_yticks(ticks, names, rotation=90, va="center")
    else:
        axis.set_xticks(ticks, names, rotation=45, ha="right", rotation_mode="anchor")
        axis.set_yticks(ticks, names)
    axis.set(xlabel="predicted", ylabel="true")


def draw_top_confusions(axis: Any, counts: np.ndarray, classes: Sequence[str]) -> None:
    """Draw the most frequent confusions of counts (classes, classes), true by predicted, as bars."""
    wrong = counts - np.diag(np.diag(counts))
    order = [index for index in np.argsort(-wrong, axis=None, kind="stable")[:LISTED] if wrong.flat[index]]
    pairs = [divmod(int(index), len(classes)) for index in order]
    names = shown(classes)
    numbers = [int(wrong[pair]) for pair in pairs]
    axis.barh(range(len(pairs)), numbers, color=VALIDATION)
    axis.set_yticks(range(len(pairs)), [f"{names[true]} as {names[said]}" for true, said in pairs])
    for position, (pair, number) in enumerate(zip(pairs, numbers, strict=True)):
        text = f" {number} of {counts[pair[0]].sum()}"
        axis.text(number, position, text, va="center", fontsize=9)
    axis.set(xlabel="photos", ylim=(max(len(pairs), 1) - 0.4, -0.6), xlim=(0, 1.25 * max(numbers, default=1)))
    axis.xaxis.get_major_locator().set_params(integer=True)
    if not pairs:
        axis.text(0.5, 0.5, "none", transform=axis.transAxes, ha="center")


def per_class(path: Path, table: pd.DataFrame) -> None:
    """Precision and recall of each class, the lowest F1 first; with many classes only these.

    Args:
        table: columns class, photos, precision, recall and f1.
    """
    named = table.assign(shown=shown(list(table["class"])))
    worst = named.sort_values(["f1", "class"], kind="stable")[:ROWS]
    rows = np.arange(len(worst))
    with drawing(path, figsize=(7.5, 1.9 + 0.27 * max(len(worst), 3))) as (figure, axis):
        axis.plot(worst["recall"], rows, "o", color=TRAIN, label="recall", ms=6)
        axis.plot(worst["precision"], rows, "D", color=VALIDATION, label="precision", ms=5, mfc="none", mew=1.6)
        names = [f"{name} ({n})" for name, n in zip(worst["shown"], worst["photos"], strict=True)]
        axis.set_yticks(rows, names)
        lowest = float(worst[["recall", "precision"]].min().min())
        axis.set(ylim=(len(rows) - 0.5, -0.5), xlim=(min(0.9, lowest) - 0.03, 1.02))
        axis.set_xticks([tick for tick in axis.get_xticks() if min(0.9, lowest) - 0.03 <= tick <= 1])
        axis.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=None))
        some = f"the {ROWS} lowest of {len(table)} classes" if len(table) > ROWS else "lowest F1 first"
        axis.set_title(f"Classes on test photos (number), {some}")
        figure.legend(loc="outside lower right", ncols=2, frameon=False)


def roc(path: Path, found: Predictions) -> None:
    """ROC curve of the second of two classes; of more the mean of each against the rest, and the lowest ones."""
    labels, probabilities, classes = found.labels, found.probabilities, found.classes
    grid = np.linspace(0, 1, 201)
    names = shown(classes)
    curves = {}
    for index in range(1, 2) if len(classes) == 2 else range(len(classes)):
        false_rate, true_rate, _ = roc_curve(labels == index, probabilities[:, index], drop_intermediate=False)
        area = roc_auc_score(labels == index, probabilities[:, index])
        curves[index] = area, false_rate, true_rate
    with drawing(path, figsize=(5.2, 4.8)) as (_, axis):
        axis.plot([0, 1], [0, 1], color=GREY, ls="--", lw=1)
        mean = float(np.mean([area for area, _, _ in curves.values()]))
        if len(classes) == 2:
            axis.plot(*curves[1][1:], color=TRAIN, drawstyle="steps-post")
            positive = f"true positive rate ({names[1]})"
        else:
            steps = [true[np.searchsorted(false, grid, side="right") - 1] for _, false, true in curves.values()]
            axis.plot(grid, np.mean(steps, axis=0), color="black", lw=2, label=f"mean of {len(classes)}: {mean:.4f}")
            for index, (area, false, true) in sorted(curves.items(), key=lambda item: item[1][0])[:CURVES]:
                axis.plot(false, true, drawstyle="steps-post", lw=1.2, label=f"{names[index]}: {area:.4f}")
            axis.legend(frameon=False, loc="lower right", fontsize=9, title="lowest areas" * (len(classes) > CURVES))
            positive = "true positive rate, each class against the rest"
        axis.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal", title=f"ROC on test photos, area {mean:.4f}")
        axis.set(xlabel="false positive rate", ylabel=positive)


def reliability(path: Path, found: Predictions, *, bins: int) -> None:
    """Share that came true against what the model said, with the number of photos per bin; as `judged` has them."""
    true, said = judged(found.labels, found.probabilities)
    error, name = calibration_error(true, said, bins=bins), shown(found.classes)[1]
    share, axis_name = f"share of {name}", f"predicted probability of {name}"
    if len(found.classes) > 2:
        share, axis_name = "share predicted right", "probability of the predicted class"
    means, shares, _ = zip(*calibration_bins(true, said, bins=bins), strict=True)
    with drawing(path, figsize=(5.2, 5.6), nrows=2, sharex=True, height_ratios=[3, 1]) as (_, (upper, lower)):
        upper.plot([0, 1], [0, 1], color=GREY, ls="--", lw=1, label="perfectly calibrated")
        upper.plot(means, shares, color=TRAIN, marker="o", label="model")
        upper.set(ylim=(-0.03, 1.03), ylabel=share, title=f"Reliability, calibration error {error:.3f}")
        upper.legend(frameon=False)
        lower.hist(said, bins=np.linspace(0, 1, bins + 1).tolist(), color=TRAIN)
        lower.set(xlim=(-0.03, 1.03), yscale="log", ylabel="photos", xlabel=axis_name)


def predictions(path: Path, found: Predictions, pixels: Pixels, *, reject_below: float = 0.0) -> None:
    """Twelve test photos with predicted and true class: the most confident mistakes first, then the least sure.

    Args:
        reject_below: predictions with a lower probability are marked as unsure.
    """
    confidence, wrong, names = found.confidence, found.wrong, shown(found.classes)
    marks = np.where(found.unsure(reject_below), " unsure", "")
    order = np.lexsort((np.where(wrong, -confidence, confidence), ~wrong))[:12]
    titles = [
        f"{names[found.predicted[i]]} {confidence[i]:.0%}{marks[i]}"
        + (f", is {names[found.labels[i]]}" if wrong[i] else "")
        for i in order
    ]
    heading = f"{int(wrong.sum())} of {len(wrong)} test photos are wrong: the surest mistakes first (red)"
    colours = [WRONG if wrong[i] else RIGHT for i in order]
    photo_grid(path, pixels(order), titles, columns=4, heading=heading, colours=colours)
