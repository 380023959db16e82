"""predict among odd files: what cannot be read is named on one line, what can is predicted, and nothing waits."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from support.clone import Clone

from transfer_learning.commands import predict
from transfer_learning.core.errors import UserError
from transfer_learning.serving.predictor import Predictor

PHOTOS = ("plain.png", b"caf\xe9.png", "red\x1b[31m.png", "two\nlines.png", "12:30.png", "blüte.png", "x[/a].png")


@pytest.fixture
def album(demo_clone: Clone, tmp_path: Path) -> Path:
    """A photo under names good and bad, pipes and devices, and files that are no photos."""
    photo = min((demo_clone.folder / "data/raw/validation").rglob("*.png"))
    folder = tmp_path / "album"
    (folder / "x[").mkdir(parents=True)
    for name in PHOTOS:
        shutil.copyfile(photo, os.path.join(os.fsencode(folder), os.fsencode(name)))
    os.mkfifo(folder / "pipe.jpg")
    (folder / "device.jpg").symlink_to("/dev/zero")
    (folder / "IMG_1.HEIC").write_bytes(b"")
    return folder


def test_odd_files_among_photos_are_named_and_the_others_predicted(demo_clone: Clone, album: Path) -> None:
    done = subprocess.run(
        ["python", "src/cli.py", "predict", "--json", str(album)],
        cwd=demo_clone.folder, env=demo_clone.environment | {"PYTHONIOENCODING": "utf-8:strict"},
        capture_output=True, encoding="utf-8", timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    predicted = {os.fsencode(os.path.relpath(json.loads(line)["photo"], album)) for line in done.stdout.splitlines()}
    assert predicted == {os.fsencode(name) for name in PHOTOS}
    assert "\x1b" not in done.stdout + done.stderr
    for said in (
        "pipe.jpg is no file but a folder, pipe or device",
        "device.jpg is no file but a folder, pipe or device",
        f"{album}: 1 file(s) are no photos by their names and are left out (1 .heic); convert photos of these kinds",
        "error: predict: 2 of 9 could not be read; the others are predicted",
    ):
        assert said in done.stderr


def test_a_folder_without_a_photo_says_what_it_holds(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}.heic").write_bytes(b"")
    with pytest.raises(
        UserError, match=r"holds no photos \(JPEG.*\); .*3 file.*3 \.heic\); convert photos of these kinds"
    ):
        predict._expand([tmp_path])


def test_a_pipe_in_place_of_a_model_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "model.keras")
    with pytest.raises(UserError, match="is no file but a folder, pipe or device"):
        Predictor(tmp_path / "model.keras")
