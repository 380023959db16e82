"""What compare does with results that somebody has edited or broken: never a pass, never a regression, one line."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from support.clone import Clone
from support.edited_results import (
    HISTORY,
    PER_CLASS,
    PREDICTIONS,
    TESTED,
    TUNED,
    VALIDATION,
    Row,
    edit,
    metrics,
    rewrite,
)

from transfer_learning.core.errors import UserError
from transfer_learning.experiments import lock
from transfer_learning.reporting import comparison, comparison_text, contradictions, gate, state


@pytest.fixture
def clone(demo_clone: Clone, tmp_path: Path) -> Clone:
    """The files of the demo's results, to be edited."""
    for name in ("params.yaml", "dvc.yaml", "dvc.lock"):
        shutil.copy(demo_clone.folder / name, tmp_path)
    shutil.copytree(demo_clone.folder / "reports", tmp_path / "reports")
    return Clone.at(tmp_path)


@pytest.fixture(scope="module")
def there(demo_clone: Clone) -> state.State:
    return state.read(demo_clone.folder, "there")


def problems(clone: Clone) -> list[str]:
    """What is wrong with the workspace, as a refusal or as contradictions."""
    try:
        return contradictions.of(state.read(clone.folder, "here"))
    except UserError as error:
        return [str(error)]


def test_what_was_evaluated_contradicts_itself_nowhere(clone: Clone) -> None:
    assert problems(clone) == []


@pytest.mark.parametrize("path", [TESTED, TUNED, "reports/frozen/metrics.json"])
def test_every_metric_is_computed_again(clone: Clone, path: str) -> None:
    text = (clone.folder / path).read_text()
    here, phase = state.read(clone.folder, "here"), Path(path).parent.name
    values = {f"{phase}/{name}": value for name, value in json.loads(text).items() if name != "trainable_parameters"}
    for change in (99.0, -5.0, 0.001, -0.001):  # no file in git gives the parameters
        edited = replace(here, metrics=here.metrics | {name: value + change for name, value in values.items()})
        said = "\n".join(contradictions.of(edited))
        assert [name for name in values if f"here has a {name} of" not in said] == [], change


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "1", True, None, 10**400])
def test_a_metric_that_is_no_finite_number_is_said(clone: Clone, value: object) -> None:
    edited = json.loads((clone.folder / TESTED).read_text()) | {"loss": value}
    rewrite(clone, TESTED, json.dumps(edited))
    assert "test/metrics.json says loss = " in problems(clone)[0]


def test_an_edited_metric_with_its_md5_put_right_is_refused(clone: Clone) -> None:
    assert problems(clone) == []
    metrics(clone, TESTED, loss=99.0)
    assert "here has a test/loss of 99, but" in problems(clone)[0]


def _twice(text: str) -> str:
    return text + text.splitlines(keepends=True)[-1]


@pytest.mark.parametrize("path", [PREDICTIONS, VALIDATION, HISTORY, PER_CLASS])
@pytest.mark.parametrize(
    "broken",
    [_twice, lambda _: "", lambda text: text[: len(text) // 2 - 3], lambda text: text.replace(",", ";"),
     lambda text: re.sub(r"\d\.\d+", "nan", text), lambda text: re.sub(r"\d\.\d+", "1.5", text),
     lambda text: re.sub(r"\d\.\d+", r"-\g<0>", text), lambda text: "\x00" + text],
)  # fmt: skip
def test_a_broken_table_is_said(clone: Clone, path: str, broken: Callable[[str], str]) -> None:
    text = broken((clone.folder / path).read_text())
    rewrite(clone, path, text)
    assert problems(clone)


def test_a_prediction_that_its_probability_contradicts_is_said(clone: Clone) -> None:
    def surer(index: int, row: Row) -> None:
        row["probability"] = str(1 - float(row["probability"])) if not index else row["probability"]

    for path in (PREDICTIONS, VALIDATION):
        edit(clone, path, surer)
        assert any("whose predicted class is not that of their probability" in problem for problem in problems(clone))


FILES = ("params.yaml", "dvc.lock", "reports/environment.json", PREDICTIONS, VALIDATION, HISTORY, TESTED, TUNED)
CONTENTS = (b"\xff\xfe\x00", None, b"[[[", b"1", b"stages: {evaluate: {outs: 5}}")  # None makes a folder of it


@pytest.mark.parametrize("content", CONTENTS)
@pytest.mark.parametrize("path", FILES)
def test_a_broken_file_is_refused_and_never_judged(
    there: state.State, clone: Clone, path: str, content: bytes | None
) -> None:
    target = clone.folder / path
    target.unlink()
    target.mkdir() if content is None else target.write_bytes(content)
    found = None
    with contextlib.suppress(UserError):  # which ends a command with 2 and a line; any other error fails here
        new = state.read(clone.folder, "here")
        found = comparison.compare(there, new, state.limits_of(there, new))
    assert found is None or found.exit_code == 2


def test_a_broken_or_edited_base_ends_with_two_and_a_line(demo_clone: Clone, tmp_path: Path) -> None:
    copy = demo_clone.copy(tmp_path / "copy", data=False)
    copy.run("git", "checkout", "--quiet", "-b", "change")
    metrics(copy, TESTED, loss=99.0)
    copy.commit("edited")
    assert "has a test/loss of 99, but" in copy.run("python", "src/cli.py", "compare", "HEAD", "main", code=2)
    (copy.folder / PREDICTIONS).write_bytes(b"\xff\xfe\x00")
    copy.commit("broken")
    printed = copy.run("python", "src/cli.py", "compare", "HEAD", "main", code=2)
    assert "predictions.csv is no UTF-8 text" in printed
    assert "Traceback" not in printed


NASTY = [
    "@team", "#12", "GH-12", "org/repo#1", "0123456789abcdef0123456789abcdef01234567", "https://x.example/?a=b",
    "www.example.com", "a@b.example", "<img src=x>", "![x](http://y)", "a|b", "`x`", "``", "a\nb\r\n# c", "\u202egnp",
]  # fmt: skip


@pytest.mark.parametrize("name", NASTY)
def test_a_name_is_code_and_nothing_else(name: str) -> None:
    found = comparison_text.as_code(name)
    fence = re.match("`+", found)
    assert fence
    inside = found[len(fence[0]) : -len(fence[0])]
    assert found.endswith(fence[0])
    assert fence[0] not in re.findall("`+", inside)
    assert not set("|\n\r\u202e") & set(inside)


def test_the_comment_of_a_thousand_classes_with_long_names_is_short_enough(clone: Clone) -> None:
    here = state.read(clone.folder, "w" * 300)
    long = ["@" * 3 + f"{number}" * 200 for number in range(1000)]
    flips = tuple(gate.Flip(name, name, 0.1, 0.9) for name in long)
    found = comparison.Comparison(
        here, here,
        metrics=[comparison.Metric(name, 1.0, 1e300, "higher", None) for name in long],
        settings=[(name, name, name) for name in long],
        stages=[
            lock.Difference(stage, long, long, {}, [(name, 1, 2) for name in long], [(name, "1", "2") for name in long])
            for stage in "abcdef"
        ],
        paired=gate.Paired(2000, 1000, flips, flips),
        interval=(-0.1, 0.1),
        problems=[("other results", " ".join(long))] * 1000,
    )  # fmt: skip
    assert len(comparison_text.markdown(found, ["a.png"])) < 65_536


@pytest.mark.parametrize(
    ("numbers", "patience", "wrong"),
    [
        ([3, 4], 0, False), ([2, 3, 4], 0, True), ([2, 3, 4], 1, False), ([2, 3], 1, False), ([3, 4], 1, False),
        ([2, 3, 4, 5], 1, True), ([1, 2, 3], 1, True), ([2, 4], 1, True),
    ],
)  # fmt: skip
def test_fine_tuning_that_may_keep_what_it_starts_from_begins_with_it(
    numbers: list[int], patience: int, wrong: bool
) -> None:
    def rows(epochs: list[int]) -> list[dict[str, float]]:
        same = {"loss": 0.1, "accuracy": 0.9, "val_loss": 0.1, "val_accuracy": 0.9}
        return [{"epoch": epoch, **same} for epoch in epochs]

    histories = {"train_frozen": rows([0, 1, 2]), "finetune": rows(numbers)}
    phase = {"epochs": 2, "early_stopping": patience}
    found = contradictions.epochs(histories, {"train_frozen": {"epochs": 2}, "finetune": phase})
    assert bool(found) == wrong, found


def test_a_fine_tuning_that_was_stopped_has_as_many_epochs_as_its_settings_say() -> None:
    same = {"loss": 0.1, "accuracy": 0.9, "val_loss": 0.1, "val_accuracy": 0.9}
    for stop_after in (0, 1, 2):
        phases = {
            "train_frozen": {"epochs": 2},
            "finetune": {"epochs": 3, "early_stopping": 0, "stop_after": stop_after},
        }
        histories = {
            "train_frozen": [{"epoch": epoch, **same} for epoch in (0, 1, 2)],
            "finetune": [{"epoch": epoch, **same} for epoch in (3, 4)],
        }
        assert bool(contradictions.epochs(histories, phases)) == (stop_after != 2)
