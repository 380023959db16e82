"""The report: one file that needs no other, with the numbers of the results and nobody's HTML in it."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from support.clone import Clone
from support.page import Page
from support.stores import runs, store_of

from transfer_learning.evaluation import metrics as evaluation
from transfer_learning.evaluation.predictions import mistakes
from transfer_learning.experiments import results
from transfer_learning.reporting import html as report
from transfer_learning.reporting import provenance

SOURCE = provenance.Commit("0" * 40, "2026-01-02T03:04:05+00:00", "a <message> & more", [])


def test_report_of_the_workspace_is_one_file_with_the_numbers_of_the_results(demo_clone: Clone, tmp_path: Path) -> None:
    clone = demo_clone.copy(tmp_path / "a clone", store=True)
    clone.call("record")
    said = clone.run("python", "src/cli.py", "report")
    assert said.startswith("report.html: the results of the workspace, ")
    assert said.count("\n") == 1
    assert clone.run("git", "status", "--porcelain") == ""
    html = (clone.folder / "report.html").read_text()
    page = Page(html)
    page.needs_nothing_else()
    assert len(html) < 4_000_000
    figures = [path for path in (clone.folder / "reports").rglob("*.png") if "leaderboard" not in path.name]
    assert len(page.all("img")) == len(figures) - 1  # the curves of both phases contain those of the first
    values = [attributes["value"] for attributes in page.all("data")]
    for phase, names in (("frozen", ["val_accuracy"]), ("finetune", ["val_accuracy"]), ("test", None)):
        metrics = json.loads((clone.folder / f"reports/{phase}/metrics.json").read_text())
        for name in names or metrics:
            assert str(metrics[name]) in values
    for stage in yaml.safe_load((clone.folder / "dvc.lock").read_text())["stages"].values():
        assert all(out["path"] in page.text and out["md5"] in page.text for out in stage["outs"])
    with open(clone.folder / "data/split.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    for part in report.PARTS:
        assert str(sum(row["part"] == part for row in rows)) in values
    settings = (clone.folder / "params.yaml").read_text()
    assert "fine_tune_at: 4\n" in settings
    assert "fine_tune_at4" in page.text
    assert clone.run("git", "rev-parse", "HEAD").strip() in page.text
    assert "Uncommitted changesnone" in page.text
    assert "the linear probe: " in page.text
    client = store_of(clone.folder)
    (run,) = runs(client, stage="finetune", dvc_experiment="workspace")
    kept = client.download_artifacts(run.info.run_id, "report/report.html", str(tmp_path))
    assert Path(kept).read_text() == html
    (clone.folder / "notes & more.txt").write_text("")
    clone.call("report")
    changed = Page((clone.folder / "report.html").read_text())
    assert "Uncommitted changesnotes & more.txt" in changed.text


def test_report_of_an_experiment_is_of_its_commit_and_does_without_a_store(swept: Clone, tmp_path: Path) -> None:
    clone = swept.copy(tmp_path / "a clone", experiments=True)
    clone.environment["MLFLOW_TRACKING_URI"] = "http://127.0.0.1:9"
    out = tmp_path / "new folder" / "bins.html"
    said = clone.run("python", "src/cli.py", "report", "bins", "--out", str(out))
    assert said.count("warning: not in MLflow: MLflow store http://127.0.0.1:9: ") == 1
    assert said.count("\n") == 2
    page = Page(out.read_text())
    page.needs_nothing_else()
    ref = clone.run("git", "for-each-ref", "--format=%(objectname)", "refs/exps/**/bins").strip()
    assert f"git checkout {ref}" in page.text
    assert "dvc exp pull origin bins" in page.text
    assert f"Started from{clone.run('git', 'rev-parse', 'HEAD').strip()}" in page.text
    assert "calibration_bins5" in page.text
    assert "How the photos were split is not here" not in page.text


def test_results_of_other_settings_are_refused(demo_clone: Clone, tmp_path: Path) -> None:
    clone = demo_clone.copy(tmp_path)
    params = clone.folder / "params.yaml"
    params.write_text(params.read_text().replace("fine_tune_at: 4", "fine_tune_at: 5"))
    said = clone.run("python", "src/cli.py", "report", code=2)
    assert said == ("error: report: the workspace has not run to its end with these settings: `dvc repro` does that\n")
    assert not (clone.folder / "report.html").exists()
    assert "no experiment is named nobody" in clone.call("report", "nobody", code=2)
    clone.run("git", "checkout", "--quiet", "params.yaml")
    said = clone.call("report", "--out", "reports", code=2)
    assert said == "error: report: --out reports is a folder: name a file\n"
    said = clone.call("report", "--out", "/proc/1/report.html", code=2)
    assert said.startswith("error: report: --out /proc/1/report.html cannot be written: ")
    assert said.count("\n") == 1


Change = Callable[[dict[str, str]], dict[str, str]]


def edited(path: Path, change: Change) -> None:
    """Change every row of a CSV file."""
    with open(path, newline="") as file:
        rows = [change(row) for row in csv.DictReader(file)]
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture
def folder(demo_clone: Clone, tmp_path: Path) -> Path:
    """The files of the demo's results, to be edited."""
    for name in ("params.yaml", "dvc.yaml", "dvc.lock", "data/split.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(demo_clone.folder / name, tmp_path / name)
    shutil.copytree(demo_clone.folder / "reports", tmp_path / "reports")
    return tmp_path


def rendered(folder: Path) -> Page:
    found = results.Results(folder, "<i>name</i>", "1" * 40)
    page = Page(report.render(found, SOURCE, folder / "data/split.csv"))
    page.needs_nothing_else()
    return page


def test_what_people_have_named_is_escaped(folder: Path) -> None:
    hostile = '"><script src="http://example.org/x.js"></script><img src=x onerror="a()">&lt;\'{{ 7 * 7 }}'

    def renamed(row: dict[str, str]) -> dict[str, str]:
        first = "circle" if row["label"] < "cross" else row["label"]
        return row | {"path": f"{hostile}/{row['path']}", "label": f"{hostile}{first}"}

    predictions = folder / "reports/test/predictions.csv"
    edited(folder / "data/split.csv", renamed)
    edited(predictions, lambda row: renamed(row) | {"predicted": f"{hostile}nothing"})
    params = folder / "params.yaml"
    values = yaml.safe_load(params.read_text())
    values["data"]["name"] = values["evaluate"]["<b>"] = hostile
    params.write_text(yaml.safe_dump(values))
    page = rendered(folder)
    assert page.all("i") == []
    assert page.text.count(hostile) > 10  # as text, letter by letter
    assert "a <message> & more" in page.text


def test_many_classes_have_a_table_of_their_own(folder: Path) -> None:
    names = [f"class {number:03d}" for number in range(40)]
    edited(folder / "data/split.csv", lambda row: row | {"label": names[len(row["path"]) % 2]})
    rows = [{"class": name, "photos": "3", "correct": "2", "f1": f"0.{n:03d}"} for n, name in enumerate(names)]
    with open(folder / "reports/test/per_class.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    with open(folder / "reports/test/predictions.csv", newline="") as file:
        row = next(csv.DictReader(file))
    lines = [",".join((row | {"path": f"{name}.png", "label": name, "predicted": name}).values()) for name in names]
    (folder / "reports/test/predictions.csv").write_text("\n".join([",".join(row), *lines]) + "\n")
    page = rendered(folder)
    assert "Photos of 40 classes" in page.text
    assert "class 011 and 28 more" in page.text
    assert all(f"{row['class']}32{row['f1']}" in page.text for row in rows)


def test_surest_mistakes_come_first_with_the_probability_of_what_was_predicted() -> None:
    rows = [
        {"path": path, "label": label, "predicted": predicted, "probability": probability}
        for path, label, predicted, probability in (
            ("1", "a", "b", "0.6"), ("2", "b", "a", "0.1"), ("3", "a", "a", "0.01"), ("4", "b", "a", "0.4"),
        )
    ]  # fmt: skip
    assert [(row["path"], row["confidence"]) for row in mistakes(rows, ["a", "b"])] == [
        ("2", 0.9), ("1", 0.6), ("4", 0.6),
    ]  # fmt: skip
    assert [row["path"] for row in mistakes(rows, ["a", "b", "c"])] == ["1", "4", "2"]


def test_intervals_of_validation_are_wilsons(folder: Path) -> None:
    probe, frozen, tuned, test = report.results(folder, 0.9)
    for found, phase in ((probe, "probe"), (frozen, "frozen"), (tuned, "finetune")):
        metrics = json.loads((folder / f"reports/{phase}/metrics.json").read_text())
        assert found["correct"] / found["photos"] == pytest.approx(metrics["val_accuracy"], abs=1e-6)
        expected = evaluation.wilson_interval(found["correct"], found["photos"], confidence=0.9)
        assert (found["low"], found["high"]) == expected
    assert test["low"] == json.loads((folder / "reports/test/metrics.json").read_text())["accuracy_low"]


def test_facts_that_differ_between_stages_say_of_which(folder: Path) -> None:
    facts = {
        "fetch": {"cpu": "x", "version.numpy": "1"}, "split": {"cpu": "y", "version.numpy": "1"},
        "evaluate": {"cpu": "y", "version.numpy": "1"},
    }  # fmt: skip
    (folder / "reports/environment.json").write_text(json.dumps(facts))
    assert provenance.machine(folder) == ([("cpu (fetch)", "x"), ("cpu (split, evaluate)", "y")], [("numpy", "1")])
