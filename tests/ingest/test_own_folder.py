"""An experiment on a folder of one's own: read in place, and noticed by DVC when it changes."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from support.clone import STAGES, Clone
from support.own_folder import CLASSES, draw_folder

from transfer_learning.core import files
from transfer_learning.photos import inventory

FULL = pytest.mark.full  # another variant of one that stays


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_folder(tmp_path_factory.mktemp("disk") / "meine Fotos é")


@pytest.fixture(scope="module")
def own(demo_clone: Clone, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A clone after an experiment on the folder, which is named relative to the workspace."""
    clone = demo_clone.copy(tmp_path_factory.mktemp("own") / "a clone", store=True)
    path = os.path.relpath(folder, clone.folder)
    clone.said = run(clone, path, "--name", "own", "-S", "finetune.epochs=2")  # type: ignore[attr-defined]
    return clone


def run(clone: Clone, path: str, *more: str, code: int = 0) -> str:
    overrides = ("-S", "+experiment=demo", "-S", "data=folder", "-S", f"data.path='{path}'")
    return clone.run("dvc", "exp", "run", *overrides, *more, code=code)


def test_five_classes_of_a_folder_run_through_the_whole_dag(own: Clone, folder: Path) -> None:
    assert own.stages_run(own.said) == list(STAGES)  # type: ignore[attr-defined]
    assert f"120 photos in {folder}, all readable" in own.said  # type: ignore[attr-defined]
    split = pd.read_csv(own.folder / "data/split.csv")
    assert split.groupby("part").size().to_dict() == {"train": 85, "validation": 15, "test": 20}
    metrics = json.loads((own.folder / "reports/test/metrics.json").read_text())
    assert metrics["photos"] == 20
    assert {"balanced_accuracy", "roc_auc"} <= metrics.keys()
    assert set(pd.read_csv(own.folder / "reports/test/per_class.csv")["class"]) == set(CLASSES)
    rows = pd.read_csv(own.folder / "reports/test/predictions.csv")
    assert set(rows["label"]) == set(CLASSES)
    assert (rows["label_probability"] <= rows["probability"] + 1e-6).all()
    assert (rows["predicted"] == rows["label"]).sum() == metrics["correct"]


def test_photos_are_read_in_place(own: Clone, folder: Path) -> None:
    raw = own.folder / "data/raw"
    assert [path.name for path in raw.iterdir()] == [inventory.IN_PLACE]
    assert inventory.read(raw).folder == folder
    listed = inventory.inventory(raw)
    assert len(listed) == 120
    name = "バー/deeper down/1 a.PNG"
    assert listed[name] == files.digest(folder / name, "sha256")


def test_the_experiment_is_in_the_store_under_the_name_of_the_folder_and_its_model_predicts(
    own: Clone, folder: Path
) -> None:
    script = (
        "from mlflow import MlflowClient\n"
        "c = MlflowClient('sqlite:///mlflow.db')\n"
        "e = c.get_experiment_by_name('meine Fotos é')\n"
        "r = c.search_runs([e.experiment_id], \"tags.stage = 'finetune'\")[0]\n"
        "print(r.info.run_name, r.info.status, r.data.metrics['test/balanced_accuracy'])\n"
    )
    assert own.run("python", "-W", "ignore", "-c", script).splitlines()[-1].startswith("own FINISHED 0.")
    said = own.run("python", "src/cli.py", "predict", "--json", str(folder / "ring $5" / "Foto 0.JPeG"))
    row = json.loads(said.splitlines()[0])
    assert row["class"] in CLASSES
    assert 0.2 <= row["probability"] <= 1


@pytest.mark.parametrize("change", ["added", *(pytest.param(one, marks=FULL) for one in ("changed", "removed"))])
def test_dvc_notices_a_changed_photo(change: str, own: Clone, folder: Path) -> None:
    photo = folder / CLASSES[0] / "Foto 0.JPeG"
    before = photo.read_bytes()
    assert "up to date" in own.run("dvc", "status")
    try:
        if change == "changed":
            photo.write_bytes(before + b"\0")
        elif change == "added":
            shutil.copyfile(photo, folder / CLASSES[0] / "new.jpg")
        else:
            photo.unlink()
        assert str(folder) in own.run("dvc", "status")
        assert own.stages_run(own.run("dvc", "repro", "--dry", "fetch")) == ["fetch"]
    finally:
        photo.write_bytes(before)
        (folder / CLASSES[0] / "new.jpg").unlink(missing_ok=True)
    assert "up to date" in own.run("dvc", "status")


@pytest.mark.parametrize(("stage", "part"), [("featurize", "train"), pytest.param("evaluate", "test", marks=FULL)])
def test_a_photo_that_changes_between_two_stages_ends_the_stage_that_reads_it(
    stage: str, part: str, own: Clone, folder: Path
) -> None:
    split = pd.read_csv(own.folder / "data/split.csv")
    photo = folder / split["path"][split["part"] == part].iloc[0]
    before, outputs = photo.read_bytes(), own.run("dvc", "status")
    try:
        photo.write_bytes(before + b"\0")
        said = own.run("python", f"src/{stage}.py", code=2).splitlines()[-1]
    finally:
        photo.write_bytes(before)
    assert said.startswith(f"error: {stage}: photo {photo} has changed since fetch read it: put it back, or `dvc repro")
    assert own.run("dvc", "status") == outputs


def test_a_wrong_path_ends_an_experiment_before_dvc_looks_at_it(own: Clone, folder: Path, tmp_path: Path) -> None:
    for path, more, said in (
        (tmp_path / "nowhere", (), "there is no such folder or file"),
        (own.folder.parent, (), "holds this repository; name the folder that holds the class folders"),
        (folder, ("-S", "data.max_files=100"), "holds more than 100 files and folders, the bound of data.max_files"),
    ):
        output = run(own, str(path), "--temp", *more, code=2)
        assert output.strip().splitlines()[-1].startswith("error: data.path = ")
        assert said in output
        assert "Traceback" not in output
    assert "error: data.path is not set" in own.run("dvc", "exp", "run", "--temp", "-S", "data=folder", code=2)


@pytest.mark.full
def test_an_untrained_network_learns_five_kinds_of_drawn_pictures(demo_clone: Clone, tmp_path: Path) -> None:
    better = [
        "data.classes=5", "data.photos_per_class=100", "finetune.fine_tune_at=0", "finetune.epochs=30",
        "finetune.optimizer=adam", "finetune.schedule=cosine", "finetune.learning_rate=0.003",
    ]  # fmt: skip
    changes = [word for override in ("+experiment=demo", *better) for word in ("-S", override)]
    output = demo_clone.copy(tmp_path).run("dvc", "exp", "run", "--temp", "--name", "five", *changes)
    (found,) = re.findall(r"test accuracy .*: (\d+) of 50 photos", output)
    assert int(found) >= 45


@pytest.mark.full
def test_twenty_thousand_small_photos_take_less_than_a_minute_and_bounded_memory(tmp_path: Path) -> None:
    clone, folder = Clone(tmp_path / "clone"), tmp_path / "photos"
    for number in range(10):
        (folder / f"class {number}").mkdir(parents=True)
        for index in range(2000):
            colours = np.random.default_rng([number, index]).integers(0, 256, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(colours).resize((96, 96)).save(folder / f"class {number}/{index}.jpg")
    clone.call("params", "+experiment=demo", "data=folder", f"data.path={folder}")
    measured = "import runpy, sys; sys.path.insert(0, 'src'); runpy.run_path(sys.argv[1], run_name='__main__'); "
    measured += (
        "print('VmHWM', next(line for line in open('/proc/self/status') if line.startswith('VmHWM')).split()[1])"
    )
    started = time.monotonic()
    said = [clone.run("python", "-c", measured, f"src/{stage}.py") for stage in ("fetch", "split")]
    assert time.monotonic() - started < 60
    assert "20,000 photos in" in said[0]
    assert "test: 300 class 0" in said[1]
    for text in said:
        (kilobytes,) = re.findall(r"VmHWM (\d+)", text)
        assert int(kilobytes) < 300_000
