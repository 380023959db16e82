"""What lies in data/raw in the end is what was checked."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support.own_folder import draw_folder

from transfer_learning.core.errors import UserError
from transfer_learning.ingest import gather, own_folder
from transfer_learning.photos import inventory


def settings(**data: object) -> Any:
    return SimpleNamespace(data=SimpleNamespace(**data), images=SimpleNamespace(max_megapixels=1))


def test_copies_are_checked_after_they_are_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = draw_folder(tmp_path / "photos", 3, ("a", "b"))
    wanted = inventory.digest(inventory.hashes(folder, inventory.list_photos(folder)))
    options = {"path": str(folder), "watch": str(folder), "copy_photos": True, "skip_broken": False, "leave_out": []}
    given = settings(kind="folder", **options, max_files=99, digest=wanted)
    assert gather.fetch_photos(given, tmp_path / "raw") == 6
    whole = own_folder.copy

    def changed_meanwhile(source: Path, paths: list[str], target: Path) -> None:
        (source / paths[-1]).write_bytes((source / paths[0]).read_bytes())
        whole(source, paths, target)

    monkeypatch.setattr(own_folder, "copy", changed_meanwhile)
    with pytest.raises(UserError, match="holds other photos"):
        gather.fetch_photos(given, tmp_path / "again")


def test_drawn_pictures_are_read_once_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = gather.draw_dataset

    def damaged(folder: Path, **options: int) -> list[str]:
        paths = whole(folder, **options)
        (folder / paths[-1]).write_bytes(b"")
        return paths

    given = settings(kind="drawn", classes=2, photos_per_class=4, side=16, seed=0)
    assert gather.fetch_photos(given, tmp_path / "raw") == 12
    monkeypatch.setattr(gather, "draw_dataset", damaged)
    with pytest.raises(UserError, match=r"1 of 12 photos are unreadable: validation/cross/1\.png is empty"):
        gather.fetch_photos(given, tmp_path / "again")
