"""The champion: only a model that is not worse on the same photos takes its place."""

from __future__ import annotations

import csv
import json
from functools import partial
from pathlib import Path

import pytest
from mlflow import MlflowClient
from support.clone import Clone


@pytest.fixture
def candidates(swept: Clone, tmp_path: Path) -> Clone:
    """The demo with an equal experiment, `bins`, and a worse one, whose threshold calls nothing the second class."""
    return swept.copy(tmp_path / "a clone", store=True, experiments=True)


def test_the_first_becomes_champion_and_an_equal_one_follows_but_no_worse_one(candidates: Clone) -> None:
    promote = partial(candidates.call, "promote")
    client = MlflowClient(f"sqlite:///{candidates.folder}/mlflow.db")
    said = candidates.run("python", "src/cli.py", "promote")
    assert "is the champion of drawn now, version 1: the first of its name" in said
    assert "is the champion of drawn already: version 1" in promote()
    refused = promote("worse", code=1)
    assert "worse does not become champion of drawn: its accuracy is lower by" in refused
    assert str(client.get_model_version_by_alias("drawn", "champion").version) == "1"
    assert len(client.search_model_versions("name = 'drawn'")) == 1
    assert "version 2: not worse than version 1: accuracy" in promote("bins")
    champion = client.get_model_version_by_alias("drawn", "champion")
    assert str(champion.version) == "2"
    assert {key: champion.tags[key] for key in ("dvc_experiment", "compared_with", "lost", "gained", "p_value")} == {
        "dvc_experiment": "bins", "compared_with": "1", "lost": "0", "gained": "0", "p_value": "1.000000",
    }  # fmt: skip
    photo = sorted((candidates.folder / "data/raw/validation").rglob("*.png"))[0]
    said = json.loads(
        candidates.run("python", "src/cli.py", "predict", "--model", "champion", "--json", str(photo)).splitlines()[-1]
    )
    with open(candidates.folder / "reports/test/predictions.csv", newline="") as file:
        classes = {row["label"] for row in csv.DictReader(file)}
    assert said["class"] in classes


def test_other_test_photos_need_force(candidates: Clone) -> None:
    candidates.call("promote", "bins")
    client = MlflowClient(f"sqlite:///{candidates.folder}/mlflow.db")
    champion = client.get_model_version_by_alias("drawn", "champion")
    rows = (candidates.folder / "reports/test/predictions.csv").read_text().splitlines()
    client.log_text(champion.run_id, "\n".join(rows[:-2]), "predictions/predictions.csv")
    said = candidates.call("promote", code=2)
    assert said.startswith(f"error: promote: workspace cannot be compared with version {champion.version} of drawn")
    assert f"the test photos differ: {len(rows) - 3} there, {len(rows) - 1} here" in said
    assert said.count("\n") == 1
    forced = candidates.call("promote", "--force")
    assert f"version 2: not compared with version {champion.version}, by --force" in forced


def test_an_experiment_that_is_not_there_is_one_line(
    swept: Clone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/other.db")
    said = swept.call("promote", "bins", code=2)
    assert said.endswith("error: promote: the MLflow store lacks the run of bins: `./tl record bins` adds it\n")
    assert "no experiment is named nobody" in swept.call("promote", "nobody", code=2)
