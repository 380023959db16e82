"""Folders as they come from well-known places: read as they are meant, or refused with the way out, never guessed."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest

from transfer_learning.core.errors import UserError
from transfer_learning.ingest import layout


def of(*folders: str) -> list[str]:
    """Three photos in each of the folders."""
    return [f"{folder}/{number}.jpg".lstrip("/") for folder in folders for number in range(3)]


def both(*parts: str) -> list[str]:
    """The classes a and b in each of the folders."""
    return of(*(f"{part}/{name}" for part in parts for name in "ab"))


def found(paths: list[str]) -> set[str]:
    return {f"{part}/{name}" for _, name, part in layout.read(paths, Path("W")).rows}


@pytest.mark.parametrize(
    ("folders", "parts"),
    [
        (("training_set", "test_set"), "train test"),
        (("seg_train/seg_train", "seg_test/seg_test"), "train test"),
        (("Training Data", "Testing Data"), "train test"),
        (("TrainSet", "ValSet", "TestSet"), "train validation test"),
        (("train2017", "val2017"), "train validation"),
        (("train_images", "test_images"), "train test"),
        (("cifar10_train", "cifar10_test"), "train test"),
        (("train/images", "val/images"), "train validation"),
        (("training", "testing"), "train test"),
        (("training_set",), "train"),
    ],
)
def test_parts_are_known_by_their_usual_names(folders: tuple[str, ...], parts: str) -> None:
    assert found(both(*folders)) == {f"{part}/{name}" for part in parts.split() for name in "ab"}


@pytest.mark.parametrize(
    ("paths", "shared"),
    [
        (both("up/training_set/dataset/training_set", "up/training_set/dataset/test_set"), 3),
        (both("test/train", "test/val"), 1),
        (both("up/train"), 1),
        (both("train/images"), 0),
        (of("up/a", "up/b"), 1),
        (of("a/b/c"), 2),
        (of(""), 0),
    ],
)
def test_a_folder_around_the_parts_may_be_called_like_one(paths: list[str], shared: int) -> None:
    assert layout.shared_folders([PurePosixPath(path) for path in paths]) == shared


def test_what_was_understood_is_said() -> None:
    read = layout.read(both("training_set", "test_set"), Path("W"))
    assert read.said == ["test_set is taken as test, training_set is taken as train"]
    assert read.parents == {"training_set", "test_set"}
    assert layout.read(both("train", "val"), Path("W")).said == []
    (said,) = layout.read(both("2019", "2020"), Path("W")).said
    assert said == "classes are the outer folders (2019, 2020); a, b inside of each belong to it"


@pytest.mark.parametrize(
    "classes",
    [
        ("train", "plane", "car"),
        ("part_a", "part_b"),
        ("steam_train", "electric_train"),
        ("test_positive", "test_negative"),
        ("with_mask", "without_mask"),
        ("0", "1"),
    ],
)
def test_classes_that_sound_like_parts_are_classes(classes: tuple[str, ...]) -> None:
    assert found(of(*classes)) == {f"/{name}" for name in classes}


@pytest.mark.parametrize(
    ("paths", "said"),
    [
        (both("train", "val") + of("Test"), "photo W/Test/0.jpg has no class"),
        (both("train", "val") + of("Test"), """-S 'data.leave_out=["up/Test"]' leaves it out"""),
        (both("seg_train", "seg_test") + of("seg_pred"), "seg_pred is no part"),
        (both("train", "test", "again/train"), "again holds the parts once more"),
        (
            both("Train", "Test") + of("Meta", "x"),
            """Meta is no part: -S 'data.leave_out=["up/Meta","up/x"]' leaves them out""",
        ),
        (both("train") + of("pred"), "train and pred may be parts or classes"),
        (both("train", "eval"), "train and eval may be parts or classes"),
        (both("Training", "Validierung"), "Training and Validierung may be parts or classes"),
        (both("train") + of("test1"), "test1, train may be parts or classes"),
        (of("crash_test", "toy_train"), "may be parts or classes"),
        (of("cats/train", "cats/test", "dogs/train", "dogs/test"), "cats holds test, train: turn it round"),
        (["train/cat.0.jpg", "train/dog.0.jpg", "train/dog.1.jpg"], "if the file names say it (cat, dog)"),
        (of("a", "b", ""), "photo W/0.jpg has no class"),
        (of("images"), "images would be the class of all photos in it"),
        (of("images", "annotations/trimaps"), "annotations, images would be the class"),
        (of("train/images", "valid/images"), "images would be the class"),
        (of("HAM_images_part_1", "HAM_images_part_2"), "is no name of a class"),
        (both("fold1", "fold2"), "fold1, fold2 would be the class"),
        (both("split0", "split1"), "split0, split1 would be the class"),
        (both("asl_train/asl_train") + of("asl_test/asl_test"), "photo W/asl_test/asl_test/0.jpg has no class"),
    ],
)
def test_what_is_not_clear_is_refused_with_the_way_out(paths: list[str], said: str) -> None:
    with pytest.raises(UserError) as refused:
        layout.read(paths, Path("W"), "up")
    assert said in str(refused.value)


def test_a_class_whose_photos_are_all_broken_is_not_left_out() -> None:
    rows = layout.read(both("train", "test"), Path("W")).rows
    layout.refuse_lost_classes(rows, {"train/a/0.jpg": "is empty"}, Path("W"))
    with pytest.raises(UserError, match="all photos of test/a are unreadable, and no class goes without being named"):
        layout.refuse_lost_classes(rows, dict.fromkeys(of("test/a"), "is empty"), Path("W"))
