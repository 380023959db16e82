"""The comparison with another revision: every verdict on a real git history."""

from __future__ import annotations

import csv
import io
import re
import time
from collections.abc import Callable

import pytest
from support.clone import Clone
from support.edited_results import (
    PREDICTIONS,
    TESTED,
    TUNED,
    Row,
    base,
    compared,
    metrics,
    on_a_branch,
    predictions,
    validated,
    without_validation,
    wrong,
)


@pytest.fixture(scope="module")
def shared(demo_clone: Clone, tmp_path_factory: pytest.TempPathFactory) -> tuple[Clone, str]:
    clone = demo_clone.copy(tmp_path_factory.mktemp("compare") / "clone", data=False)
    return clone, clone.run("git", "rev-parse", "HEAD").strip()


@pytest.fixture
def clone(shared: tuple[Clone, str]) -> Clone:
    return on_a_branch(*shared)


def test_the_same_results_are_fine_in_seconds_and_without_tensorflow(clone: Clone) -> None:
    started = time.monotonic()
    clone.run("python", "src/cli.py", "compare", "main")
    assert time.monotonic() - started < 10
    printed, values, text = compared(clone, code=0)
    assert "verdict: fine" in printed
    assert (values["verdict"], values["paired"]["change"], values["settings"]) == ("fine", 0, {})
    assert text.startswith("### No regression: `workspace` against `main")
    assert "dvc.lock is the same" in text
    code = "import runpy, sys; sys.argv = ['cli.py', 'compare', 'main']; sys.path.insert(0, 'src')\n"
    code += "try: runpy.run_path('src/cli.py', run_name='__main__')\n"
    code += "finally: assert not {'tensorflow', 'keras', 'mlflow'} & set(sys.modules)"
    clone.run("python", "-c", code)


def test_a_drop_beyond_tolerance_and_chance_is_a_regression(clone: Clone) -> None:
    base(clone, 0)
    predictions(clone, wrong(10))
    clone.run("python", "src/cli.py", "compare", "main", code=1)
    printed, values, text = compared(clone, code=1)
    assert "regression: test/accuracy is worse by 0.3333, more than the 0.01 allowed (by chance in 0.0" in printed
    assert values["verdict"] == "regression"
    assert len(values["paired"]["lost"]) == 10
    low, high = values["paired"]["interval"]
    assert low < -1 / 3 < high < 0
    assert text.startswith("### Regression: `workspace` against `main")
    assert "Right before, wrong now: 10 photos" in text
    assert values["metrics"]["test/accuracy"] == {"base": 1.0, "new": 0.666667, "better": "higher", "tolerance": 0.01}
    assert values["judged"][0]["name"] == "test/accuracy"


def test_a_drop_that_chance_explains_is_fine_and_so_is_a_gain(clone: Clone) -> None:
    base(clone, 6)
    predictions(clone, wrong(7))
    assert compared(clone, code=0)[1]["paired"]["change"] == pytest.approx(-1 / 30, abs=1e-5)
    predictions(clone, wrong(0))
    _, values, text = compared(clone, code=0)
    assert len(values["paired"]["gained"]) == 6
    assert "Wrong before, right now: 6 photos" in text


def test_validation_is_paired_photo_by_photo_where_both_have_it(clone: Clone) -> None:
    validated(clone, wrong(0))
    clone.commit("base")
    clone.run("git", "branch", "--force", "main")
    validated(clone, wrong(3))  # 2.5 points, more than the tolerance: equal models lose 3 of 3 once in 8 times
    assert compared(clone, code=0)[1]["verdict"] == "fine"
    validated(clone, wrong(12))
    printed, values, _ = compared(clone, code=1)
    assert "regression: finetune/val_accuracy is worse by 0.1000, more than the 0.015 allowed (by chance" in printed
    assert {one["how"] for one in values["judged"]} == {"photo by photo"}


def test_a_base_of_before_validation_photos_were_kept_is_judged_by_counts(clone: Clone) -> None:
    validated(clone, wrong(0))
    without_validation(clone)
    clone.commit("base")
    clone.run("git", "branch", "--force", "main")
    clone.run("git", "checkout", "--quiet", "main~1", "reports", "dvc.lock")
    validated(clone, wrong(3))
    _, values, text = compared(clone, code=0)
    assert {one["name"]: one["how"] for one in values["judged"]}["finetune/val_accuracy"].startswith("by counts")
    assert "test and validation together" not in text
    validated(clone, wrong(20))
    assert "regression: finetune/val_accuracy is worse by 0.1667" in compared(clone, code=1)[0]


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
    clone.commit("base")
    clone.run("git", "branch", "--force", "main")
    predictions(clone, surer(1, 0.6))
    compared(clone, code=0)
    predictions(clone, surer(30, 0.8))
    assert "regression: test/loss is worse by 0.1178, more than the 0.03 allowed" in compared(clone, code=1)[0]


def test_a_change_is_judged_by_the_base_s_gate_and_cannot_loosen_it(clone: Clone) -> None:
    base(clone, 0)
    predictions(clone, wrong(10))
    params = clone.folder / "params.yaml"
    params.write_text(params.read_text().replace("accuracy_tolerance: 0.01", "accuracy_tolerance: 0.9"))
    _, values, _ = compared(clone, code=1)
    assert values["verdict"] == "regression"
    assert "gate.accuracy_tolerance" in values["settings"]


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
    assert "workspace has a test/accuracy of 0.5, but" in printed
    clone.run("git", "checkout", "--quiet", ".")
    (clone.folder / TESTED).write_text("{}")
    assert "the results of workspace are not those of its params.yaml and dvc.lock" in compared(clone, code=2)[0]


def test_the_branch_is_compared_with_where_it_left_main(clone: Clone) -> None:
    base(clone, 12)
    clone.run("git", "checkout", "--quiet", "main")
    predictions(clone, wrong(0))
    clone.commit("main goes on and is better")
    clone.run("git", "checkout", "--quiet", "change")
    assert compared(clone, "main", code=1)[1]["verdict"] == "regression"
    assert compared(clone, "main", "--merge-base", code=0)[1]["verdict"] == "fine"
    assert compared(clone, "change", "main", code=0)[1]["paired"]["change"] == pytest.approx(0.4)


def test_reproduced_results_may_be_neither_worse_nor_better(clone: Clone) -> None:
    validated(clone, wrong(6))
    clone.commit("committed")
    for number, code in ((5, 0), (9, 1), (3, 1)):
        validated(clone, wrong(number))
        printed, _, _ = compared(clone, "HEAD", "--reproduced", code=code)
        assert ("more than 0.015 apart" in printed) == bool(code)
