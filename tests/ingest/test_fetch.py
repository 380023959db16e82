"""The stages fetch and split as people run them: on an archive of theirs, with everything that can be wrong."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from support.clone import Clone

from transfer_learning.core import weights
from transfer_learning.core.errors import UserError
from transfer_learning.ingest.drawn import draw_dataset
from transfer_learning.settings.backbones import BACKBONES, PUBLISHED, small_cnn_weights


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    clone = Clone(tmp_path_factory.mktemp("fetch") / "a project")
    compose(clone)
    clone.composed = (clone.folder / "params.yaml").read_text()  # type: ignore[attr-defined]
    return clone


@pytest.fixture
def clone(shared: Clone, tmp_path: Path) -> Clone:
    """A clone without data, set to read `photos.zip` of a mirror of its own, drawn pictures with their folders."""
    shutil.rmtree(shared.folder / "data", ignore_errors=True)
    (shared.folder / "params.yaml").write_text(shared.composed)  # type: ignore[attr-defined]
    mirror = tmp_path / "mirror"
    shared.environment["DATA_MIRROR"] = str(mirror)
    draw_dataset(mirror / "photos", classes=2, photos_per_class=12, size=40, seed=0)
    pack(mirror)
    return shared


def pack(mirror: Path) -> None:
    with zipfile.ZipFile(mirror / "photos.zip", "w") as file:
        for path in sorted((mirror / "photos").rglob("*.*")):
            file.write(path, path.relative_to(mirror))


def compose(clone: Clone, *overrides: str) -> None:
    base = ["+experiment=demo", "data=cats_and_dogs", "data.archive=photos.zip", "data.url=null", "data.digest=null"]
    clone.call("params", *base, *overrides)


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
    assert [path for path in (clone.folder / "data").rglob("*") if path.is_file() and path.suffix != ".lock"] == [old]


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


def publish(path: Path, numbers: int) -> None:
    """A file as Keras publishes weights, of one layer with as many zeros."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = ["Conv1"]
        file.create_group("Conv1").attrs["weight_names"] = ["Conv1/kernel"]
        file["Conv1/Conv1/kernel"] = np.zeros(numbers, np.float32)


SMALL = BACKBONES["mobilenet_v3_small"]


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("mobilenet_v2", "holds other weights: digest "),
        ("mobilenet_v3_small", "wanted is md5:ebdb5cc8e0b497cd13a7c275d475c819; model.weights_digest says which"),
        ("other size", "of another network: 864 numbers, mobilenet_v3_small with model.alpha = 0.75 has 583,160"),
        ("other file", "is not a Keras weights file"),
        ("truncated", "is truncated"),
    ],
)
def test_weights_of_another_network_are_refused(model: str, said: str, clone: Clone) -> None:
    mirror = Path(clone.environment["DATA_MIRROR"])
    if model == "mobilenet_v2":
        known = BACKBONES[model]
        publish(mirror / known.published_file(1.0, 224), known.parameters[1.0])
        compose(clone, "model=mobilenet_v2")
    else:
        path = mirror / SMALL.published_file(0.75, 224)
        publish(path, 864 if model == "other size" else SMALL.parameters[0.75])
        if model == "other file":
            h5py.File(path, "w").close()
        if model == "truncated":
            path.write_bytes(path.read_bytes()[:500])
        compose(clone, "model=mobilenet_v3_small", "model.alpha=0.75")
    refused(clone, said)


def test_weights_are_checked_by_what_keras_lists_or_by_the_settings(clone: Clone) -> None:
    path = Path(clone.environment["DATA_MIRROR"]) / SMALL.published_file(0.75, 224)
    publish(path, SMALL.parameters[0.75])
    compose(clone, "model=mobilenet_v3_small", "model.alpha=0.75", "model.weights_digest=null")
    assert f"{path.name} is taken as it is" in clone.run("python", "src/fetch.py")
    digest = hashlib.sha256(bytes(4 * SMALL.parameters[0.75])).hexdigest()
    compose(clone, "model=mobilenet_v3_small", "model.alpha=0.75", f"model.weights_digest='{digest}'")
    assert "taken as it is" not in clone.run("python", "src/fetch.py")


def test_random_weights_need_no_file(clone: Clone) -> None:
    compose(clone, "model=resnet50v2", "model.weights=random")
    assert "backbone drawn at random" in clone.run("python", "src/fetch.py")


def test_every_published_file_but_those_of_mobilenet_v2_has_a_hash() -> None:
    files = {
        known.published_file(alpha, resolution): name
        for name, known in BACKBONES.items()
        for alpha, resolutions in known.resolutions.items()
        for resolution in resolutions
    }
    assert len(files) == 22 + 4 + 4 + 3
    assert set(PUBLISHED) <= set(files)
    assert {files[name] for name in set(files) - set(PUBLISHED)} == {"mobilenet_v2"}
    for digest in PUBLISHED.values():
        kind, number = digest.split(":")
        assert len(number) == {"md5": 32, "sha256": 64, "arrays": 64}[kind]


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
