"""Corrections of labels: what they change, and that nothing is taken that does not fit the photos."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import yaml
from support.clone import ROOT, Clone

from hydra_plugins import corrections as composed
from transfer_learning.core.errors import UserError
from transfer_learning.ingest import corrections, splitting

HEAD = "path,sha256,given,label\n"
SPLIT = {"test_fraction": 0.5, "validation_fraction": 0.4, "fraction": 1.0, "seed": 1}


def photos(*more: tuple[str, str, str, str]) -> pd.DataFrame:
    """Ten photos of each of three classes, and more: path, label, part, sha256."""
    rows = [(f"{label}/{n}.jpg", label, "", f"{label}{n}") for label in ("a", "b", "c, d") for n in range(10)]
    return pd.DataFrame([*rows, *more], columns=["path", "label", "part", "sha256"])


def corrected(folder: Path, rows: str, table: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame, str]:
    """The split without corrections and with them, and what is said."""
    file = folder / "ticks.csv"
    file.write_text(HEAD + rows)
    decided = corrections.decide(corrections.read(file), table)
    split = splitting.split(splitting.drop_duplicates(table, decided), **SPLIT)
    return split, *corrections.apply(split, decided, Path("ticks.csv"))


def test_photos_are_relabelled_and_left_out_and_no_other_one_changes(tmp_path: Path) -> None:
    rows = 'a/3.jpg,a3,a,b\n"c, d/1.jpg","c, d1","c, d",a\nb/4.jpg,b4,b,\n\n'
    before, after, said = corrected(tmp_path, rows, photos())
    assert said == "ticks.csv: 2 relabelled, 1 left out"
    expected = before[before["path"] != "b/4.jpg"].set_index("path")
    expected.loc[["a/3.jpg", "c, d/1.jpg"], "label"] = ["b", "a"]
    pd.testing.assert_frame_equal(after.set_index("path"), expected)


def test_without_corrections_the_split_is_what_it_was(tmp_path: Path) -> None:
    before, after, _ = corrected(tmp_path, "", photos())
    assert after.to_csv(index=False) == before.to_csv(index=False)
    assert corrections.read(ROOT / composed.NONE) == []


def test_a_mark_and_line_ends_of_spreadsheets_are_taken(tmp_path: Path) -> None:
    file = tmp_path / "ticks.csv"
    file.write_bytes(b"\xef\xbb\xbf" + (HEAD + "ä/1.jpg,f,ä,b\n").replace("\n", "\r\n").encode())
    assert corrections.read(file) == [corrections.Correction("ä/1.jpg", "f", "ä", "b", f"{file}, line 2")]


@pytest.mark.parametrize(("label", "rest"), [("b", ["b/copy.jpg"]), ("", [])])
def test_copies_of_a_photo_go_with_it(label: str, rest: list[str], tmp_path: Path) -> None:
    """One that lies in another class too is no contradiction once somebody has decided on it."""
    table = photos(("a/copy.jpg", "a", "", "same"), ("a/x.jpg", "a", "", "same"), ("b/copy.jpg", "b", "", "same"))
    with pytest.raises(UserError, match=r"two classes: a/copy\.jpg and b/copy\.jpg"):
        splitting.drop_duplicates(table)
    _, after, _ = corrected(tmp_path, f"a/x.jpg,same,a,{label}\n", table)
    found = after[after["path"].isin(["a/copy.jpg", "a/x.jpg", "b/copy.jpg"])]
    assert list(found["label"]) == ["b"] * len(rest)


GOOD = "b/4.jpg,b4,b,a\n"


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (GOOD + "x/4.jpg,b4,b,a\n", "line 3: x/4.jpg is none of the photos"),
        (GOOD + "a/1.jpg,b1,a,b\n", "line 3: a/1.jpg is another photo now: its sha256 is a1, not b1"),
        (GOOD + "a/1.jpg,a1,b,a\n", "line 3: a/1.jpg lies in the folder of a, not of b"),
        (GOOD + "a/1.jpg,a1,a,e\n", "line 3: no class is called e: allowed are a, b, c, d, or nothing to leave it out"),
        (GOOD + "a/1.jpg,a1,a,a\n", "line 3: a/1.jpg is of a already: remove the line"),
        (GOOD + "a/1.jpg,a1,a,b\n" + GOOD, "line 4: b/4.jpg is corrected twice, also in {file}, line 2"),
        (GOOD + "b/y.jpg,b4,b,\n", "line 3: b/y.jpg is corrected twice, also in {file}, line 2"),
        (GOOD + "a/1.jpg,a1,a\n", "line 3: 3 cells, must be 4: path, sha256, given, label"),
        (GOOD + "a/1.jpg;a1;a;b\n", "line 3: 1 cells, must be 4: path, sha256, given, label"),
        (GOOD + 'a/1.jpg,a1,"a"x,b\n', " is no CSV file in UTF-8 (',' expected after '\"')"),
        (GOOD + "a\udcff/1.jpg,a1,a,b\n", " is no CSV file in UTF-8 ('utf-8' codec can't decode byte 0xff"),
    ],
)
def test_a_row_that_does_not_fit_the_photos_is_one_line(rows: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "ticks.csv"
    file.write_bytes((HEAD + rows).encode(errors="surrogateescape"))
    with pytest.raises(UserError) as error:
        corrections.decide(corrections.read(file), photos(("b/y.jpg", "b", "", "b4")))
    assert said.format(file=file) in str(error.value)
    assert str(error.value).startswith(str(file))
    assert "\n" not in str(error.value)


def test_another_head_or_no_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("path;sha256;given;label\n")
    for name, said in (("a.csv", "begins with 'path;sha256;given;label': it must be "), ("b.csv", "cannot be opened")):
        with pytest.raises(UserError, match=said):
            corrections.read(tmp_path / name)


@pytest.mark.parametrize(
    ("number", "label", "said"),
    [(10, "", "leaves no photo of a: "), (10, "b", "leaves no photo of a: "), (8, "", r"leaves a no photo for \w+: ")],
)
def test_no_class_loses_its_last_photo(number: int, label: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=said):
        corrected(tmp_path, "".join(f"a/{n}.jpg,a{n},a,{label}\n" for n in range(number)), photos())


def test_what_dvc_watches_is_the_same_file_in_another_clone_where_it_lies_in_the_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    here, there = tmp_path / "repository", tmp_path / "elsewhere"
    for folder in (here, there):
        folder.mkdir()
        (folder / "t.csv").write_text(HEAD)
    monkeypatch.chdir(here)
    assert composed.watched(None) == composed.NONE
    assert composed.watched("t.csv") == composed.watched(str(here / "t.csv")) == "t.csv"
    assert composed.watched("../elsewhere/t.csv") == str(there / "t.csv")
    for wrong, said in (("gone.csv", "there is no such file"), ("..", "is no file")):
        with pytest.raises(SystemExit) as ended:
            composed.watched(wrong)
        assert ended.value.code == 2
        assert capsys.readouterr().err.startswith(f"error: split.corrections = '{wrong}': {said} (")
    (here / "params.yaml").write_text(yaml.safe_dump({"split": {"corrections": "gone.csv", "watch": "gone.csv"}}))
    assert composed.watched("gone.csv") == "gone.csv"  # a clone that lacks the file


def test_split_takes_them_from_the_setting_and_writes_nothing_where_they_do_not_fit(
    demo_clone: Clone, tmp_path: Path
) -> None:
    clone = demo_clone.copy(tmp_path / "clone")
    before = (clone.folder / "data/split.csv").read_text()
    path, label, _ = next(line for line in before.splitlines() if line.endswith(",test")).split(",")
    sha256 = splitting.scan(clone.folder / "data/raw").set_index("path").loc[path, "sha256"]
    other = "cross" if label == "disc" else "disc"
    ticks = clone.folder / "ticks.csv"
    ticks.write_text(HEAD + f"{path},{sha256},{label},{other}\n")
    clone.call("params", "+experiment=demo", "split.corrections=ticks.csv")
    assert "ticks.csv: 1 relabelled, 0 left out" in clone.run("dvc", "repro", "split")
    after = (clone.folder / "data/split.csv").read_text()
    assert after == before.replace(f"{path},{label},test\n", f"{path},{other},test\n")
    ticks.write_text(HEAD + f"{path},{sha256},{other},{label}\n")
    said = clone.run("python", "src/split.py", code=2)
    assert said == f"error: split: ticks.csv, line 2: {path} lies in the folder of {label}, not of {other}\n"
    assert (clone.folder / "data/split.csv").read_text() == after
    assert "src/split.py" in clone.run("dvc", "repro", "--dry", "split")  # DVC watches the file
