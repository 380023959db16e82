"""A disk that fills up while a stage writes: one line, and every earlier output as it was."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from support.clone import Clone

# a folder of a size of its own with a copy of the clone in it, filled up but for some kB
SCRIPT = r"""
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


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a file system takes root")
@pytest.mark.parametrize(
    ("stage", "kilobytes"),
    [("fetch", 600), ("split", 12), ("featurize", 900), ("train_frozen", 12), ("finetune", 100), ("evaluate", 200)],
)
def test_a_full_disk_is_one_line_and_leaves_every_output_as_it_was(
    demo_clone: Clone, tmp_path: Path, stage: str, kilobytes: int
) -> None:
    demo_clone.environment["MLFLOW_TRACKING_URI"] = f"sqlite:///{tmp_path}.db"
    try:
        said = demo_clone.run(
            "unshare", "--mount", "bash", "-c", SCRIPT, "bash", str(tmp_path), str(demo_clone.folder), stage,
            str(kilobytes), sys.executable,
        )  # fmt: skip
    finally:
        del demo_clone.environment["MLFLOW_TRACKING_URI"]
    assert "exit code 2\n" in said
    (line,) = (line for line in said.splitlines() if line.startswith("error: "))
    assert line.startswith(f"error: {stage}: ")
    assert "is full: make room and run again" in line or "MB free" in line
    assert "Traceback" not in said
    assert "outputs as before" in said
    assert "left: " not in said
