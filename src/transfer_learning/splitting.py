"""Which photo is for training, validation or test: disjoint by path and by content, stratified, seeded."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from transfer_learning.errors import UserError
from transfer_learning.photos import list_photos, sha256

PARTS = ("train", "validation", "test")


def scan(folder: Path) -> pd.DataFrame:
    """List the photos of a folder laid out as `class/...` or `train|validation|test/class/...`.

    Returns:
        One row a photo: path, label, part (empty where the folder has no parts), sha256; sorted by path.

    Raises:
        UserError: no photo, or a photo outside of class folders.
    """
    rows = []
    paths = list_photos(folder)
    in_parts = any(PurePosixPath(path).parts[0] in PARTS for path in paths)
    for path in paths:
        folders = PurePosixPath(path).parts[:-1]
        if len(folders) < (2 if in_parts else 1) or (in_parts and folders[0] not in PARTS):
            allowed = "train, validation or test with class folders in them" if in_parts else "class folders"
            raise UserError(f"photo {folder / path} has no class: allowed are {allowed}")
        part, label = folders[:2] if in_parts else ("", folders[0])
        rows.append((path, label, part, sha256(folder / path)))
    if not rows:
        raise UserError(f"{folder} holds no photos")
    return pd.DataFrame(rows, columns=["path", "label", "part", "sha256"])


def drop_duplicates(photos: pd.DataFrame) -> pd.DataFrame:
    """Keep one photo of each content: the one in test before validation before training, then the first path.

    Raises:
        UserError: the same content lies in two classes.
    """
    labels = photos.groupby("sha256")["label"].nunique()
    if (labels > 1).any():
        twice = photos[photos["sha256"] == labels.idxmax()].drop_duplicates("label")["path"]
        raise UserError(f"the same photo lies in two classes: {twice.iloc[0]} and {twice.iloc[1]}; remove one")
    rank = photos["part"].map({"test": 0, "validation": 1, "train": 2, "": 3})
    first = photos.assign(rank=rank).sort_values(["rank", "path"]).drop_duplicates("sha256")
    return photos.loc[sorted(first.index)]


def split(
    photos: pd.DataFrame, *, test_fraction: float, validation_fraction: float, fraction: float, seed: int
) -> pd.DataFrame:
    """Give every photo a part.

    Photos that come with a test part keep it. Else `test_fraction` of the validation photos become the test part,
    and without validation photos `validation_fraction` of all are held out first. Every draw is per class.

    Args:
        photos: rows as from `scan`.
        fraction: share of every part and class that is kept.

    Returns:
        Rows (path, label, part) sorted by path.

    Raises:
        UserError: not two classes, or a class without photos in one of the parts.
    """
    classes = sorted(photos["label"].unique())
    if len(classes) != 2:
        found = ", ".join(classes[:10]) + (" ..." if len(classes) > 10 else "")
        raise UserError(f"found {len(classes)} class folder(s) with photos ({found}); the binary head needs exactly 2")
    given = set(photos["part"])
    table = photos.assign(part=photos["part"].replace("", "train"))
    if "validation" not in given:
        table = _move(table, "train", "validation", validation_fraction, [seed, 1])
    if "test" not in given:
        table = _move(table, "validation", "test", test_fraction, [seed, 2])
    if fraction < 1:
        for number, part in enumerate(PARTS):
            table = _move(table, part, "unused", 1 - fraction, [seed, 3 + number])
    table = table[table["part"] != "unused"]
    counts = table.groupby(["part", "label"]).size()
    for part in PARTS:
        for label in classes:
            if counts.get((part, label), 0) == 0:
                raise UserError(f"class {label} has no photo for {part}; add photos or change the split fractions")
    return table[["path", "label", "part"]].sort_values("path", ignore_index=True)


def _move(table: pd.DataFrame, source: str, target: str, fraction: float, seed: list[int]) -> pd.DataFrame:
    """Move a share of one part to another, drawn without replacement from each class."""
    part = table["part"].copy()
    for number, (_, members) in enumerate(table[table["part"] == source].groupby("label")):
        generator = np.random.default_rng([*seed, number])
        order = generator.permutation(members.sort_values("path").index.to_numpy())
        part.loc[order[: round(fraction * len(order))]] = target
    return table.assign(part=part)


def describe(table: pd.DataFrame) -> str:
    """Counts per part and class on one line."""
    counts: dict[str, list[str]] = defaultdict(list)
    for (part, label), number in table.groupby(["part", "label"]).size().items():
        counts[part].append(f"{number:,} {label}")
    return "; ".join(f"{part}: {', '.join(counts[part])}" for part in PARTS)
