"""The smallest and largest sizes that settings allow, through the stages: nothing is too small to be computed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.clone import Clone
from support.own_folder import draw_folder

SIZES = {
    "one view, one epoch, a batch larger than the set": (
        "features.views=1", "train_frozen.epochs=1", "finetune.epochs=1", "train_frozen.batch_size=512",
        "finetune.batch_size=512",
    ),
    "one photo a batch, from photos": (
        "data.photos_per_class=9", "train_frozen.epochs=1", "finetune.epochs=1", "train_frozen.batch_size=1",
        "finetune.batch_size=1", "finetune.fine_tune_at=0",
    ),
}  # fmt: skip


@pytest.mark.full  # five stages for each
@pytest.mark.parametrize("overrides", SIZES.values(), ids=SIZES)
def test_stages_take_every_size(demo_clone: Clone, tmp_path: Path, overrides: tuple[str, ...]) -> None:
    clone = demo_clone.copy(tmp_path)
    clone.call("params", "+experiment=demo", *overrides)
    clone.run("dvc", "repro")
    metrics = json.loads((clone.folder / "reports/test/metrics.json").read_text())
    assert 0 <= metrics["accuracy"] <= 1
    rows = (clone.folder / "reports/finetune/history.csv").read_text().splitlines()
    assert len(rows) == 2  # names, one epoch


@pytest.mark.full  # the whole DAG
def test_stages_take_one_photo_of_each_class_a_part(demo_clone: Clone, tmp_path: Path) -> None:
    drawn = draw_folder(tmp_path / "drawn", 3, ("a", "b"))
    for kind in ("a", "b"):
        photos = sorted(path for path in (drawn / kind).rglob("*") if path.is_file())
        for part, photo in zip(("train", "validation", "test"), photos, strict=True):
            target = tmp_path / "photos" / part / kind / photo.name
            target.parent.mkdir(parents=True)
            photo.rename(target)
    clone = demo_clone.copy(tmp_path / "clone")
    overrides = ("data=folder", f"data.path='{tmp_path}/photos'", "features.views=1", "finetune.epochs=1")
    clone.call("params", "+experiment=demo", *overrides)
    clone.run("dvc", "repro")
    assert json.loads((clone.folder / "reports/test/metrics.json").read_text())["photos"] == 2
