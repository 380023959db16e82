"""The parts that photos are divided into, and data/split.csv, which says which photo is in which."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from transfer_learning.files import written_aside

if TYPE_CHECKING:
    import pandas as pd

SPLIT = Path("data/split.csv")
PARTS = ("train", "validation", "test")
PART_NAMES = {"training": "train", "valid": "validation", "val": "validation", "testing": "test"}  # other names of them


@dataclass(frozen=True)
class Part:
    """The photos of one part: paths relative to data/raw, and labels (n,) uint8, above 256 classes uint16."""

    paths: list[Path]
    labels: np.ndarray


def part_of(folder: str) -> str | None:
    """The part of the photos that a folder's name stands for, in whatever case; None for any other name."""
    name = PART_NAMES.get(folder.lower(), folder.lower())
    return name if name in PARTS else None


def write_split(table: pd.DataFrame, path: Path) -> None:
    """Write split.csv: rows path, label, part."""
    with written_aside(path) as aside:
        table.to_csv(aside, index=False, lineterminator="\n")


def split_rows(path: Path) -> list[dict[str, str]]:
    """Rows of a split.csv as they are: path, label, part."""
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def read_split(path: Path) -> tuple[list[str], dict[str, Part]]:
    """Read split.csv: the class names, sorted, and the photos of each part that has any."""
    rows = split_rows(path)
    classes = sorted({row["label"] for row in rows})
    index = {name: number for number, name in enumerate(classes)}
    kind = np.uint8 if len(classes) <= 256 else np.uint16
    found = {}
    for part in PARTS:
        chosen = [row for row in rows if row["part"] == part]
        if chosen:
            labels = np.array([index[row["label"]] for row in chosen], kind)
            found[part] = Part([Path(row["path"]) for row in chosen], labels)
    return classes, found
