"""A disk that fills up while a stage writes: one line, and every earlier output as it was."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.clone import Clone

# a folder of a size of its own with a copy of the clone in it, filled up but for some kB
SMALL_DISK = r"""
set -e
mount -t tmpfs -o size=400m none "$1"
tar -C "$2" --exclude=.dvc/cache --exclude=.dvc/tmp --exclude=mlflow.db --exclude=mlartifacts -c . | tar -C "$1" -x
cd "$1"
outputs() { find data models reports -type f ! -path '*/.*' -print0 | sort -z | xargs -0 md5sum; }
outputs > /dev/shm/before.$$
free=$(df --output=avail -k . | tail -1)
fallocate -l "$((free - $4))k" filler
code=0; "$5" "src/$3.py" || code=$?
outputs > /dev/shm/after.$$
echo "exit code $code"
cmp /dev/shm/before.$$ /dev/shm/after.$$ && echo "outputs as before"
find data models reports -name '*.partial-*' -printf 'left: %p\n'
rm /dev/shm/before.$$ /dev/shm/after.$$
"""
# the file that a stage writes aside is a device on which every write fails as it does on a full disk
FULL_DEVICE = 'ln -s /dev/full "$(dirname "$1")/.$(basename "$1").partial-$$" && exec "$2" "src/$3.py"'
WRITTEN = {
    "fetch": "data/pretrained/backbone.weights.h5",
    "split": "data/split.csv",
    "train_frozen": "models/frozen.weights.h5",
    "finetune": "models/finetuned.weights.h5",
    "evaluate": "models/model.keras",
}


@pytest.fixture(scope="module")
def may_mount(tmp_path_factory: pytest.TempPathFactory) -> bool:
    """Whether a file system can be mounted: it takes root, and in a container or a chroot more than that."""
    command = ["unshare", "--mount", "mount", "-t", "tmpfs", "none", str(tmp_path_factory.mktemp("disk"))]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def is_one_line(said: str, stage: str, reason: str) -> None:
    (line,) = (line for line in said.splitlines() if line.startswith("error: "))
    assert line.startswith(f"error: {stage}: ")
    assert reason in line
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("stage", "kilobytes"),
    [
        ("fetch", 600),
        ("split", 12),
        ("featurize", 900),
        pytest.param("train_frozen", 12, marks=pytest.mark.full),
        pytest.param("finetune", 100, marks=pytest.mark.full),
        pytest.param("evaluate", 200, marks=pytest.mark.full),
    ],
)
def test_a_full_disk_is_one_line_and_leaves_every_output_as_it_was(
    demo_clone: Clone, tmp_path: Path, may_mount: bool, stage: str, kilobytes: int
) -> None:
    if not may_mount:
        pytest.skip("no file system can be mounted here: the tests below do it with what needs no right")
    clone = Clone.at(demo_clone.folder, demo_clone.environment | {"MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}.db"})
    said = clone.run(
        "unshare", "--mount", "bash", "-c", SMALL_DISK, "bash", str(tmp_path), str(clone.folder), stage,
        str(kilobytes), sys.executable,
    )  # fmt: skip
    assert "exit code 2\n" in said
    is_one_line(said, stage, "MB free" if stage == "featurize" else "is full: make room and run again")
    assert "outputs as before" in said
    assert "left: " not in said


def outputs(clone: Clone) -> dict[Path, bytes]:
    """Every file of the outputs, and what is left of one; without the folders from which a stage would go on."""
    paths = [path for name in ("data", "models", "reports") for path in (clone.folder / name).rglob("*")]
    return {path: path.read_bytes() for path in paths if path.is_file() and ".unfinished-" not in str(path)}


@pytest.mark.parametrize(
    "stage", [one if one in ("split", "finetune") else pytest.param(one, marks=pytest.mark.full) for one in WRITTEN]
)
def test_a_full_device_is_one_line_and_leaves_every_output_as_it_was(
    demo_clone: Clone, tmp_path: Path, stage: str
) -> None:
    clone = demo_clone.copy(tmp_path / "clone")
    before = outputs(clone)
    said = clone.run("bash", "-c", FULL_DEVICE, "bash", WRITTEN[stage], sys.executable, stage, code=2)
    is_one_line(said, stage, "is full: make room and run again")
    assert outputs(clone) == before


def test_features_for_which_no_disk_has_room_are_not_begun(demo_clone: Clone, tmp_path: Path) -> None:
    clone = demo_clone.copy(tmp_path / "clone")
    largest = ["images.size=1024", "features.views=1000", "model.boundary=block_1_relu"]
    clone.call("params", "+experiment=demo", *largest)
    split = clone.folder / "data/split.csv"
    head, *rows = split.read_text().splitlines(keepends=True)
    split.write_text("".join([head, *rows * 10]))
    before = outputs(clone)
    said = clone.run("python", "src/featurize.py", code=2)
    assert re.search(r"featurize needs \d\d,\d{3},\d{3} MB, but .* has [\d,]+ MB free", said)  # tens of terabytes
    is_one_line(said, "featurize", "MB free")
    assert outputs(clone) == before
