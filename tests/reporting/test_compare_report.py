"""The comparison with another revision: what reviewers read, and what is said where there is nothing to compare."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image
from support.clone import Clone
from support.edited_results import (
    Row,
    base,
    compared,
    on_a_branch,
    predictions,
    wrong,
)


@pytest.fixture(scope="module")
def shared(demo_clone: Clone, tmp_path_factory: pytest.TempPathFactory) -> tuple[Clone, str]:
    clone = demo_clone.copy(tmp_path_factory.mktemp("compare") / "clone", data=False)
    return clone, clone.run("git", "rev-parse", "HEAD").strip()


@pytest.fixture
def clone(shared: tuple[Clone, str]) -> Clone:
    return on_a_branch(*shared)


def test_changed_settings_and_stages_are_listed(clone: Clone) -> None:
    for name in ("params.yaml", "dvc.lock"):
        path = clone.folder / name
        path.write_text(path.read_text().replace("threshold: 0.5", "threshold: 0.499999"))  # moves no photo
    _, values, text = compared(clone, code=0)
    assert values["settings"] == {"evaluate.threshold": {"base": 0.5, "new": 0.499999}}
    assert "| `evaluate.threshold` | `0.5` | `0.499999` |" in text
    assert "| evaluate |  | `evaluate.threshold` |" in text


def test_a_setting_that_evaluate_did_not_run_with_is_no_result_of_it(clone: Clone) -> None:
    for name in ("params.yaml", "dvc.lock"):
        path = clone.folder / name
        path.write_text(path.read_text().replace("confidence: 0.95", "confidence: 0.9"))
    printed, values, _ = compared(clone, code=2)
    assert values["verdict"] == "other results"
    assert "workspace has a test/accuracy_low of 0.886487, but" in printed


def test_pictures_show_curves_confusions_and_the_photos_that_flipped(demo_clone: Clone, tmp_path: Path) -> None:
    clone = demo_clone.copy(tmp_path / "with photos")
    clone.run("git", "checkout", "--quiet", "-b", "change")
    base(clone, 3)
    predictions(clone, lambda index, row: wrong(4)(index + 2, row))
    compared(clone, code=0)
    folder = clone.folder / "compare"
    for name in ("learning_curves.png", "confusion.png", "flips.png"):
        with Image.open(folder / name) as picture:
            assert min(picture.size) > 200, name
    clone.run("rm", "-rf", "data/raw")
    assert "flips.png" not in compared(clone, code=0)[2]
    assert not (folder / "flips.png").exists()


def test_a_photo_s_name_cannot_write_into_the_report(clone: Clone) -> None:
    name = "validation/<img src=x>|@all `x`.png"

    def renamed(index: int, row: Row) -> None:
        wrong(1)(index, row)
        row["path"] = name if not index else row["path"]

    base(clone, 0)
    predictions(clone, renamed)
    text = compared(clone, code=0)[2]
    assert "| ``validation/<img src=x>\u00a6@all `x`.png`` | `cross` | 0.250 | 0.750 |" in text
    assert text.count("<img") == 1


@pytest.mark.parametrize(
    ("prepare", "arguments", "said"),
    [
        ([], ["nowhere"], "nowhere is no git revision or DVC experiment here: `git fetch`"),
        ([], ["start"], "the classes differ"),
        ([["git", "rm", "-rq", "reports"], ["git", "commit", "-qm", "gone"]], ["HEAD", "main"], "HEAD .* has no rep"),
        ([["git", "rm", "-q", "dvc.lock"], ["git", "commit", "-qm", "gone"]], ["main"], "workspace has no dvc.lock"),
        ([["git", "checkout", "-q", "--orphan", "other"], ["git", "commit", "-qm", "x"]], ["main", "--merge-base"],
         "no commit in common: name another base"),
        ([], ["main", "--out", "src"], "src is there and no earlier comparison"),
    ],
)  # fmt: skip
def test_what_cannot_be_compared_is_said_in_a_line_with_the_remedy(
    clone: Clone, prepare: list[list[str]], arguments: list[str], said: str
) -> None:
    clone.run("git", "tag", "start", "main~1")
    for command in prepare:
        clone.run(*command)
    printed = clone.call("compare", *arguments, code=2)
    assert re.search(said, printed), printed
    assert "Traceback" not in printed
    if "src" not in arguments:
        assert re.search(said, (clone.folder / "compare/compare.md").read_text())


def test_a_shallow_clone_is_told_how_to_get_the_history(clone: Clone, tmp_path: Path) -> None:
    clone.run("git", "commit", "--quiet", "--allow-empty", "--message", "newer")
    shallow = Clone.at(tmp_path / "shallow", clone.environment)
    clone.run("git", "clone", "--quiet", "--depth", "1", f"file://{clone.folder}", str(shallow.folder))
    said = "is not in this shallow clone: `git fetch --unshallow`"
    assert said in shallow.call("compare", "origin/main", code=2)


def test_an_unresolved_merge_is_named(clone: Clone) -> None:
    for branch, text in (("main", "a: 1\n"), ("change", "a: 2\n")):
        clone.run("git", "checkout", "--quiet", branch)
        (clone.folder / "params.yaml").write_text(text)
        clone.commit(branch)
    clone.run("git", "merge", "--quiet", "main", code=1)
    said = "a merge is unresolved in params.yaml: resolve it, `dvc repro`"
    assert said in clone.call("compare", "main", code=2)
