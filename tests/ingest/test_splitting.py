"""The split: disjoint by path and by content, stratified, seeded."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from transfer_learning.core.errors import UserError
from transfer_learning.ingest import splitting

OPTIONS = {"test_fraction": 0.2, "validation_fraction": 0.2, "fraction": 1.0, "seed": 1}


def table(parts: dict[str, dict[str, int]]) -> pd.DataFrame:
    rows = [
        (f"{part}/{label}/{i}.jpg".lstrip("/"), label, part, f"{part}{label}{i}")
        for part, classes in parts.items()
        for label, number in classes.items()
        for i in range(number)
    ]
    return pd.DataFrame(rows, columns=["path", "label", "part", "sha256"])


def counts(split: pd.DataFrame) -> dict[tuple[str, str], int]:
    return split.groupby(["part", "label"]).size().to_dict()


TUTORIAL = {"train": {"cats": 100, "dogs": 100}, "validation": {"cats": 50, "dogs": 50}}


def test_a_fifth_of_the_validation_photos_of_each_class_becomes_the_test() -> None:
    split = splitting.split(table(TUTORIAL), **OPTIONS)
    assert counts(split) == {
        ("train", "cats"): 100, ("train", "dogs"): 100, ("validation", "cats"): 40, ("validation", "dogs"): 40,
        ("test", "cats"): 10, ("test", "dogs"): 10,
    }  # fmt: skip
    assert split["path"].is_unique
    assert len(split) == 300
    assert list(split["path"]) == sorted(split["path"])
    assert split[split["part"] == "test"]["path"].str.startswith("validation/").all()


def test_the_seed_decides_which() -> None:
    first, again, other = (splitting.split(table(TUTORIAL), **OPTIONS | {"seed": seed}) for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(first, again)
    assert not first.equals(other)
    assert counts(first) == counts(other)


def test_order_of_the_rows_does_not_matter() -> None:
    photos = table(TUTORIAL)
    shuffled = photos.sample(frac=1, random_state=0)
    pd.testing.assert_frame_equal(splitting.split(photos, **OPTIONS), splitting.split(shuffled, **OPTIONS))


def test_class_folders_alone_are_split_three_ways() -> None:
    split = splitting.split(table({"": {"a": 100, "b": 50}}), **OPTIONS)
    assert counts(split) == {
        ("train", "a"): 80, ("validation", "a"): 16, ("test", "a"): 4,
        ("train", "b"): 40, ("validation", "b"): 8, ("test", "b"): 2,
    }  # fmt: skip


def test_a_test_part_that_comes_with_the_photos_is_kept() -> None:
    with_test = TUTORIAL | {"test": {"cats": 5, "dogs": 7}}
    found = counts(splitting.split(table(with_test), **OPTIONS))
    assert (found["test", "cats"], found["test", "dogs"], found["validation", "cats"]) == (5, 7, 50)
    only = {"train": TUTORIAL["train"], "test": {"cats": 5, "dogs": 7}}
    found = counts(splitting.split(table(only), **OPTIONS))
    assert (found["test", "cats"], found["validation", "cats"], found["train", "cats"]) == (5, 20, 80)


def test_fraction_keeps_a_share_of_every_part() -> None:
    found = counts(splitting.split(table(TUTORIAL), **OPTIONS | {"fraction": 0.3}))
    assert (found["train", "cats"], found["validation", "dogs"], found["test", "cats"]) == (30, 12, 3)


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def test_the_same_content_never_crosses_parts(tmp_path: Path) -> None:
    files = {
        "train/a/1.jpg": b"same", "train/a/2.jpg": b"x", "train/a/3.jpg": b"same", "train/b/1.jpg": b"y",
        "validation/a/9.jpg": b"same", "validation/b/9.jpg": b"z",
    }  # fmt: skip
    photos = splitting.drop_duplicates(splitting.scan(write(tmp_path, files)))
    assert list(photos["path"]) == ["train/a/2.jpg", "train/b/1.jpg", "validation/a/9.jpg", "validation/b/9.jpg"]


def test_the_same_content_in_two_classes_is_refused(tmp_path: Path) -> None:
    photos = splitting.scan(write(tmp_path, {"a/1.jpg": b"same", "b/2.jpg": b"same"}))
    with pytest.raises(UserError, match=r"two classes: a/1\.jpg and b/2\.jpg"):
        splitting.drop_duplicates(photos)


def test_photos_outside_class_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no photos"):
        splitting.scan(tmp_path)
    with pytest.raises(UserError, match="has no class: allowed are class folders"):
        splitting.scan(write(tmp_path / "a", {"x.jpg": b""}))
    with pytest.raises(UserError, match="has no class: allowed are train, validation or test"):
        splitting.scan(write(tmp_path / "b", {"train/x/1.jpg": b"", "val/x/1.jpg": b"", "other/x/2.jpg": b""}))


@pytest.mark.parametrize(
    ("paths", "found"),
    [
        (["train/a/1.jpg", "validation/a/x/2.jpg"], [("a", "train"), ("a", "validation")]),
        (["Train/a/1.jpg", "val/b/2.jpg", "TESTING/b/3.jpg"], [("a", "train"), ("b", "validation"), ("b", "test")]),
        (["train/1.jpg", "plane/2.jpg"], [("train", ""), ("plane", "")]),  # vehicles
        (["a/train/1.jpg", "b/test/2.jpg"], [("a", ""), ("b", "")]),
    ],
)
def test_folders_of_parts_and_of_classes_are_told_apart(paths: list[str], found: list[tuple[str, str]]) -> None:
    table = splitting.label(paths, Path("x"))
    assert list(zip(table["label"], table["part"], strict=True)) == found


@pytest.mark.parametrize(("one", "other"), [("Cats", "cats"), ("caf\u00e9", "cafe\u0301"), ("STRASSE", "stra\u00dfe")])
def test_classes_that_a_file_system_may_take_for_one_are_refused(one: str, other: str) -> None:
    with pytest.raises(UserError, match="differ only in case or in how letters are encoded"):
        splitting.label([f"{one}/1.jpg", f"{other}/2.jpg"], Path("x"))


def test_few_photos_still_give_each_part_one(tmp_path: Path) -> None:
    found = counts(splitting.split(table({"": {"a": 3, "b": 4}}), **OPTIONS))
    assert found == {
        (part, label): 1 + (label == "b" and part == "train") for part in splitting.PARTS for label in "ab"
    }


def test_a_thousand_classes_are_split(tmp_path: Path) -> None:
    split = splitting.split(table({"": {str(number): 5 for number in range(1000)}}), **OPTIONS)
    assert set(counts(split).values()) == {1, 3}
    assert (
        splitting.describe(split) == "1000 classes; train: 3,000 photos; validation: 1,000 photos; test: 1,000 photos"
    )


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"": {"a": 50}}, r"found 1 class folder\(s\) with photos \(a\); allowed are 2 to 1000"),
        (
            {"": {str(number): 3 for number in range(1001)}},
            r"found 1001 class folder\(s\).*\.\.\.\); allowed are 2 to 1000",
        ),
        ({"train": {"a": 9, "b": 9}, "validation": {"a": 9}}, r"class b has 9 photo\(s\), none of them for validation"),
        ({"": {"a": 100, "b": 1}}, r"class b has 1 photo\(s\), none of them for validation: at least three"),
        ({"": {"a": 100, "b": 2}}, r"class b has 2 photo\(s\), none of them for test: at least three"),
    ],
)
def test_too_few_or_too_many_classes_are_refused(parts: dict[str, dict[str, int]], said: str) -> None:
    with pytest.raises(UserError, match=said):
        splitting.split(table(parts), **OPTIONS)
