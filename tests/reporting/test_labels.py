"""Photos whose label looks wrong: found, and shown on a page that one can tick on and that needs no other file."""

from __future__ import annotations

import base64
import csv
import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pytest
from support.clone import Clone
from support.own_folder import draw_folder
from support.page import Page

from transfer_learning.core import files
from transfer_learning.core.errors import UserError
from transfer_learning.ingest.corrections import COLUMNS, Correction
from transfer_learning.photos import inventory
from transfer_learning.photos.inventory import Photos
from transfer_learning.photos.parts import split_rows
from transfer_learning.reporting import label_issues, label_page
from transfer_learning.reporting.label_issues import Found, Issue

HOSTILE = "</script><script>a()</script>\"'&amp;<img src=x onerror=a()>{{ 7 * 7 }}"


@pytest.mark.parametrize("classes", [2, 5])
def test_labels_that_were_made_wrong_are_found_the_surest_first(classes: int) -> None:
    generator = np.random.default_rng(classes)
    true = np.arange(100 * classes) % classes
    embeddings = 3 * np.eye(classes, 16)[true] + generator.normal(0, 0.5, (len(true), 16))
    wrong = generator.choice(len(true), 5 * classes, replace=False)
    labels = true.copy()
    labels[wrong] = (true[wrong] + 1) % classes
    found, probabilities = label_issues.find(embeddings, labels, strength=0.01, seed=0, threads=1)
    assert set(found[: len(wrong) // 2]) <= set(wrong)
    assert len(set(found) & set(wrong)) >= 0.8 * max(len(wrong), len(found))
    assert (probabilities[found].argmax(axis=1) != labels[found]).all()
    assert (probabilities[wrong].argmax(axis=1) == true[wrong]).all()
    margins = probabilities[found].max(axis=1) - probabilities[found, labels[found]]
    assert (np.diff(margins) <= 0).all()


@pytest.fixture
def photos(tmp_path: Path) -> Photos:
    return Photos(draw_folder(tmp_path / "photos", 3))


def issues(photos: Photos, classes: list[str]) -> list[Issue]:
    """One a photo; none of what is named shows what the class of its folder is."""
    paths = sorted(path.relative_to(photos.folder) for path in photos.folder.rglob("*.*") if path.suffix != ".txt")
    return [Issue(path, "test", classes[0], classes[1 : 1 + label_issues.LIKELY], 0.987) for path in paths]


def cards(page: Page) -> list[dict[str, str | None]]:
    return [one for one in page.all("li") if "data-path" in one and "data-label" not in one]


def test_the_page_has_every_photo_once_and_nothing_of_what_is_named_is_html(photos: Photos) -> None:
    classes = [f"{HOSTILE}{number}" for number in range(3)]
    found = issues(photos, classes)
    html = label_page.render(Found(found, 1234, classes), photos, [], data=HOSTILE)
    page = Page(html)
    page.needs_nothing_else(scripts=1)
    assert [one["data-path"] for one in cards(page)] == [issue.path.as_posix() for issue in found]
    for one in cards(page):
        assert one["data-sha256"] == files.digest(photos.folder / str(one["data-path"]), "sha256")
        assert one["data-given"] == classes[0]
    assert len(page.all("img")) == len(found) == 15
    assert [one["value"] for one in page.all("option")][:3] == [*classes[1:], ""]  # the suggested one first
    assert page.text.count("looks like " + classes[1] + ",") == page.text.count("98.7\xa0%") == 15
    assert page.text.count(HOSTILE) > 30
    assert "15 of 1,234 photos" in page.text


def test_its_own_script_alone_is_allowed_to_run(photos: Photos) -> None:
    html = label_page.render(Found(issues(photos, ["a", "b"]), 15, ["a", "b"]), photos, [], data="x")
    (script,) = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'\"" in html
    assert "{{" not in script


def test_many_photos_and_classes_are_bounded(photos: Photos, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(label_page, "MOST", 4)
    classes = [f"class {number}" for number in range(1000)]
    page = Page(label_page.render(Found(issues(photos, classes), 15, classes), photos, [], data="x"))
    assert len(cards(page)) == 4
    assert "The surest 4 are here" in page.text
    assert len(page.all("option")) == 4 * (label_issues.LIKELY + 2) + 1000  # "leave out", "another class", and all once


def test_earlier_corrections_go_with_the_page_under_the_path_that_they_have(photos: Photos) -> None:
    first, *others = issues(photos, ["a", "b"])
    sha256 = files.digest(photos.folder / first.path, "sha256")
    earlier = [Correction("copy.jpg", sha256, "b", "a", ""), Correction('x, "y".jpg', "0", "b", "", "")]
    page = Page(label_page.render(Found([first, *others], 15, ["a", "b"]), photos, earlier, data="x"))
    kept = [[one[f"data-{name}"] for name in COLUMNS] for one in page.all("li") if "data-label" in one]
    assert kept == [["copy.jpg", sha256, "b", "a"], ['x, "y".jpg', "0", "b", ""]]
    assert (cards(page)[0]["data-path"], cards(page)[0]["data-given"]) == ("copy.jpg", "b")
    assert "the 2 earlier corrections too" in page.text


def test_a_photo_that_has_changed_or_gone_is_one_line(photos: Photos) -> None:
    one = issues(photos, ["a", "b"])[0]
    in_place = Photos(photos.folder, {one.path.as_posix(): "0" * 64})
    with pytest.raises(UserError, match="has changed since fetch read it"):
        label_page.render(Found([one], 1, ["a", "b"]), in_place, [], data="x")
    (photos.folder / one.path).unlink()
    with pytest.raises(UserError, match="cannot be opened"):
        label_page.render(Found([one], 1, ["a", "b"]), photos, [], data="x")


def test_the_command_writes_the_page_of_the_results_and_what_it_holds_goes_through_split(
    demo_clone: Clone, tmp_path: Path
) -> None:
    clone = demo_clone.copy(tmp_path / "clone")
    said = clone.run("python", "src/cli.py", "labels")
    assert clone.run("git", "status", "--porcelain") == ""  # labels.html is ignored
    page = Page((clone.folder / "labels.html").read_text())
    assert f"{len(cards(page))} of 450 photos have a label that looks wrong" in said  # few or none: they are drawn
    sha256 = inventory.inventory(clone.folder / "data/raw")
    first, second = split_rows(clone.folder / "data/split.csv")[:2]
    ticked = [
        {"path": row["path"], "sha256": sha256[row["path"]], "given": row["label"], "label": label}
        for row, label in ((first, "cross" if first["label"] == "disc" else "disc"), (second, ""))
    ]
    with open(clone.folder / "ticks.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(ticked)
    clone.call("params", "+experiment=demo", "split.corrections=ticks.csv")
    assert "ticks.csv: 1 relabelled, 1 left out" in clone.run("python", "src/split.py")
    said = clone.call("labels", code=2)
    assert (
        said == "error: labels: ticks.csv is not that of the results in dvc.lock: `dvc repro probe` makes them anew\n"
    )


@pytest.mark.parametrize(
    ("path", "change", "said"),
    [
        ("data/split.csv", "\n", "data/split.csv is not that of the results in dvc.lock"),
        ("data/embeddings/test.npy", "x", "data/embeddings is not that of the results in dvc.lock"),
        ("reports/probe/metrics.json", None, "reports/probe/metrics.json is missing: `dvc repro probe` makes it"),
        ("dvc.lock", None, "the workspace has no dvc.lock: `dvc repro` writes it"),
    ],
)
def test_what_is_not_of_one_result_is_one_line(
    path: str, change: str | None, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = {
        "none.csv": "",
        "data/split.csv": "",
        "data/embeddings/test.npy": "",
        "reports/probe/metrics.json": "{}",
    }
    for name, text in contents.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    listed = [{"md5": hashlib.md5(b"").hexdigest(), "relpath": "test.npy"}]
    md5 = {name: hashlib.md5(text.encode()).hexdigest() for name, text in contents.items()}
    md5["data/embeddings"] = hashlib.md5(json.dumps(listed).encode()).hexdigest() + ".dir"
    entries = [{"path": name, "md5": md5[name]} for name in md5]
    stages = {"split": {"deps": entries[:1], "outs": []}, "probe": {"deps": entries[1:2], "outs": entries[2:]}}
    (tmp_path / "dvc.lock").write_text(json.dumps({"stages": stages}))
    monkeypatch.chdir(tmp_path)
    label_issues.check_results("none.csv")
    if change is None:
        (tmp_path / path).unlink()
    else:
        (tmp_path / path).write_text(change)
    with pytest.raises(UserError) as error:
        label_issues.check_results("none.csv")
    assert str(error.value).startswith(said)
