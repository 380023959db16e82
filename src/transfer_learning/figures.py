"""Figures: what people look at. Each function draws one PNG, the same bytes for the same numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.font_manager import findfont, get_font
from matplotlib.ticker import MaxNLocator, PercentFormatter

from transfer_learning.files import written_aside

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
LONGEST = 22  # letters of a class name in a figure

Pixels = Callable[[np.ndarray], np.ndarray]
"""Indices (k,) of photos to the photos themselves, (k, size, size, 3) uint8: a figure loads those that it shows."""


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


@cache
def _drawable() -> frozenset[int]:
    """Code points of the letters that the figures' font has."""
    return frozenset(get_font(findfont("DejaVu Sans")).get_charmap())


def shown(classes: Sequence[str], *, longest: int = LONGEST) -> list[str]:
    """Class names as figures show them: shortened, numbered where the font lacks a letter of theirs, with no $ that
    would begin a formula."""
    half = longest // 2
    short = [name if len(name) <= longest else f"{name[:half]}\u2026{name[-half:]}" for name in classes]
    drawable = [name if _drawable().issuperset(map(ord, name)) else f"class {i}" for i, name in enumerate(short)]
    return [name.replace("$", r"\$") for name in drawable]


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
