"""The stages fetch and split as people run them: on an archive of theirs, with everything that can be wrong."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from conftest import Clone

from transfer_learning import weights
from transfer_learning.backbones import mobilenet_v2_file, small_cnn_weights
from transfer_learning.drawn import draw_dataset
from transfer_learning.errors import UserError


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    """A clone set to read `photos.zip` of the mirror, drawn pictures with their folders."""
    clone = Clone(tmp_path / "a project")
    mirror = Path(clone.environment["DATA_MIRROR"])
    draw_dataset(mirror / "photos", classes=2, photos_per_class=12, size=40, seed=0)
    pack(mirror)
    compose(clone)
    return clone


def pack(mirror: Path) -> None:
    with zipfile.ZipFile(mirror / "photos.zip", "w") as file:
        for path in sorted((mirror / "photos").rglob("*.*")):
            file.write(path, path.relative_to(mirror))


def compose(clone: Clone, *overrides: str) -> None:
    base = ["+experiment=demo", "data=cats_and_dogs", "data.archive=photos.zip", "data.url=null", "data.digest=null"]
    clone.run("python", "src/params.py", "params.yaml", *base, *overrides)


def refused(clone: Clone, said: str) -> None:
    """Fetch must exit with 2 and one line, and leave what was there before."""
    old = clone.folder / "data" / "raw" / "old.txt"
    old.parent.mkdir(parents=True, exist_ok=True)
    old.write_text("old")
    output = clone.run("python", "src/fetch.py", code=2)
    line = output.strip().splitlines()[-1]
    assert line.startswith("error: fetch: ")
    assert said in line
    assert "Traceback" not in output
    assert [path.name for path in old.parent.iterdir()] == ["old.txt"]
    assert [path for path in (clone.folder / "data").rglob("*") if path.is_file()] == [old]


def test_photos_of_an_archive_are_fetched_and_split(clone: Clone) -> None:
    assert "36 photos in data/raw" in clone.run("python", "src/fetch.py")
    assert "train: 12 cross, 12 disc" in clone.run("python", "src/split.py")
    raw, mirror = clone.folder / "data" / "raw", Path(clone.environment["DATA_MIRROR"]) / "photos"
    for path in mirror.rglob("*.png"):
        assert (raw / path.relative_to(mirror)).read_bytes() == path.read_bytes()


def test_a_broken_photo_is_named(clone: Clone) -> None:
    mirror = Path(clone.environment["DATA_MIRROR"])
    (mirror / "photos" / "train" / "disc" / "3.png").write_bytes(b"")
    pack(mirror)
    refused(clone, "1 of 36 photos are unreadable: train/disc/3.png is empty")


def test_other_photos_than_the_digest_says_are_refused(clone: Clone) -> None:
    compose(clone, f"data.digest='{'0' * 64}'")
    refused(clone, "holds other photos: their digest is ")


def test_a_truncated_archive_is_refused(clone: Clone) -> None:
    archive = Path(clone.environment["DATA_MIRROR"]) / "photos.zip"
    archive.write_bytes(archive.read_bytes()[:-100])
    refused(clone, "is not a zip or tar archive, or is truncated")


def test_no_mirror_and_no_network_names_the_ways_out(clone: Clone) -> None:
    compose(clone, "data.archive=none.zip", "data.url=https://127.0.0.1:9/none.zip")
    refused(clone, "make demo")


@pytest.mark.parametrize("kind", ["other numbers", "other file", "truncated"])
def test_weights_of_another_network_are_refused(kind: str, clone: Clone) -> None:
    path = Path(clone.environment["DATA_MIRROR"]) / mobilenet_v2_file(224)
    with h5py.File(path, "w") as file:
        if kind != "other file":
            file.attrs["layer_names"] = ["Conv1"]
            file.create_group("Conv1").attrs["weight_names"] = ["Conv1/kernel"]
            file["Conv1/Conv1/kernel"] = np.zeros((3, 3, 3, 32), np.float32)
    if kind == "truncated":
        path.write_bytes(path.read_bytes()[:500])
    compose(clone, "model=mobilenet_v2")
    said = {"other numbers": "holds other weights: digest ", "other file": "is not a Keras weights file"}
    refused(clone, said.get(kind, "is truncated"))


def test_fetch_and_split_load_neither_tensorflow_nor_mlflow(clone: Clone) -> None:
    script = "import sys, runpy; runpy.run_path(sys.argv[1]); print(*sys.modules)"
    for stage in ("fetch", "split"):
        command = [sys.executable, "-c", f"import sys; sys.path.insert(0, 'src'); {script}", f"src/{stage}.py"]
        done = subprocess.run(command, cwd=clone.folder, capture_output=True, text=True, check=True)
        assert not {"tensorflow", "keras", "mlflow"} & set(done.stdout.split())


def test_weights_files_are_the_same_bytes_and_come_back(tmp_path: Path) -> None:
    arrays = small_cnn_weights()
    weights.write(tmp_path / "a.h5", arrays)
    weights.write(tmp_path / "b.h5", arrays)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
    back = weights.read(tmp_path / "a.h5")
    assert list(back) == list(arrays)
    sha = hashlib.sha256(b"".join(a.astype("<f4").tobytes() for group in arrays.values() for a in group))
    assert weights.digest(back) == sha.hexdigest()
    (tmp_path / "a.h5").write_bytes((tmp_path / "a.h5").read_bytes()[:300])
    with pytest.raises(UserError, match="truncated"):
        weights.read(tmp_path / "a.h5")
