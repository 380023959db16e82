"""`predict --overlay`: one picture per photo, whatever the photos and the folder are called."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.clone import Clone

from transfer_learning.core.errors import UserError
from transfer_learning.photos import decode
from transfer_learning.serving.overlays import OverlayFolder


@pytest.fixture
def album(demo_clone: Clone, tmp_path: Path) -> Path:
    """Photos of one name in several folders and formats, one of them wide, and a broken one."""
    source = sorted((demo_clone.folder / "data/raw/validation").rglob("*.png"))[0]
    for name in ("a/cat.png", "b/cat.png", "b/Cat.png", "b/cat_overlay.png"):
        (tmp_path / "album" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, tmp_path / "album" / name)
    with Image.open(source) as image:
        image.convert("RGB").resize((300, 100)).save(tmp_path / "album" / f"{'é' * 110}.jpg")
    (tmp_path / "album/broken.png").write_bytes(b"no photo")
    return tmp_path / "album"


def test_every_photo_gets_an_overlay_of_its_own(demo_clone: Clone, album: Path) -> None:
    before = (album / "b/cat_overlay.png").read_bytes()
    given = map(str, listed(album))
    command = ["python", "src/cli.py", "predict", "--json", *given, "--overlay", str(album / "b")]
    for _ in range(2):  # the second time replaces the files of the first
        said = demo_clone.run(*command, code=2)
        assert "error: predict: 1 of 6 could not be read; the others are predicted" in said
        rows = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
        written = [Path(row["overlay"]).name for row in rows]
        assert written[:4] == ["cat_overlay_2.png", "Cat_overlay_3.png", "cat_overlay_4.png", "cat_overlay_overlay.png"]
        assert written[4].endswith("é_overlay.png")
    assert (album / "b/cat_overlay.png").read_bytes() == before
    pixels = {row["photo"]: np.asarray(Image.open(row["overlay"])) for row in rows}
    assert pixels[str(album / f"{'é' * 110}.jpg")].shape == (100, 300, 3)
    photo = decode.load_whole(album / "a/cat.png", longest=1024)
    seen = pixels[str(album / "a/cat.png")]
    assert seen.shape == photo.shape
    assert (seen != photo).any()


def listed(album: Path) -> list[Path]:
    names = ["a/cat.png", "b/Cat.png", "b/cat.png", "b/cat_overlay.png", f"{'é' * 110}.jpg", "broken.png"]
    return [album / name for name in names]


def test_table_has_the_overlays_and_makes_their_folder(demo_clone: Clone, album: Path) -> None:
    folder = album.parent / "new/folder"
    said = demo_clone.run("python", "src/cli.py", "predict", str(album / "a/cat.png"), "--overlay", str(folder))
    assert "overlay" in said.splitlines()[1]  # the heads of the columns
    assert [path.name for path in folder.iterdir()] == ["cat_overlay.png"]
    plain = demo_clone.run("python", "src/cli.py", "predict", str(album / "a/cat.png"))
    assert "overlay" not in plain.splitlines()[1]


@pytest.mark.parametrize("folder", ["/proc/1", "a file"])
def test_a_folder_that_takes_no_files_is_one_line_before_any_work(demo_clone: Clone, album: Path, folder: str) -> None:
    (album / "a file").write_text("")
    target = str(album / folder)
    said = demo_clone.run("python", "src/cli.py", "predict", str(album / "a/cat.png"), "--overlay", target, code=2)
    assert said.startswith(f"error: predict: --overlay {target}: no files can be written there (")
    assert said.count("\n") == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write into read-only folders")
def test_a_read_only_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "shut").mkdir(mode=0o500)
    with pytest.raises(UserError, match="no files can be written there"):
        OverlayFolder(tmp_path / "shut", [])


def test_a_whole_photo_keeps_its_proportions_and_is_never_enlarged(tmp_path: Path) -> None:
    for size, expected in (((400, 100), (50, 200, 3)), ((60, 30), (30, 60, 3))):
        Image.new("RGB", size, (10, 200, 30)).save(tmp_path / "photo.jpg", quality=95)
        found = decode.load_whole(tmp_path / "photo.jpg", longest=200)
        assert found.shape == expected
        np.testing.assert_allclose(found.reshape(-1, 3).mean(axis=0), (10, 200, 30), atol=3)
