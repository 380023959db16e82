"""What every figure is drawn with: one style, the same bytes for the same numbers, grids of photos."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.font_manager import findfont, get_font

from transfer_learning.core.files import written_aside

matplotlib.use("Agg")

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


@contextmanager
def drawing(path: Path, **options: Any):  # type: ignore[no-untyped-def]
    """Give figure and axes of our style, `options` as for `plt.subplots`; then write them as PNG of stable bytes."""
    with plt.rc_context(), written_aside(path) as aside:
        matplotlib.rcdefaults()  # whatever a matplotlibrc says, here or in a home folder
        plt.rcParams.update(STYLE)
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
