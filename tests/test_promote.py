"""The champion: only a model that is not worse on the same photos takes its place."""

from __future__ import annotations

import csv
import itertools
import json
from math import comb
from pathlib import Path

import pytest
from conftest import DEMO, Clone
from mlflow import MlflowClient

from transfer_learning import gate
from transfer_learning.errors import UserError
from transfer_learning.settings import Gate

LIMITS = Gate(accuracy_tolerance=0.01, significance=0.05)


def predictions(right: str, labels: str | None = None, first: int = 0) -> str:
    """Text of a predictions.csv with one photo per digit of `right`, 1 where the prediction is right."""
    rows = ["path,sha256,label,probability,predicted"]
    for number, (digit, label) in enumerate(zip(right, labels or "ab" * len(right), strict=False), start=first):
        predicted = label if digit == "1" else {"a": "b"}.get(label, "a")
        rows.append(f"{label}/{number}.jpg,digest{number},{label},0.5,{predicted}")
    return "\n".join(rows) + "\n"


@pytest.mark.parametrize(("lost", "gained"), list(itertools.product(range(6), repeat=2)))
def test_mcnemar_is_the_sum_of_binomial_tails(lost: int, gained: int) -> None:
    n, k = lost + gained, min(lost, gained)
    tail = sum(comb(n, i) for i in range(k + 1)) / 2**n
    assert gate.mcnemar(lost, gained) == pytest.approx(min(1.0, 2 * tail))


def test_photos_are_paired_by_their_content() -> None:
    base = predictions("1100111111")
    lines = predictions("0110111111").splitlines()
    moved = "\n".join([lines[0], *reversed(lines[1:])]).replace("a/2.jpg", "a/renamed.jpg")
    paired = gate.pair(base, moved)
    assert (paired.photos, paired.base_right, paired.lost, paired.gained) == (10, 8, ("a/0.jpg",), ("a/renamed.jpg",))
    assert (paired.change, paired.p_value) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("lost", "gained", "worse"),
    [
        (0, 0, None),
        (2, 0, None),  # 1.0 points are within the tolerance
        (3, 0, "lower by 1.5%, more than 1.0%"),
        (22, 20, None),
        (0, 9, None),
    ],
)
def test_worse_by_more_than_the_tolerance(lost: int, gained: int, worse: str | None) -> None:
    reason = gate.Paired(200, 180, ("x",) * lost, ("x",) * gained).worse(LIMITS)
    assert reason is None if worse is None else worse in (reason or "")


def test_a_small_loss_counts_when_it_is_not_chance() -> None:
    few = gate.Paired(1000, 900, ("x",) * 9, ("x",) * 1)
    assert few.change == -0.008
    assert "not by chance (p = 0.0215)" in (few.worse(LIMITS) or "")
    assert gate.Paired(1000, 900, ("x",) * 40, ("x",) * 32).worse(LIMITS) is None  # as large, but chance


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (predictions("111", first=2), "the test photos differ: 4 there, 3 here, 2 of them the same"),
        (predictions("1111", "acac"), "the classes differ: a, b there, a, c here"),
        (predictions("1111", "abba"), "2 test photos have another label now, such as b/2.jpg"),
        (predictions("1111").replace("sha256", "md5"), "has no column sha256"),
    ],
)
def test_what_cannot_be_compared_is_said(other: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        gate.pair(predictions("1111"), other)


@pytest.fixture(scope="module")
def candidates(demo_clone: Clone, tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """The demo with an equal experiment and a worse one, whose threshold calls nothing the second class."""
    clone = demo_clone.copy(tmp_path_factory.mktemp("candidates") / "a clone", store=True)
    for name, change in (("equal", "evaluate.calibration_bins=5"), ("worse", "evaluate.threshold=0.999999")):
        clone.run("dvc", "exp", "run", "--temp", "--name", name, *DEMO, "-S", change)
    return clone


def test_the_first_becomes_champion_and_an_equal_one_follows_but_no_worse_one(candidates: Clone) -> None:
    run = candidates.run
    client = MlflowClient(f"sqlite:///{candidates.folder}/mlflow.db")
    assert "is the champion of drawn now, version 1: the first of its name" in run("python", "src/promote.py")
    assert "is the champion of drawn already: version 1" in run("python", "src/promote.py")
    refused = run("python", "src/promote.py", "worse", code=1)
    assert "worse does not become champion of drawn: its accuracy is lower by" in refused
    assert str(client.get_model_version_by_alias("drawn", "champion").version) == "1"
    assert len(client.search_model_versions("name = 'drawn'")) == 1
    assert "version 2: not worse than version 1: accuracy" in run("python", "src/promote.py", "equal")
    champion = client.get_model_version_by_alias("drawn", "champion")
    assert str(champion.version) == "2"
    assert {key: champion.tags[key] for key in ("dvc_experiment", "compared_with", "lost", "gained", "p_value")} == {
        "dvc_experiment": "equal", "compared_with": "1", "lost": "0", "gained": "0", "p_value": "1.000000",
    }  # fmt: skip
    photo = sorted((candidates.folder / "data/raw/validation").rglob("*.png"))[0]
    said = json.loads(run("python", "src/predict.py", "--model", "champion", "--json", str(photo)).splitlines()[-1])
    with open(candidates.folder / "reports/test/predictions.csv", newline="") as file:
        classes = {row["label"] for row in csv.DictReader(file)}
    assert said["class"] in classes


def test_other_test_photos_need_force(candidates: Clone) -> None:
    client = MlflowClient(f"sqlite:///{candidates.folder}/mlflow.db")
    champion = client.get_model_version_by_alias("drawn", "champion")
    rows = (candidates.folder / "reports/test/predictions.csv").read_text().splitlines()
    client.log_text(champion.run_id, "\n".join(rows[:-2]), "predictions/predictions.csv")
    said = candidates.run("python", "src/promote.py", code=2)
    assert said.startswith(f"error: promote: workspace cannot be compared with version {champion.version} of drawn")
    assert f"the test photos differ: {len(rows) - 3} there, {len(rows) - 1} here" in said
    assert said.count("\n") == 1
    forced = candidates.run("python", "src/promote.py", "--force")
    assert f"version 1: not compared with version {champion.version}, by --force" in forced


def test_an_experiment_that_is_not_there_is_one_line(candidates: Clone, tmp_path: Path) -> None:
    candidates.environment["MLFLOW_TRACKING_URI"] = f"sqlite:///{tmp_path}/other.db"
    try:
        said = candidates.run("python", "src/promote.py", "equal", code=2)
    finally:
        del candidates.environment["MLFLOW_TRACKING_URI"]
    assert said == "error: promote: the MLflow store lacks the run of equal: `make record NAMES=equal` adds it\n"
    assert "no experiment is named nobody" in candidates.run("python", "src/promote.py", "nobody", code=2)
