"""A clone whose committed results are edited as if other models had given them, and the comparison run on it."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from support.clone import Clone

PREDICTIONS = "reports/test/predictions.csv"
TESTED, TUNED = "reports/test/metrics.json", "reports/finetune/metrics.json"
Row = dict[str, str]


def on_a_branch(demo_clone: Clone, folder: Path, *, data: bool = False) -> Clone:
    """The demo with its results committed on main, without what DVC keeps, checked out on a branch."""
    copy = demo_clone.copy(folder, data=data)
    copy.run("git", "checkout", "--quiet", "-b", "change")
    return copy


def rewrite(clone: Clone, path: str, text: str) -> None:
    """Replace a result in the workspace, and in dvc.lock as DVC would have."""
    target, lock = clone.folder / path, clone.folder / "dvc.lock"
    md5, size = hashlib.md5(text.encode()).hexdigest(), len(text.encode())
    entry = re.compile(rf"(path: {re.escape(path)}\n\s+hash: md5\n\s+md5: )\w+(\n\s+size: )\d+")
    assert entry.search(lock.read_text())
    lock.write_text(entry.sub(rf"\g<1>{md5}\g<2>{size}", lock.read_text()))
    target.write_text(text)


def predictions(clone: Clone, change: Callable[[int, Row], None]) -> None:
    """Change rows of the predictions, and the metrics with them."""
    rows = list(csv.DictReader(io.StringIO((clone.folder / PREDICTIONS).read_text())))
    for number, row in enumerate(rows):
        change(number, row)
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    rewrite(clone, PREDICTIONS, text.getvalue())
    right = sum(row["label"] == row["predicted"] for row in rows) / len(rows)
    metrics(clone, TESTED, accuracy=round(right, 6))


def metrics(clone: Clone, path: str, **values: float | None) -> None:
    """Change metrics; None takes one away."""
    changed = json.loads((clone.folder / path).read_text()) | values
    rewrite(clone, path, json.dumps({name: value for name, value in changed.items() if value is not None}, indent=2))


def wrong(number: int) -> Callable[[int, Row], None]:
    """A change that makes the first `number` photos wrong, all others right."""

    def change(index: int, row: Row) -> None:
        other = {"disc": "cross", "cross": "disc"}[row["label"]]
        row["predicted"] = other if index < number else row["label"]
        row["probability"] = "0.25"

    return change


def base(clone: Clone, number: int) -> None:
    """Make a state with `number` wrong photos what is on main."""
    predictions(clone, wrong(number))
    clone.commit("base")
    clone.run("git", "branch", "--force", "main")


def compared(clone: Clone, *arguments: str, code: int) -> tuple[str, dict[str, Any], str]:
    """Run the comparison; what it prints, compare.json and compare.md."""
    printed = clone.run("python", "src/cli.py", "compare", *(arguments or ("main",)), code=code)
    folder = clone.folder / "compare"
    return printed, json.loads((folder / "compare.json").read_text()), (folder / "compare.md").read_text()
