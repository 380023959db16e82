"""A comparison as people see it: Markdown for a comment, JSON for programs, pictures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator, PercentFormatter
from sklearn.metrics import confusion_matrix

from transfer_learning.core import files, history
from transfer_learning.evaluation import predictions
from transfer_learning.experiments.lock import Difference
from transfer_learning.figures import drawing, results
from transfer_learning.photos import decode, inventory
from transfer_learning.reporting import gate
from transfer_learning.reporting.comparison import FINE, REGRESSION, Comparison, Metric

TITLES = {FINE: "No regression", REGRESSION: "Regression"}
LISTED = 20  # flipped photos of each kind in the table
DRAWN = 10  # and as thumbnails
THUMBNAIL = 160  # pixels
CURVES, CONFUSION, FLIPS = "learning_curves.png", "confusion.png", "flips.png"


def write(found: Comparison, folder: Path, raw: Path) -> None:
    """Write compare.md, compare.json and the pictures into a folder.

    Args:
        raw: the photos; thumbnails of flipped ones are drawn from those that are there.
    """
    _draw_curves(folder / CURVES, found)
    if found.paired:
        _draw_confusions(folder / CONFUSION, found)
        _draw_flips(folder / FLIPS, found, raw)
    (folder / "compare.json").write_text(json.dumps(as_json(found), indent=1) + "\n")
    pictures = [name for name in (CURVES, CONFUSION, FLIPS) if (folder / name).exists()]
    (folder / "compare.md").write_text(markdown(found, pictures))


def write_failure(message: str, base: str, folder: Path) -> None:
    """Write compare.md and compare.json for two states that could not even be read."""
    (folder / "compare.md").write_text(f"### Cannot compare with {_text(base)}\n\n{_text(message)}\n")
    values = {"verdict": "cannot read", "exit_code": 2, "problems": [message]}
    (folder / "compare.json").write_text(json.dumps(values, indent=1) + "\n")


def as_json(found: Comparison) -> dict[str, Any]:
    """Everything that was compared, as plain values."""
    values: dict[str, Any] = {
        "verdict": found.verdict,
        "exit_code": found.exit_code,
        "problems": [f"{verdict}: {message}" for verdict, message in found.problems],
        "base": found.base.label,
        "new": found.new.label,
        "metrics": {
            one.name: {"base": one.base, "new": one.new, "better": one.better, "tolerance": one.tolerance}
            for one in found.metrics
        },
        "settings": {name: {"base": base, "new": new} for name, base, new in found.settings},
        "stages": {
            one.stage: {
                "outputs": one.outputs,
                "inputs": one.inputs,
                "files": one.files,
                "settings": [name for name, *_ in one.settings],
            }
            for one in found.stages
        },
    }
    if found.paired and found.interval:
        paired = found.paired
        values["paired"] = {
            "photos": paired.photos,
            "change": round(paired.change, 6),
            "interval": [round(end, 6) for end in found.interval],
            "p_value": round(paired.p_value, 6),
            **{kind: [vars(flip) for flip in getattr(paired, kind)] for kind in ("lost", "gained")},
        }
    return values


def markdown(found: Comparison, pictures: Sequence[str]) -> str:
    """The comparison for a comment or a job summary."""
    title = TITLES.get(found.verdict, f"Cannot compare ({found.verdict})")
    lines = [f"### {title}: {_text(found.new.label)} against {_text(found.base.label)}", ""]
    lines += [f"- **{verdict}**: {_text(message)}" for verdict, message in found.problems]
    lines += [""] if found.problems else []
    if found.paired and found.interval:
        low, high = found.interval
        lines += [f"Test photos one by one: {found.paired}; interval of the change {low:+.1%} to {high:+.1%}.", ""]
    lines += [f"| metric | {_cell(found.base.label)} | {_cell(found.new.label)} | change | | guarded |"]
    lines += ["|---|--:|--:|--:|---|---|", *map(_metric_row, found.metrics), ""]
    if found.settings:
        lines += ["| setting | there | here |", "|---|---|---|"]
        lines += [f"| {_cell(name)} | {_cell(base)} | {_cell(new)} |" for name, base, new in found.settings]
    else:
        lines.append("The settings are the same.")
    lines += ["", *_stage_lines(found.stages), ""]
    if found.paired:
        lines += _flip_lines("lost", "Right before, wrong now", found.paired.lost)
        lines += _flip_lines("gained", "Wrong before, right now", found.paired.gained)
    return "\n".join([*lines, f"Pictures beside this file: {', '.join(pictures)}."]) + "\n"


def _metric_row(one: Metric) -> str:
    sides = ["missing" if value is None else f"{value:,.4f}".rstrip("0").rstrip(".") for value in (one.base, one.new)]
    change = "" if one.change is None else f"{one.change:+,.4f}" if one.change else "0"
    word = "" if one.gain is None else "better" if one.gain > 0 else "worse" if one.gain < 0 else "same"
    guard = "" if one.tolerance is None else f"{one.tolerance:g}"
    return f"| {_cell(one.name)} | {' | '.join(sides)} | {change} | {word} | {guard} |"


def _stage_lines(stages: Sequence[Difference]) -> list[str]:
    if not stages:
        return ["dvc.lock is the same: every stage has the same code, inputs, settings and outputs."]
    lines = ["| stage that differs | code and inputs | settings | outputs | machine |", "|---|---|---|---|---|"]
    for one in stages:
        settings, facts = ([name for name, *_ in several or []] for several in (one.settings, one.facts))
        cells = [one.inputs_by_file, settings, one.outputs, facts]
        lines.append(f"| {one.stage} | {' | '.join(', '.join(map(_cell, cell)) for cell in cells)} |")
    return lines


def _flip_lines(kind: str, title: str, flips: Sequence[gate.Flip]) -> list[str]:
    if not flips:
        return []
    more = f", the first {LISTED}; all are in compare.json" if len(flips) > LISTED else ""
    lines = [f"<details><summary>{title}: {len(flips)} photos ({kind}){more}</summary>", ""]
    lines += ["| photo | class | probability there | here |", "|---|---|--:|--:|"]
    lines += [f"| {_cell(one.path)} | {_cell(one.label)} | {one.base:.3f} | {one.new:.3f} |" for one in flips[:LISTED]]
    return [*lines, "", "</details>", ""]


def _text(value: object) -> str:
    """Text that can't begin HTML or call somebody: what a pull request holds is a stranger's."""
    text = "not there" if value is None else " ".join(str(value).split())
    for letter, safe in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("@", "&#64;"), ("[", "&#91;")):
        text = text.replace(letter, safe)
    return text


def _cell(value: object) -> str:
    """Such text that can't end a table's cell or begin code either."""
    return _text(value).replace("|", "&#124;").replace("`", "&#96;")


def _draw_curves(path: Path, found: Comparison) -> None:
    """Both histories over each other, the base dashed."""
    with drawing.drawing(path, nrows=2, figsize=(8, 7.5), sharex=True) as (figure, axes):
        for state, style in ((found.base, "--"), (found.new, "-")):
            rows = [row for stage in history.HISTORIES for row in history.read(stage, state.folder)]
            trained = pd.DataFrame([row for row in rows if row["epoch"] > 0])
            for axis, name in zip(axes, ("accuracy", "loss"), strict=True):
                for column, colour, part in (
                    (name, drawing.TRAIN, "training"),
                    (f"val_{name}", drawing.VALIDATION, "validation"),
                ):
                    label = f"{part}, {state.label}"
                    axis.plot(trained["epoch"], trained[column], style, color=colour, label=label, lw=1.6)
        for axis, title in zip(axes, ("Accuracy", "Cross-entropy"), strict=True):
            axis.set_title(title)
        axes[0].yaxis.set_major_formatter(PercentFormatter(1.0, decimals=None))
        axes[1].set(ylim=(0, None), xlabel="epoch")
        axes[1].xaxis.set_major_locator(MaxNLocator(integer=True))
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)


def _draw_confusions(path: Path, found: Comparison) -> None:
    """Both confusion matrices side by side, on one scale."""
    tables = [list(predictions.read(state.predictions).values()) for state in (found.base, found.new)]
    classes = sorted({row["label"] for row in tables[0]})
    counts = [
        confusion_matrix([row["label"] for row in rows], [row["predicted"] for row in rows], labels=classes)
        for rows in tables
    ]
    height = max(4.4, 0.45 * min(len(classes), results.MOST_CELLS) + 1)
    with drawing.drawing(path, ncols=2, figsize=(2 * height + 0.2, height)) as (_, axes):
        for axis, state, matrix in zip(axes, (found.base, found.new), counts, strict=True):
            if len(classes) > results.MOST_CELLS:
                results.draw_top_confusions(axis, matrix, classes)
            else:
                results.draw_confusion(axis, matrix, classes, peak=int(np.max(counts)))
            axis.set_title(state.label)


def _draw_flips(path: Path, found: Comparison, raw: Path) -> None:
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
        classes = sorted({row["label"] for row in predictions.read(found.new.predictions).values()})
        names = dict(zip(classes, drawing.shown(classes), strict=True))
        titles = [f"{names[flip.label]}, {kind}\n{flip.base:.2f} to {flip.new:.2f}" for flip, kind in chosen]
        colours = [drawing.WRONG if kind == "lost" else drawing.RIGHT for _, kind in chosen]
        heading = f"Flipped: {len(found.paired.lost)} lost (red), {len(found.paired.gained)} gained"
        drawing.photo_grid(path, pixels, titles, columns=5, heading=heading, colours=colours)
