"""The figure beside the leaderboard: accuracy against each setting that varies."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from matplotlib.ticker import PercentFormatter

from transfer_learning.figures import drawing
from transfer_learning.reporting.leaderboard import shown_as, varying
from transfer_learning.reporting.trials import PARTS, Trial

PANELS = 4  # beside each other
SINGLE = 24  # values of a setting, up to which each has a place and a mean
COLOURS = dict(zip(PARTS, (drawing.VALIDATION, drawing.TRAIN), strict=True))


def draw(path: Path, trials: Sequence[Trial], *, title: str, parts: Sequence[str] = PARTS) -> None:
    """Accuracy against each setting that varies: validation above, test with its interval below."""
    keys = varying([trial.settings for trial in trials])
    rows, columns = -(-len(keys) // PANELS), min(len(keys), PANELS)
    deep = len(parts) * rows
    size = {"nrows": deep, "ncols": columns, "figsize": (max(1.2 + 2.9 * columns, 6), 2.8 * deep)}
    with drawing.drawing(path, **size, sharey="row", squeeze=False) as (figure, axes):
        for number in range(rows * columns):
            for offset, part in enumerate(parts):
                axis = axes[len(parts) * (number // columns) + offset, number % columns]
                if number < len(keys):
                    _panel(axis, trials, keys[number], part)
                    axis.set_title(f"{part} accuracy" if number % columns == 0 else "", color=COLOURS[part])
                else:
                    axis.set_axis_off()
        figure.suptitle(title, x=0.01, ha="left", fontsize=12)


def _panel(axis: Any, trials: Sequence[Trial], key: str, part: str) -> None:
    """One setting: a point a trial, spread sideways so that none hides another, and a bar at the mean."""
    values = sorted({trial.settings.get(key) for trial in trials}, key=_order)
    axis.set_xlabel(key)
    axis.yaxis.set_major_formatter(PercentFormatter(1.0))
    if len(values) > SINGLE:  # as in a search: hardly two trials have the same
        _points(axis, trials, key, part)
        return
    for place, value in enumerate(values):
        chosen = sorted((trial for trial in trials if trial.settings.get(key) == value), key=lambda trial: trial.name)
        found = [trial.accuracy[part] for trial in chosen]
        places = [place + 0.5 * ((number + 0.5) / len(found) - 0.5) for number in range(len(found))]
        shares = [one.value for one in found]
        if part == "test":
            low, high = [one.value - one.low for one in found], [one.high - one.value for one in found]
            axis.errorbar(places, shares, yerr=[low, high], fmt="none", ecolor=COLOURS[part], alpha=0.35, lw=1)
        axis.plot(places, shares, "o", ms=4.5, color=COLOURS[part])
        axis.hlines(mean(shares), place - 0.35, place + 0.35, color="black", lw=1.2)
    axis.set_xticks(range(len(values)), [shown_as(value) or "none" for value in values])
    if max(len(shown_as(value)) for value in values) * len(values) > 24:
        axis.tick_params(axis="x", rotation=40)
    axis.margins(x=0.12)


def _points(axis: Any, trials: Sequence[Trial], key: str, part: str) -> None:
    """One setting that hardly two trials have the same value of: numbers where they are, others in a row."""
    found: list[Any] = [trial.settings.get(key) for trial in trials]
    if all(isinstance(value, int | float) for value in found):
        if min(found) > 0 and max(found) > 50 * min(found):
            axis.set_xscale("log")
    else:
        found = list(range(len(found)))
    axis.plot(found, [trial.accuracy[part].value for trial in trials], "o", ms=3, color=COLOURS[part])


def _order(value: Any) -> tuple[bool, float, str]:
    number = isinstance(value, int | float)
    return not number, float(value) if number else 0.0, str(value)
