"""A look at photos before anything is trained: what is there, what is wrong with it, and which settings suit it."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from tqdm import tqdm

from transfer_learning.core.errors import UserError
from transfer_learning.ingest import layout, splitting
from transfer_learning.photos import decode, inventory
from transfer_learning.reporting import near_duplicates, recipe

UNEQUAL = 10  # times as many photos in the largest class as in the smallest
MOST_VIEWS_BYTES = 5e9
BYTES_A_VIEW = 2 * 14 * 14 * 64 + 4 * 1280  # of mobilenet_v2 at 224 x 224 and block_6_project_BN


class Similar(NamedTuple):
    """Paths of two photos in different parts that may look the same; how alike, up to 1; whether they are mirrored."""

    one: str
    other: str
    similarity: float
    mirrored: bool


@dataclass
class Findings:
    """What `look` has found.

    Attributes:
        table: rows (path, label, part, sha256) of the photos that can be read; part is that of the folders, or empty.
        sizes: (n, 2) width and height of each in pixels, as in the file's header.
        formats: number of photos by format.
        broken: what is wrong, by path.
        repeated: number of photos that repeat another of the same class byte for byte.
        contradictions: pairs of paths with the same bytes in two classes.
        similar: pairs of photos in different parts of the split that may look the same, the most alike first.
        split: rows (path, label, part) as the split stage would draw them; None where it would refuse.
        refused: why.
        lost: classes of which every photo is broken.
    """

    table: pd.DataFrame
    sizes: np.ndarray
    formats: pd.Series
    broken: dict[str, str]
    repeated: int = 0
    contradictions: list[tuple[str, str]] = field(default_factory=list)
    similar: list[Similar] = field(default_factory=list)
    split: pd.DataFrame | None = None
    refused: str = ""
    lost: list[str] = field(default_factory=list)


def look(folder: Path, paths: list[str], settings: Any) -> Findings:
    """Read every photo of a folder once.

    Args:
        paths: of the photos, relative.
        settings: all of them; seed, split and images count here.

    Raises:
        UserError: no classes, or no photo that can be read.
    """
    labelled = splitting.label(paths, folder)
    read = _read(folder, paths, settings.images.max_megapixels)
    broken = {path: str(found) for path, found in read.items() if isinstance(found, str)}
    good = [path for path in paths if path not in broken]
    if not good:
        raise UserError(f"all {len(paths)} photos are unreadable: {inventory.name_some(broken)}")
    seen = [read[path] for path in good]
    hashes = inventory.hashes(folder, good)
    table = labelled[~labelled["path"].isin(list(broken))].reset_index(drop=True)
    table = table.assign(sha256=table["path"].map(hashes))
    found = Findings(
        table=table,
        sizes=np.array([size for _, size, _ in seen]),
        formats=pd.Series([kind for _, _, kind in seen]).value_counts(),
        broken=broken,
    )
    _repeats(found)
    rows = list(labelled[["path", "label", "part"]].itertuples(index=False, name=None))
    found.lost = layout.lost_classes(rows, broken)
    try:
        layout.refuse_lost_classes(rows, broken, folder)
        found.split = _split(found.table, settings)
    except UserError as error:
        found.refused = str(error)
    if found.split is not None:
        found.similar = _similar(found.split, folder, dict(zip(good, (small for small, _, _ in seen), strict=True)))
    return found


def _read(folder: Path, paths: list[str], max_megapixels: int) -> dict[str, Any]:
    """Thumbnail, (width, height) and format of each photo by path; a text where it cannot be read."""

    def read(path: str) -> Any:
        try:
            thumbnail = decode.load(folder / path, size=near_duplicates.THUMBNAIL, bound=decode.Bound(max_megapixels))
            with decode.opened(folder / path) as image:
                return thumbnail, image.size, image.format
        except UserError as error:
            return str(error)
        except OSError as error:
            return f"cannot be opened ({error.strerror})"

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = tqdm(pool.map(read, paths), total=len(paths), desc="read", unit="photo", delay=2)
        return dict(zip(paths, found, strict=True))


def _repeats(found: Findings) -> None:
    for _, rows in found.table[found.table.duplicated("sha256", keep=False)].groupby("sha256"):
        first = rows.drop_duplicates("label")["path"].tolist()
        if len(first) > 1:
            found.contradictions.append((first[0], first[1]))
        else:
            found.repeated += len(rows) - 1


def _split(table: pd.DataFrame, settings: Any) -> pd.DataFrame:
    """Split as the split stage would."""
    chosen = settings.split
    return splitting.split(
        splitting.drop_duplicates(table),
        test_fraction=chosen.test_fraction,
        validation_fraction=chosen.validation_fraction,
        fraction=1.0,
        seed=settings.seed,
    )


def _similar(split: pd.DataFrame, folder: Path, thumbnails: dict[str, np.ndarray]) -> list[Similar]:
    """Photos in different parts that may look the same."""
    paths = split["path"].tolist()
    with ThreadPoolExecutor(os.cpu_count()) as pool:

        def larger(wanted: list[int]) -> np.ndarray:
            photos = [decode.Photo(folder / paths[index]) for index in wanted]
            return decode.load_batch(photos, size=near_duplicates.LARGER, pool=pool)

        found = near_duplicates.find(np.stack([thumbnails[path] for path in paths]), split["part"].to_numpy(), larger)
    return [Similar(paths[pair.one], paths[pair.other], pair.similarity, pair.mirrored) for pair in found]


def quoted(path: str) -> str:
    """A path as Hydra takes it in an override."""
    plain = all(letter.isascii() and (letter.isalnum() or letter in "/._-:") for letter in path)
    return path if plain else "'" + path.replace("'", "\\'") + "'"


def proposals(found: Findings, path: str, given: Sequence[str] = ()) -> list[tuple[str, str]]:
    """Settings that suit the photos, as overrides for `dvc exp run`, each with its reason.

    Args:
        given: overrides that it was looked at with.
    """
    train = len(found.table) if found.split is None else int((found.split["part"] == "train").sum())
    chosen = [("data=folder", "")]
    if not any(override.startswith("+recipe=") for override in given):
        chosen.append((recipe.for_photos(train), f"for {train:,} training photos"))
    chosen.append((f"data.path={quoted(path)}", ""))
    chosen += [(override, "") for override in given]
    if found.broken:
        chosen.append(("data.skip_broken=true", f"{len(found.broken)} photos cannot be read"))
    if found.lost:
        chosen.append((layout.left_out(*found.lost), "none of their photos can be read"))
    counts = found.table["label"].value_counts()
    if counts.max() > UNEQUAL * counts.min():
        for phase in ("train_frozen", "finetune"):
            reason = f"the largest class has {counts.max() / counts.min():.0f} times the photos of the smallest"
            chosen.append((f"{phase}.balance=class_weights", reason))
    if train * 10 * BYTES_A_VIEW > MOST_VIEWS_BYTES:
        views = max(int(MOST_VIEWS_BYTES / train / BYTES_A_VIEW), 1)
        needed = 10 * train * BYTES_A_VIEW / 1e9
        chosen.append((f"features.views={views}", f"ten views of each photo would take {needed:,.0f} GB"))
    return chosen


def command(chosen: list[tuple[str, str]]) -> str:
    """The command that runs with these overrides, quoted for a shell."""
    return "dvc exp run " + " ".join(f"-S {_for_shell(override)}" for override, _ in chosen)


def _for_shell(text: str) -> str:
    return f'"{text}"' if "'" in text and not set(text) & set('"$`!\\') else shlex.quote(text)
