"""Corrections: labels that somebody has looked at and found wrong, as a small CSV file, and what they change.

    path,sha256,given,label
    cats/17.jpg,5f0c...,cats,dogs      is of class dogs
    cats/40.jpg,a31b...,cats,          is left out

`given` is the class of the folder that the photo lies in. A correction is of the photo's content: exact duplicates go
with it.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from transfer_learning.core.errors import UserError
from transfer_learning.photos.parts import PARTS

COLUMNS = ("path", "sha256", "given", "label")
LEFT_OUT = ""  # in place of a label


@dataclass(frozen=True)
class Correction:
    """One photo: its path relative to the photos' folder, sha256 of its file, the class of its folder, the right one.

    Attributes:
        where: file and line, for people.
    """

    path: str
    sha256: str
    given: str
    label: str
    where: str


def read(file: Path) -> list[Correction]:
    """Read a file of corrections.

    Raises:
        UserError: it cannot be read, has other columns, or a line has not as many cells.
    """
    try:
        with open(file, newline="", encoding="utf-8-sig") as opened:  # spreadsheets write the mark at its beginning
            lines = csv.reader(opened, strict=True)
            head = next(lines, [])
            if tuple(head) != COLUMNS:
                raise UserError(f"{file} begins with {','.join(head)!r}: it must be {','.join(COLUMNS)!r}")
            rows = [(lines.line_num, cells) for cells in lines if cells]
    except OSError as error:
        raise UserError(f"{file} cannot be opened ({error.strerror}); split.corrections names it") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{file} is no CSV file in UTF-8 ({error}); split.corrections names it") from None
    for number, cells in rows:
        if len(cells) != len(COLUMNS):
            raise UserError(f"{file}, line {number}: {len(cells)} cells, must be {len(COLUMNS)}: {', '.join(COLUMNS)}")
    return [
        Correction(path, sha256, given, label, f"{file}, line {number}")
        for number, (path, sha256, given, label) in rows
    ]


def decide(corrections: list[Correction], photos: pd.DataFrame) -> dict[str, str]:
    """What becomes of the photos that are corrected.

    Args:
        photos: rows (path, label, sha256) of all photos, as they lie in their folders.

    Returns:
        Class by path, LEFT_OUT for a photo that is left out; exact duplicates too.

    Raises:
        UserError: a correction does not fit the photos, or a photo has two.
    """
    there = photos.set_index("path")
    classes = sorted(photos["label"].unique())
    seen: dict[str, Correction] = {}  # by content
    for one in corrections:
        if one.path not in there.index:
            raise UserError(f"{one.where}: {one.path} is none of the photos")
        given, sha256 = there.loc[one.path, ["label", "sha256"]]
        if one.sha256 != sha256:
            raise UserError(f"{one.where}: {one.path} is another photo now: its sha256 is {sha256}, not {one.sha256}")
        if one.given != given:
            raise UserError(f"{one.where}: {one.path} lies in the folder of {given}, not of {one.given}")
        if one.label not in (LEFT_OUT, *classes):
            known = ", ".join(classes[:10]) + (" ..." if len(classes) > 10 else "")
            raise UserError(
                f"{one.where}: no class is called {one.label}: allowed are {known}, or nothing to leave it out"
            )
        if one.label == given:
            raise UserError(f"{one.where}: {one.path} is of {given} already: remove the line")
        if sha256 in seen:
            raise UserError(f"{one.where}: {one.path} is corrected twice, also in {seen[sha256].where}")
        seen[sha256] = one
    chosen = photos[photos["sha256"].isin(list(seen))]
    return {path: seen[sha256].label for path, sha256 in zip(chosen["path"], chosen["sha256"], strict=True)}


def apply(table: pd.DataFrame, decided: Mapping[str, str], file: Path) -> tuple[pd.DataFrame, str]:
    """Correct a split that was drawn by the classes of the folders, so that no other photo changes its part.

    Args:
        table: rows (path, label, part).
        decided: from `decide`.
        file: they come from, for people.

    Returns:
        The rows without those that are left out, and what was done, in words.

    Raises:
        UserError: a class is left without a photo in one of the parts.
    """
    labels = [decided.get(path, label) for path, label in zip(table["path"], table["label"], strict=True)]
    corrected = table.assign(label=labels)
    out = corrected["label"] == LEFT_OUT
    changed = int((corrected["label"] != table["label"]).sum() - out.sum())
    corrected = corrected[~out].reset_index(drop=True)
    counts = corrected.groupby(["part", "label"]).size()
    for name in sorted(table["label"].unique()):
        for part in PARTS:
            if (part, name) not in counts:
                none = f"no photo of {name}" if name not in set(corrected["label"]) else f"{name} no photo for {part}"
                raise UserError(f"{file} leaves {none}: each class needs one at least for {', '.join(PARTS)}")
    return corrected, f"{file}: {changed:,} relabelled, {int(out.sum()):,} left out"
