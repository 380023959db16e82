"""Figures: what people look at. Each function draws one PNG, the same bytes for the same numbers."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator, PercentFormatter
from sklearn.metrics import confusion_matrix, roc_curve

from transfer_learning.evaluation import calibration_bins
from transfer_learning.stage import written_aside

TRAIN, VALIDATION, RIGHT, WRONG, GREY = "#4477aa", "#ee7733", "#228833", "#cc3311", "#888888"
STYLE: Any = {
    "font.size": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "axes.titlesize": 12,
    "figure.dpi": 110,
    "axes.titlelocation": "left",
}


@contextmanager
def drawing(path: Path, **options: Any):  # type: ignore[no-untyped-def]
    """Give figure and axes of our style, `options` as for `plt.subplots`; then write them as PNG of stable bytes."""
    with plt.rc_context(STYLE), written_aside(path) as aside:
        figure, axes = plt.subplots(layout="constrained", **options)
        try:
            yield figure, axes
            figure.savefig(aside, format="png", metadata={"Software": None})
        finally:
            plt.close(figure)


def learning_curves(path: Path, frozen: pd.DataFrame, tuned: pd.DataFrame | None = None) -> None:
    """Accuracy and loss by epoch; with `tuned`, both phases and the line where fine-tuning starts.

    Args:
        frozen: columns epoch, loss, accuracy, val_loss, val_accuracy; the first row is the untrained head.
        tuned: the same for the fine-tuning epochs.
    """
    history = frozen if tuned is None else pd.concat([frozen, tuned])
    trained = history[history["epoch"] > 0]
    with drawing(path, nrows=2, figsize=(8, 7.5), sharex=True) as (figure, axes):
        for axis, name, title in zip(axes, ("accuracy", "loss"), ("Accuracy", "Cross-entropy"), strict=True):
            axis.plot(trained["epoch"], trained[name], color=TRAIN, marker="o", ms=3.5, label="training")
            axis.plot(
                trained["epoch"], trained[f"val_{name}"], color=VALIDATION, marker="o", ms=3.5, label="validation"
            )
            axis.set_title(title)
            axis.margins(x=0.02)
            if tuned is not None:
                axis.axvline(frozen["epoch"].max() + 0.5, color=GREY, ls="--", lw=1.2, label="Start fine-tuning")
        axes[0].yaxis.set_major_formatter(PercentFormatter(1.0, decimals=None))
        axes[1].set_ylim(bottom=0)
        axes[1].set_xlabel("epoch")
        axes[1].xaxis.set_major_locator(MaxNLocator(integer=True))
        axes[0].legend(loc="lower right", frameon=False)
        last = trained.iloc[-1]
        figure.suptitle(
            f"Validation accuracy {last['val_accuracy']:.1%} after epoch {int(last['epoch'])} "
            "(training: dropout and augmentation on)",
            x=0.02,
            ha="left",
            fontsize=12,
        )


def confusion(path: Path, labels: np.ndarray, predicted: np.ndarray, classes: Sequence[str]) -> None:
    """Counts of true against predicted class; labels and predicted are (n,) indices into `classes`."""
    counts = confusion_matrix(labels, predicted, labels=range(len(classes)))
    with drawing(path, figsize=(5.2, 4.6)) as (_, axis):
        draw_confusion(axis, counts, classes, peak=counts.max())
        axis.set_title(f"Confusion on {len(labels)} test photos")


def draw_confusion(axis: Any, counts: np.ndarray, classes: Sequence[str], *, peak: int) -> None:
    """Draw counts (classes, classes), true by predicted, onto an axis; the darkest colour stands for `peak`."""
    axis.imshow(counts, cmap="Blues", vmin=0, vmax=peak)
    axis.grid(False)
    for (row, column), number in np.ndenumerate(counts):
        share = number / max(counts[row].sum(), 1)
        colour = "white" if number > peak / 2 else "black"
        axis.text(column, row, f"{number}\n{share:.1%}", ha="center", va="center", color=colour, fontsize=13)
    ticks = range(len(classes))
    axis.set_xticks(ticks, classes)
    axis.set_yticks(ticks, classes, rotation=90, va="center")
    axis.set(xlabel="predicted", ylabel="true")


def roc(path: Path, labels: np.ndarray, probabilities: np.ndarray, area: float, positive: str) -> None:
    """ROC curve; `probabilities` (n,) are those of the class named `positive`."""
    false_rate, true_rate, _ = roc_curve(labels, probabilities, drop_intermediate=False)
    with drawing(path, figsize=(5.2, 4.8)) as (_, axis):
        axis.plot([0, 1], [0, 1], color=GREY, ls="--", lw=1)
        axis.plot(false_rate, true_rate, color=TRAIN, drawstyle="steps-post")
        axis.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal", title=f"ROC on test photos, area {area:.4f}")
        axis.set(xlabel="false positive rate", ylabel=f"true positive rate ({positive})")


def reliability(
    path: Path, labels: np.ndarray, probabilities: np.ndarray, *, bins: int, error: float, positive: str
) -> None:
    """Share of class 1, named `positive`, against its predicted probability, with the number of photos per bin."""
    rows = calibration_bins(labels, probabilities, bins=bins)
    means, shares, _ = zip(*rows, strict=True)
    with drawing(path, figsize=(5.2, 5.6), nrows=2, sharex=True, height_ratios=[3, 1]) as (_, (upper, lower)):
        upper.plot([0, 1], [0, 1], color=GREY, ls="--", lw=1, label="perfectly calibrated")
        upper.plot(means, shares, color=TRAIN, marker="o", label="model")
        upper.set(
            ylim=(-0.03, 1.03), ylabel=f"share of {positive}", title=f"Reliability, calibration error {error:.3f}"
        )
        upper.legend(frameon=False)
        lower.hist(probabilities, bins=np.linspace(0, 1, bins + 1).tolist(), color=TRAIN)
        lower.set(xlim=(-0.03, 1.03), yscale="log", ylabel="photos", xlabel=f"predicted probability of {positive}")


def photo_grid(
    path: Path, photos: np.ndarray, titles: Sequence[str], *, columns: int, heading: str, colours: Sequence[str] = ()
) -> None:
    """Photos (n, size, size, 3) uint8 with a title each, black where no colours are given."""
    rows = -(-len(photos) // columns)
    options = {"nrows": rows, "ncols": columns, "figsize": (2.1 * columns, 2.35 * rows + 0.4), "squeeze": False}
    with drawing(path, **options) as (figure, axes):
        for axis in axes.flat:
            axis.axis("off")
        for axis, photo, title, colour in zip(
            axes.flat, photos, titles, colours or ["black"] * len(photos), strict=False
        ):
            axis.imshow(photo)
            axis.set_title(title, fontsize=9, color=colour, loc="center")
        figure.suptitle(heading, fontsize=12)


def predictions(
    path: Path,
    photos: np.ndarray,
    labels: np.ndarray,
    probabilities: np.ndarray,
    predicted: np.ndarray,
    classes: Sequence[str],
) -> None:
    """Twelve test photos with predicted and true class: the most confident mistakes first, then the least sure.

    Args:
        photos: (n, size, size, 3) uint8.
        labels, probabilities, predicted: (n,).
    """
    confidence = np.where(predicted == 1, probabilities, 1 - probabilities)
    wrong = predicted != labels
    order = np.lexsort((np.where(wrong, -confidence, confidence), ~wrong))[:12]
    titles = [
        f"{classes[predicted[i]]} {confidence[i]:.0%}" + (f", is {classes[labels[i]]}" if wrong[i] else "")
        for i in order
    ]
    heading = f"{int(wrong.sum())} of {len(labels)} test photos are wrong: the surest mistakes first (red)"
    colours = [WRONG if wrong[i] else RIGHT for i in order]
    photo_grid(path, photos[order], titles, columns=4, heading=heading, colours=colours)


def architecture(path: Path, layers: Sequence[tuple[str, int, int]], *, title: str) -> None:
    """The layers as one bar each: height is the number of parameters, colour whether fine-tuning trains them.

    Args:
        layers: (output shape such as `10 x 10 x 64`, parameters, those that fine-tuning trains), in order.
    """
    parameters = np.array([number for _, number, _ in layers])
    trained = np.array([number for _, _, number in layers])
    with drawing(path, figsize=(10, 4)) as (_, axis):
        index = np.arange(len(layers))
        for chosen, colour, name, total in (
            (trained == 0, GREY, "frozen", parameters.sum() - trained.sum()),
            (trained > 0, VALIDATION, "trained in fine-tuning, besides the head", trained.sum()),
        ):
            axis.bar(index[chosen], parameters[chosen], color=colour, width=0.9, label=f"{name}: {total:,} parameters")
        axis.set(yscale="log", ylim=(10, 40 * parameters.max()), xlim=(-1, len(layers)), ylabel="parameters")
        axis.set(xlabel="layer, as finetune.fine_tune_at counts them; the label is the side of its activations")
        axis.set_title(title)
        for position, side in _halvings(layers):
            axis.axvline(position - 0.5, color=GREY, lw=0.8, alpha=0.6)
            axis.text(position, 1.5 * parameters.max(), f"{side} px", fontsize=9, ha="left", va="bottom")
        axis.legend(frameon=False, loc="upper right", ncols=2)


def _halvings(layers: Sequence[tuple[str, int, int]]) -> list[tuple[int, int]]:
    """Layers where the activations shrink to about half: (index of the layer, side there)."""
    marks: list[tuple[int, int]] = []
    # squeeze-and-excitation branches shrink to one number per channel and back: no halving
    sides = [int(shape.split(" x ")[0]) if " x " in shape else 1 for shape, _, _ in layers]
    for index, side in enumerate(sides[1:], start=1):
        passing = 1.5 * side < max(sides[index:])
        if not passing and (not marks or side <= 0.6 * marks[-1][1]):
            marks.append((index, side))
    return marks
