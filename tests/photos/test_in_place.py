"""A photo of a folder in place is the one that fetch has read, or the stage that reads it ends."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from transfer_learning.core.errors import UserError
from transfer_learning.ingest import own_folder
from transfer_learning.ingest.drawn import draw_dataset
from transfer_learning.photos import chunks, inventory
from transfer_learning.photos.inventory import Photos
from transfer_learning.photos.parts import Part
from transfer_learning.training.from_photos import from_photos

Read = Callable[[Photos, list[Path]], np.ndarray]


def by_chunks(photos: Photos, paths: list[Path]) -> np.ndarray:
    """As featurize and evaluate do."""
    return np.concatenate([chunk for _, chunk in chunks.chunks(photos.chosen(paths), size=32)])


def by_batches(photos: Photos, paths: list[Path]) -> np.ndarray:
    """As finetune does where it trains from the photos."""
    part = Part(paths, np.zeros(len(paths), np.uint8))
    with ThreadPoolExecutor(1) as pool:
        return from_photos(part, photos, size=32, pool=pool)(0, np.arange(len(paths)))


@pytest.fixture
def listed(tmp_path: Path) -> tuple[Photos, list[Path]]:
    """A folder of photos as fetch lists it in data/raw and stages read it."""
    paths = draw_dataset(tmp_path / "photos", classes=2, photos_per_class=20, size=32, seed=0)
    own_folder.write_list(tmp_path / "raw", tmp_path / "photos", inventory.hashes(tmp_path / "photos", paths))
    return inventory.read(tmp_path / "raw"), [Path(path) for path in paths]


@pytest.mark.parametrize("read", [by_chunks, by_batches])
def test_a_photo_that_is_another_than_fetch_has_read_is_refused(read: Read, listed: tuple[Photos, list[Path]]) -> None:
    photos, paths = listed
    first, last = photos.folder / paths[0], photos.folder / paths[-1]
    before, others = read(photos, paths), (first.read_bytes(), last.read_bytes())
    last.write_bytes(others[0])  # a whole photo
    os.utime(last, (1, 1))
    said = f"photo {last} has changed since fetch read it: put it back, or `dvc repro --force fetch` takes"
    with pytest.raises(UserError, match=re.escape(said)):
        read(photos, paths)
    last.write_bytes(others[1] + b"\0")  # the same pixels
    with pytest.raises(UserError, match=re.escape(said)):
        read(photos, paths)
    last.write_bytes(others[1])
    np.testing.assert_array_equal(read(photos, paths), before)
    np.testing.assert_array_equal(read(Photos(photos.folder), paths), before)  # as where they lie in data/raw itself


def test_a_photo_that_fetch_has_not_listed_is_refused(listed: tuple[Photos, list[Path]]) -> None:
    photos, paths = listed
    (photos.folder / "new.png").write_bytes((photos.folder / paths[0]).read_bytes())
    with pytest.raises(UserError, match=r"new\.png has changed since fetch read it"):
        by_chunks(photos, [Path("new.png")])


def test_the_digest_of_a_photo_in_place_is_that_of_what_was_read(listed: tuple[Photos, list[Path]]) -> None:
    photos, paths = listed
    before = photos.sha256(paths[0])
    assert before == Photos(photos.folder).sha256(paths[0])
    (photos.folder / paths[0]).write_bytes(b"later")
    assert photos.sha256(paths[0]) == before
