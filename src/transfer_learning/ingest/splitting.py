"""Which photo is for training, validation or test: disjoint by path and by content, stratified, seeded."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from transfer_learning.core.errors import UserError
from transfer_learning.ingest import layout
from transfer_learning.photos import inventory
from transfer_learning.photos.parts import PARTS

MOST_CLASSES = 1000
FEW_CLASSES = 12  # are counted one by one in a line


def label(paths: Iterable[str], folder: Path) -> pd.DataFrame:
    """Rows of `layout.read`: path, label, part (empty where the folder has no parts).

    Raises:
        UserError: as `layout.read`.
    """
    return pd.DataFrame(layout.read(paths, folder).rows, columns=["path", "label", "part"])


def scan(raw: Path) -> pd.DataFrame:
    """List the photos of data/raw, sorted by path: rows of `label` with the sha256 of each."""
    found = inventory.inventory(raw)
    return label(found, inventory.read(raw).folder).assign(sha256=list(found.values()))


def drop_duplicates(photos: pd.DataFrame, decided: Iterable[str] = ()) -> pd.DataFrame:
    """Keep one photo of each content: the one in test before validation before training, then the first path.

    Args:
        decided: paths of photos whose class somebody has decided on.

    Raises:
        UserError: the same content lies in two classes, and nobody has decided on one.
    """
    labels = photos[~photos["path"].isin(list(decided))].groupby("sha256")["label"].nunique()
    if (labels > 1).any():
        twice = photos[photos["sha256"] == labels.idxmax()].drop_duplicates("label")["path"]
        way = "remove one, or let split.corrections decide"
        raise UserError(f"the same photo lies in two classes: {twice.iloc[0]} and {twice.iloc[1]}; {way}")
    rank = photos["part"].map({"test": 0, "validation": 1, "train": 2, "": 3})
    first = photos.assign(rank=rank).sort_values(["rank", "path"]).drop_duplicates("sha256")
    return photos.loc[sorted(first.index)]


def split(
    photos: pd.DataFrame, *, test_fraction: float, validation_fraction: float, fraction: float, seed: int
) -> pd.DataFrame:
    """Give every photo a part.

    Photos that come with a test part keep it. Else `test_fraction` of the validation photos become the test part,
    and without validation photos `validation_fraction` of all are held out first. Every draw is per class, and leaves
    and takes at least one photo.

    Args:
        photos: rows as from `scan`.
        fraction: share of every part and class that is kept.

    Returns:
        Rows (path, label, part) sorted by path.

    Raises:
        UserError: not 2 to 1000 classes, or a class without photos in one of the parts.
    """
    classes = sorted(photos["label"].unique())
    if not 2 <= len(classes) <= MOST_CLASSES:
        found = ", ".join(classes[:10]) + (" ..." if len(classes) > 10 else "")
        raise UserError(
            f"found {len(classes)} class folder(s) with photos ({found}); allowed are 2 to {MOST_CLASSES} classes"
        )
    given = set(photos["part"])
    table = photos.assign(part=photos["part"].replace("", "train"))
    if "validation" not in given:
        both = "test" not in given  # held out now: one photo at least for validation, one for the test
        table = _move(table, "train", "validation", validation_fraction, [seed, 1], least=2 if both else 1)
    if "test" not in given:
        table = _move(table, "validation", "test", test_fraction, [seed, 2])
    if fraction < 1:
        for number, part in enumerate(PARTS):
            table = _move(table, part, "unused", 1 - fraction, [seed, 3 + number], least=0)
    table = table[table["part"] != "unused"]
    counts = table.groupby(["part", "label"]).size()
    for part in PARTS:
        for label in classes:
            if counts.get((part, label), 0) == 0:
                number = int((photos["label"] == label).sum())
                way = "at least three are needed, one each for training, validation and test"
                if given != {""}:
                    way = f"every class must be in train and in each of the folders {', '.join(sorted(given))}"
                raise UserError(f"class {label} has {number} photo(s), none of them for {part}: {way}")
    return table[["path", "label", "part"]].sort_values("path", ignore_index=True)


def _move(
    table: pd.DataFrame, source: str, target: str, fraction: float, seed: list[int], *, least: int = 1
) -> pd.DataFrame:
    """Move a share of one part to another, drawn without replacement from each class; `least` and not all of it."""
    part = table["part"].copy()
    for number, (_, members) in enumerate(table[table["part"] == source].groupby("label")):
        generator = np.random.default_rng([*seed, number])
        order = generator.permutation(members.sort_values("path").index.to_numpy())
        number = min(max(round(fraction * len(order)), least), len(order) - 1)
        part.loc[order[: max(number, 0)]] = target
    return table.assign(part=part)


def describe(table: pd.DataFrame) -> str:
    """Counts per part and class on one line."""
    classes = table["label"].nunique()
    if classes > FEW_CLASSES:
        sizes = table["part"].value_counts()
        return f"{classes} classes; " + "; ".join(f"{part}: {sizes[part]:,} photos" for part in PARTS)
    counts: dict[str, list[str]] = defaultdict(list)
    for (part, label), number in table.groupby(["part", "label"]).size().items():
        counts[part].append(f"{number:,} {label}")
    return "; ".join(f"{part}: {', '.join(counts[part])}" for part in PARTS)
