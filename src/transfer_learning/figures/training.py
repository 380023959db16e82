"""Figures of the training: learning curves, and which layers are trained."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator, PercentFormatter

from transfer_learning.core.history import Row
from transfer_learning.figures.drawing import GREY, TRAIN, VALIDATION, drawing

# a ring about the point of an epoch whose weights are kept
KEPT: Any = {"marker": "o", "ms": 10, "mfc": "none", "mec": "black", "mew": 1.4, "zorder": 3}


def learning_curves(
    path: Path, frozen: pd.DataFrame, tuned: pd.DataFrame | None = None, *, kept: Sequence[Row] = ()
) -> None:
    """Accuracy and loss by epoch; with `tuned`, both phases and the line where fine-tuning starts.

    Args:
        frozen: columns epoch, loss, accuracy, val_loss, val_accuracy; the first row is the untrained head.
        tuned: the same for the fine-tuning epochs.
        kept: the epochs whose weights the phases ended with, which are marked; without, the last one. The first row is
            drawn where it is one of them.
    """
    history = frozen if tuned is None else pd.concat([frozen, tuned])
    marked = pd.DataFrame(kept) if kept else history.iloc[-1:]
    trained = history[history["epoch"] >= min(1, marked["epoch"].min())]
    with drawing(path, nrows=2, figsize=(8, 7.5), sharex=True) as (figure, axes):
        for axis, name, title in zip(axes, ("accuracy", "loss"), ("Accuracy", "Cross-entropy"), strict=True):
            axis.plot(trained["epoch"], trained[name], color=TRAIN, marker="o", ms=3.5, label="training")
            axis.plot(
                trained["epoch"], trained[f"val_{name}"], color=VALIDATION, marker="o", ms=3.5, label="validation"
            )
            axis.plot(marked["epoch"], marked[f"val_{name}"], ls="", label="kept epoch", **KEPT)
            axis.set_title(title)
            axis.margins(x=0.02)
            if tuned is not None:
                axis.axvline(frozen["epoch"].max() + 0.5, color=GREY, ls="--", lw=1.2, label="Start fine-tuning")
        axes[0].yaxis.set_major_formatter(PercentFormatter(1.0, decimals=None))
        axes[1].set_ylim(bottom=0)
        axes[1].set_xlabel("epoch")
        axes[1].xaxis.set_major_locator(MaxNLocator(integer=True))
        axes[0].legend(loc="lower right", frameon=False)
        last = marked.iloc[-1]
        figure.suptitle(
            f"Validation accuracy {last['val_accuracy']:.1%} after epoch {int(last['epoch'])} "
            "(training: dropout and augmentation on)",
            x=0.02,
            ha="left",
            fontsize=12,
        )


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
