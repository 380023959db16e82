"""The comparison with another revision: every verdict on a real git history, and what reviewers read."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Clone
from PIL import Image

PREDICTIONS = "reports/test/predictions.csv"
TESTED, TUNED = "reports/test/metrics.json", "reports/finetune/metrics.json"
Row = dict[str, str]


@pytest.fixture
def clone(demo_clone: Clone, tmp_path: Path) -> Clone:
    """The demo with its results committed on main, without DVC's cache, checked out on a branch."""
    copy = demo_clone.copy(tmp_path / "clone")
    copy.run("rm", "-rf", ".dvc/cache")
    copy.run("git", "checkout", "--quiet", "-b", "change")
    return copy


def rewrite(clone: Clone, path: str, text: str) -> None:
    """Replace a result in the workspace, and in dvc.lock as DVC would have."""
    target, lock = clone.folder / path, clone.folder / "dvc.lock"
    md5, size = hashlib.md5(text.encode()).hexdigest(), len(text.encode())
    entry = re.compile(rf"(path: {re.escape(path)}\n\s+hash: md5\n\s+md5: )\w+(\n\s+size: )\d+")
    assert entry.search(lock.read_text())
    lock.write_text(entry.sub(rf"\g<1>{md5}\g<2>{size}", lock.read_text()))
    target.write_text(text)


def predictions(clone: Clone, change: Callable[[int, Row], None]) -> None:
    """Change rows of the predictions, and the metrics with them."""
    rows = list(csv.DictReader(io.StringIO((clone.folder / PREDICTIONS).read_text())))
    for number, row in enumerate(rows):
        change(number, row)
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    rewrite(clone, PREDICTIONS, text.getvalue())
    right = sum(row["label"] == row["predicted"] for row in rows) / len(rows)
    metrics(clone, TESTED, accuracy=round(right, 6))


def metrics(clone: Clone, path: str, **values: float | None) -> None:
    """Change metrics; None takes one away."""
    changed = json.loads((clone.folder / path).read_text()) | values
    rewrite(clone, path, json.dumps({name: value for name, value in changed.items() if value is not None}, indent=2))


def wrong(number: int) -> Callable[[int, Row], None]:
    """A change that makes the first `number` photos wrong, all others right."""

    def change(index: int, row: Row) -> None:
        other = {"disc": "cross", "cross": "disc"}[row["label"]]
        row["predicted"] = other if index < number else row["label"]
        row["probability"] = "0.25"

    return change


def base(clone: Clone, number: int) -> None:
    """Make a state with `number` wrong photos what is on main."""
    predictions(clone, wrong(number))
    clone.commit("base")
    clone.run("git", "branch", "--force", "main")


def compared(clone: Clone, *arguments: str, code: int) -> tuple[str, dict[str, Any], str]:
    """Run the comparison; what it prints, compare.json and compare.md."""
    printed = clone.run("python", "src/compare.py", *(arguments or ("main",)), code=code)
    folder = clone.folder / "compare"
    return printed, json.loads((folder / "compare.json").read_text()), (folder / "compare.md").read_text()


def test_the_same_results_are_fine_in_seconds_and_without_tensorflow(clone: Clone) -> None:
    started = time.monotonic()
    printed, values, text = compared(clone, code=0)
    assert time.monotonic() - started < 10
    assert "verdict: fine" in printed
    assert (values["verdict"], values["paired"]["change"], values["settings"]) == ("fine", 0, {})
    assert text.startswith("### No regression: workspace against main")
    assert "dvc.lock is the same" in text
    code = "import runpy, sys; sys.argv = ['compare', 'main']; sys.path.insert(0, 'src')\n"
    code += "try: runpy.run_path('src/compare.py', run_name='__main__')\n"
    code += "finally: assert not {'tensorflow', 'keras', 'mlflow'} & set(sys.modules)"
    clone.run("python", "-c", code)


def test_a_drop_beyond_tolerance_and_chance_is_a_regression(clone: Clone) -> None:
    base(clone, 0)
    predictions(clone, wrong(6))
    printed, values, text = compared(clone, code=1)
    assert "regression: its accuracy is lower by 20.0%, more than the 1.0% allowed (by chance in 0.016)" in printed
    assert values["verdict"] == "regression"
    assert len(values["paired"]["lost"]) == 6
    low, high = values["paired"]["interval"]
    assert low < -0.2 < high < 0
    assert text.startswith("### Regression: workspace against main")
    assert "Right before, wrong now: 6 photos" in text
    assert values["metrics"]["test/accuracy"] == {"base": 1.0, "new": 0.8, "better": "higher", "tolerance": 0.01}


def test_a_drop_that_chance_explains_is_fine_and_so_is_a_gain(clone: Clone) -> None:
    base(clone, 6)
    predictions(clone, wrong(7))
    assert compared(clone, code=0)[1]["paired"]["change"] == pytest.approx(-1 / 30, abs=1e-5)
    predictions(clone, wrong(0))
    _, values, text = compared(clone, code=0)
    assert len(values["paired"]["gained"]) == 6
    assert "Wrong before, right now: 6 photos" in text


def test_other_guarded_metrics_have_tolerances_of_their_own(clone: Clone) -> None:
    value = json.loads((clone.folder / TUNED).read_text())["val_accuracy"]
    metrics(clone, TUNED, val_accuracy=value - 0.0149)
    compared(clone, code=0)
    metrics(clone, TUNED, val_accuracy=value - 0.0151)
    said = "regression: finetune/val_accuracy is worse by 0.0151, more than the 0.015 allowed"
    assert said in compared(clone, code=1)[0]
    metrics(clone, TUNED, val_accuracy=min(value + 0.02, 1.0))
    compared(clone, code=0)


def test_a_higher_loss_is_a_regression_unless_chance_explains_it(clone: Clone) -> None:
    def surer(number: int, sure: float) -> Callable[[int, Row], None]:
        """All right, with less confidence for the first `number` photos."""

        def change(index: int, row: Row) -> None:
            wrong(0)(index, row)
            share = sure if index < number else 0.9
            row["probability"] = str(share if row["label"] == "disc" else round(1 - share, 6))

        return change

    labels = {row["label"] for row in csv.DictReader(io.StringIO((clone.folder / PREDICTIONS).read_text()))}
    assert max(labels) == "disc"
    predictions(clone, surer(0, 0.9))
    metrics(clone, TESTED, loss=0.105361)
    clone.commit("base")
    clone.run("git", "branch", "--force", "main")
    predictions(clone, surer(1, 0.2))
    metrics(clone, TESTED, loss=0.155497)
    assert compared(clone, code=0)[1]["metrics"]["test/loss"]["new"] == 0.155497
    predictions(clone, surer(30, 0.8))
    metrics(clone, TESTED, loss=0.223144)
    assert "regression: test/loss is worse by 0.1178, more than the 0.03 allowed" in compared(clone, code=1)[0]


def test_a_change_is_judged_by_the_base_s_gate_and_cannot_loosen_it(clone: Clone) -> None:
    base(clone, 0)
    predictions(clone, wrong(6))
    params = clone.folder / "params.yaml"
    params.write_text(params.read_text().replace("accuracy_tolerance: 0.01", "accuracy_tolerance: 0.9"))
    _, values, _ = compared(clone, code=1)
    assert values["verdict"] == "regression"
    assert "gate.accuracy_tolerance" in values["settings"]


@pytest.mark.parametrize(
    ("path", "text"), [(TESTED, "[1]"), (TUNED, '{"val_accuracy": null}'), (TESTED, '{"accuracy": {"all": 1}}')]
)
def test_results_that_are_no_numbers_are_said_in_a_line(clone: Clone, path: str, text: str) -> None:
    rewrite(clone, path, text)
    printed = clone.run("python", "src/compare.py", "main", code=2)
    assert "metrics.json of workspace cannot be read" in printed
    assert "Traceback" not in printed


def test_a_missing_metric_is_no_silent_pass(clone: Clone) -> None:
    metrics(clone, TUNED, val_accuracy=None)
    printed, values, text = compared(clone, code=2)
    assert values["verdict"] == "missing metric"
    assert "missing metric: workspace has no finetune/val_accuracy, which gate guards" in printed
    assert text.startswith("### Cannot compare (missing metric)")


def test_predictions_over_other_photos_and_a_changed_test_set_are_told_apart(clone: Clone) -> None:
    def other(index: int, row: Row) -> None:
        row["sha256"] = row["sha256"][::-1] if index < 3 else row["sha256"]

    predictions(clone, other)
    printed, values, _ = compared(clone, code=2)
    assert values["verdict"] == "other photos"
    assert "the test photos differ: 30 there, 30 here, 27 of them the same" in printed
    lock = (clone.folder / "dvc.lock").read_text()
    split = re.compile(r"(path: data/split\.csv\n\s+hash: md5\n\s+md5: )\w+")
    (clone.folder / "dvc.lock").write_text(split.sub(r"\g<1>0123456789abcdef0123456789abcdef", lock))
    assert compared(clone, code=2)[1]["verdict"] == "test set changed"


def test_results_that_are_not_those_of_the_lock_or_of_the_predictions_are_not_compared(clone: Clone) -> None:
    metrics(clone, TESTED, accuracy=0.5)
    printed, values, _ = compared(clone, code=2)
    assert values["verdict"] == "other results"
    assert "workspace has a test/accuracy of 0.5000, but" in printed
    clone.run("git", "checkout", "--quiet", ".")
    (clone.folder / TESTED).write_text("{}")
    assert "the results of workspace are not those of its params.yaml and dvc.lock" in compared(clone, code=2)[0]


def test_the_branch_is_compared_with_where_it_left_main(clone: Clone) -> None:
    base(clone, 6)
    clone.run("git", "checkout", "--quiet", "main")
    predictions(clone, wrong(0))
    clone.commit("main goes on and is better")
    clone.run("git", "checkout", "--quiet", "change")
    assert compared(clone, "main", code=1)[1]["verdict"] == "regression"
    assert compared(clone, "main", "--merge-base", code=0)[1]["verdict"] == "fine"
    assert compared(clone, "change", "main", code=0)[1]["paired"]["change"] == pytest.approx(0.2)


def test_reproduced_results_may_be_neither_worse_nor_better(clone: Clone) -> None:
    value = json.loads((clone.folder / TUNED).read_text())["val_accuracy"]
    for change, code in ((0.01, 0), (0.02, 1), (-0.02, 1)):
        metrics(clone, TUNED, val_accuracy=value + change)
        printed, _, _ = compared(clone, "HEAD", "--reproduced", code=code)
        assert ("more than 0.015 apart" in printed) == bool(code)


def test_changed_settings_and_stages_are_listed(clone: Clone) -> None:
    params = clone.folder / "params.yaml"
    params.write_text(params.read_text().replace("calibration_bins: 10", "calibration_bins: 5"))
    lock = clone.folder / "dvc.lock"
    lock.write_text(
        lock.read_text()
        .replace("evaluate.calibration_bins: 10", "")
        .replace("calibration_bins: 10", "calibration_bins: 5")
    )
    _, values, text = compared(clone, code=0)
    assert values["settings"] == {"evaluate.calibration_bins": {"base": 10, "new": 5}}
    assert "| evaluate.calibration_bins | 10 | 5 |" in text
    assert "| evaluate |  | evaluate.calibration_bins |" in text


def test_pictures_show_curves_confusions_and_the_photos_that_flipped(clone: Clone) -> None:
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
    assert "&lt;img src=x&gt;&#124;&#64;all &#96;x&#96;" in text
    assert "<img" not in text


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
    printed = clone.run("python", "src/compare.py", *arguments, code=2)
    assert re.search(said, printed), printed
    assert "Traceback" not in printed
    if "src" not in arguments:
        assert re.search(said, (clone.folder / "compare/compare.md").read_text())


def test_a_shallow_clone_is_told_how_to_get_the_history(clone: Clone, tmp_path: Path) -> None:
    clone.run("git", "commit", "--quiet", "--allow-empty", "--message", "newer")
    shallow = Clone.__new__(Clone)
    shallow.folder, shallow.environment = tmp_path / "shallow", clone.environment
    clone.run("git", "clone", "--quiet", "--depth", "1", f"file://{clone.folder}", str(shallow.folder))
    said = "is not in this shallow clone: `git fetch --unshallow`"
    assert said in shallow.run("python", "src/compare.py", "origin/main", code=2)


def test_an_unresolved_merge_is_named(clone: Clone) -> None:
    for branch, text in (("main", "a: 1\n"), ("change", "a: 2\n")):
        clone.run("git", "checkout", "--quiet", branch)
        (clone.folder / "params.yaml").write_text(text)
        clone.commit(branch)
    clone.run("git", "merge", "--quiet", "main", code=1)
    said = "a merge is unresolved in params.yaml: resolve it, `dvc repro`"
    assert said in clone.run("python", "src/compare.py", "main", code=2)
