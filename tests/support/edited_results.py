"""A clone whose committed results are edited as if other models had given them, and the comparison run on it."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from support.clone import Clone
from transfer_learning.evaluation import metrics as evaluation
from transfer_learning.evaluation.predictions import numbers

PREDICTIONS = "reports/test/predictions.csv"
VALIDATION, HISTORY, PER_CLASS = (
    f"reports/{name}.csv" for name in ("validation_predictions", "finetune/history", "test/per_class")
)
TESTED, TUNED = "reports/test/metrics.json", "reports/finetune/metrics.json"
Row = dict[str, str]
UNCALIBRATED = dict.fromkeys(("temperature", "loss_uncalibrated", "calibration_error_uncalibrated"))  # as before it was


def on_a_branch(shared: Clone, commit: str) -> Clone:
    """A clone with the results of the demo committed on main, checked out on a branch; as new, for the next test."""
    shared.back_to(commit)
    shared.run("git", "checkout", "--quiet", "-b", "change")
    return shared


def rewrite(clone: Clone, path: str, text: str) -> None:
    """Replace a result in the workspace, and in dvc.lock as DVC would have."""
    target, lock = clone.folder / path, clone.folder / "dvc.lock"
    md5, size = hashlib.md5(text.encode()).hexdigest(), len(text.encode())
    entry = re.compile(rf"(path: {re.escape(path)}\n\s+hash: md5\n\s+md5: )\w+(\n\s+size: )\d+")
    assert entry.search(lock.read_text())
    lock.write_text(entry.sub(rf"\g<1>{md5}\g<2>{size}", lock.read_text()))
    target.write_text(text)


def predictions(clone: Clone, change: Callable[[int, Row], None]) -> None:
    """Change rows of the predictions of two classes, and with them the metrics and the table by class."""
    edit(clone, PREDICTIONS, change)
    table = numbers((clone.folder / PREDICTIONS).read_text())
    probabilities = np.stack([1 - table.said, table.said], axis=1)
    options = {"threshold": 0.5, "confidence": 0.95, "bins": 10}
    measured: dict[str, Any] = evaluation.measure(table.labels, probabilities, **options)
    metrics(clone, TESTED, **UNCALIBRATED, **{name: round(value, 6) for name, value in measured.items()})
    by_class = evaluation.per_class(table.labels, table.predicted, table.classes)
    rewrite(clone, PER_CLASS, by_class.to_csv(index=False, lineterminator="\n"))


def validated(clone: Clone, change: Callable[[int, Row], None]) -> None:
    """Change rows of the predictions of the validation photos, and the end of the history and its metrics with them."""
    edit(clone, VALIDATION, change)
    table = numbers((clone.folder / VALIDATION).read_text())
    values = [float(np.mean(table.labels == table.predicted)), float(table.losses.mean())]
    metrics(clone, TESTED, **UNCALIBRATED)
    ended(clone, val_accuracy=round(values[0], 6), val_loss=round(values[1], 6))


def ended(clone: Clone, **values: float) -> None:
    """Change what the last epoch of fine-tuning measured, in its history and metrics."""
    rows = list(csv.DictReader(io.StringIO((clone.folder / HISTORY).read_text())))
    rows[-1] |= {name: str(value) for name, value in values.items()}
    rewrite(clone, HISTORY, as_csv(rows))
    metrics(clone, TUNED, **values)


def edit(clone: Clone, path: str, change: Callable[[int, Row], None]) -> None:
    """Change rows of a table of predictions, and nothing that follows from them."""
    rows = list(csv.DictReader(io.StringIO((clone.folder / path).read_text())))
    for number, row in enumerate(rows):
        change(number, row)
    rewrite(clone, path, as_csv(rows))


def as_csv(rows: list[Row]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def without_validation(clone: Clone) -> None:
    """Make a state of before evaluate kept what it makes of the validation photos."""
    lock = clone.folder / "dvc.lock"
    entry = re.compile(rf"    - path: {re.escape(VALIDATION)}\n(      .*\n)+")
    assert entry.search(lock.read_text())
    lock.write_text(entry.sub("", lock.read_text()))
    (clone.folder / VALIDATION).unlink()


def metrics(clone: Clone, path: str, **values: float | None) -> None:
    """Change metrics; None takes one away."""
    changed = json.loads((clone.folder / path).read_text()) | values
    rewrite(clone, path, json.dumps({name: value for name, value in changed.items() if value is not None}, indent=2))


def wrong(number: int) -> Callable[[int, Row], None]:
    """A change that makes the first `number` photos wrong, all others right."""

    def change(index: int, row: Row) -> None:
        other = {"disc": "cross", "cross": "disc"}[row["label"]]
        row["predicted"] = other if index < number else row["label"]
        row["probability"] = "0.75" if row["predicted"] == "disc" else "0.25"

    return change


def base(clone: Clone, number: int) -> None:
    """Make a state with `number` wrong photos what is on main."""
    predictions(clone, wrong(number))
    clone.commit("base")
    clone.run("git", "branch", "--force", "main")


def compared(clone: Clone, *arguments: str, code: int) -> tuple[str, dict[str, Any], str]:
    """Run the comparison; what it prints, compare.json and compare.md."""
    printed = clone.call("compare", *(arguments or ("main",)), code=code)
    folder = clone.folder / "compare"
    return printed, json.loads((folder / "compare.json").read_text()), (folder / "compare.md").read_text()
