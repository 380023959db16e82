"""A look at photos before training: what is wrong with them, and settings that suit them and run."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.clone import Clone
from support.own_folder import CLASSES, draw_folder

from transfer_learning.core.errors import UserError
from transfer_learning.reporting import pages
from transfer_learning.settings import params


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    return Clone(tmp_path_factory.mktemp("a clone"))


def look(clone: Clone, folder: Path | str, *more: str) -> str:
    return clone.run("python", "src/cli.py", "new-data", str(folder), *more)


def proposed(clone: Clone, said: str) -> params.Settings:
    """The settings that the proposed command composes."""
    (line,) = [line.strip() for line in said.splitlines() if line.strip().startswith("dvc exp run ")]
    overrides = [word for word in shlex.split(line)[3:] if word != "-S"]
    clone.run("python", "src/cli.py", "params", "--out", "proposed.yaml", *overrides)
    return params.check(params.read_yaml(clone.folder / "proposed.yaml"))


def test_a_clean_folder_gets_a_command_that_runs(clone: Clone, tmp_path: Path) -> None:
    folder = draw_folder(tmp_path / "it's a \\ $folder é", 10)
    said = look(clone, folder)
    assert "5 classes, 50 photos that can be read" in said
    assert "sizes: 64 x 64 to 64 x 64 pixels" in said
    assert "25 JPEG, 25 PNG" in said
    assert "1 file(s) are no photos by their names and are left out (1 .txt)" in said
    assert "10 test photos are few" in said
    values = proposed(clone, said)
    assert values.data.kind == "folder"
    assert values.data.watch == str(folder)
    assert values.images.size == 224
    assert "    images.size=224: pixels, as the network was trained at; the photos have 64: enlarged they are" in said
    assert (values.train_frozen.start, values.finetune.epochs, values.finetune.monitor) == ("probe", 40, "accuracy")
    assert "  +recipe=small: for 35 training photos\n" in said
    assert "    finetune.epochs=40: of 2 steps, 80 in all\n" in said
    assert "    held out: 5 photos for validation, one of which is 20.0%, and 10 for the test, on which 90%" in said
    assert values.finetune.balance == "none"


def test_everything_that_is_wrong_is_said(clone: Clone, tmp_path: Path) -> None:
    folder = draw_folder(tmp_path / "photos", 40, CLASSES[:3])
    for path in sorted((folder / CLASSES[2]).rglob("*.*"))[3:]:
        path.unlink()
    first, second = folder / CLASSES[0], folder / CLASSES[1]
    (first / "broken.jpg").write_bytes(b"no photo")
    shutil.copyfile(first / "Foto 0.JPeG", first / "the same.jpg")
    shutil.copyfile(first / "Foto 2.JPeG", second / "other class.jpg")
    said = look(clone, folder)
    assert "1 cannot be read:" in said
    assert "Disc/broken.jpg is not a JPEG" in said
    assert "exact duplicates within a class: 1" in said
    assert "1 the same photo in two classes: remove one of each pair:" in said
    assert "Disc/Foto 2.JPeG  Kreuz groß/other class.jpg" in said
    assert "the split would be refused: the same photo lies in two classes" in said
    values = proposed(clone, said)
    assert values.data.skip_broken
    assert values.train_frozen.balance == values.finetune.balance == "class_weights"


def test_a_class_that_cannot_be_read_is_proposed_to_be_left_out(clone: Clone, tmp_path: Path) -> None:
    folder = draw_folder(tmp_path / "photos", 4, CLASSES[:3])
    for path in (folder / CLASSES[2]).rglob("*.*"):
        path.write_bytes(b"no photo")
    said = look(clone, folder)
    assert f"all photos of {CLASSES[2]} are unreadable, and no class goes without being named" in said
    values = proposed(clone, said)
    assert values.data.kind == "folder"
    assert values.data.leave_out == [CLASSES[2]]
    again = look(clone, folder, f'data.leave_out=["{CLASSES[2]}"]')
    assert "are left out (4 by data.leave_out, 1 .txt)" in again
    assert "the split would be: train: 2 Disc, 2 Kreuz groß; " in again
    assert proposed(clone, again).data == values.data.model_copy(update={"skip_broken": False})


def test_a_photo_in_training_and_its_smaller_copy_in_the_test_are_found(clone: Clone, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    for seed, part in enumerate(("train", "val", "test")):
        for label in ("a", "b"):
            (folder / part / label).mkdir(parents=True)
            for number in range(3):
                generator = np.random.default_rng([seed, ord(label), number])
                small = generator.integers(0, 256, (6, 6, 3), dtype=np.uint8)
                Image.fromarray(small).resize((90, 90), Image.Resampling.BICUBIC).save(
                    folder / part / label / f"{number}.png"
                )
    with Image.open(folder / "train/a/1.png") as image:
        image.resize((70, 70)).save(folder / "test/a/copy.jpg", quality=70)
    with Image.open(folder / "val/b/2.png") as image:
        image.crop((0, 3, 86, 90)).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(folder / "train/a/[b]&'é.jpg")
    page = tmp_path / "pairs.html"
    said = look(clone, folder, "--pairs", str(page))
    assert "2 pair(s) in different parts may look the same (--pairs FILE.html shows them side by side):" in said
    assert "%  test/a/copy.jpg  train/a/1.png" in said
    assert "flatter" not in said
    assert "the split would be: train: 4 a, 3 b; validation: 3 a, 3 b; test: 4 a, 3 b" in said
    assert "2 of 2 classes have fewer than" not in said
    html = page.read_text(encoding="utf-8")
    assert html.count('<img src="data:image/jpeg;base64,') == 4
    assert html.count("alike, mirrored, <strong>in two classes</strong>") == 1
    assert "<code>train/a/[b]&amp;&#39;é.jpg</code>" in html
    assert "<b>a</b>, train<br>" in html
    assert "<b>b</b>, validation<br>" in html
    assert "http" not in html.replace("http-equiv", "")


def test_a_page_that_cannot_be_written_is_said_before_the_photos_are_read(clone: Clone, tmp_path: Path) -> None:
    output = clone.run("python", "src/cli.py", "new-data", str(tmp_path), "--pairs", str(tmp_path), code=2)
    assert output.strip().splitlines()[-1].endswith(f"--pairs {tmp_path} is a folder: name a file")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="file is no folder"):
        pages.refuse(tmp_path / "file/such.html", "--pairs")


def test_what_no_setting_helps_is_said_before_anything_is_trained(clone: Clone, tmp_path: Path) -> None:
    said = look(clone, draw_folder(tmp_path / "photos", 5, CLASSES[:2]))
    assert "2 of 2 classes have fewer than 10 photos (Disc 5, Kreuz groß 5): no setting helps" in said
    assert "the split would be: train: " in said


@pytest.mark.parametrize(("path", "said"), [("nowhere", "there is no such folder or file"), ("", "holds no photos")])
def test_what_is_no_folder_of_photos_is_one_line(path: str, said: str, clone: Clone, tmp_path: Path) -> None:
    output = clone.run("python", "src/cli.py", "new-data", str(tmp_path / path), code=2)
    assert said in output.strip().splitlines()[-1]
    assert "Traceback" not in output
