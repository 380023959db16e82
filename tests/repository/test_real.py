"""What `make test-full` adds: the results of `make repro` in this workspace, on the real photos."""

from __future__ import annotations

import base64
import csv
import shutil
from pathlib import Path

import pytest
from support.clone import ROOT, Clone, answer

pytestmark = pytest.mark.full


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A clone with the outputs of this workspace."""
    clone = Clone(tmp_path_factory.mktemp("real"))
    for path in ("models/model.keras", "data/split.csv"):
        (clone.folder / path).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / path, clone.folder / path)
    (clone.folder / "data/raw").symlink_to(ROOT / "data/raw")
    return clone


def test_the_served_champion_says_what_predictions_csv_says(real: Clone) -> None:
    real.run("python", "src/cli.py", "record")
    real.run("python", "src/cli.py", "promote")
    with open(real.folder / "reports/test/predictions.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    photos = [base64.b64encode(Path(real.folder / "data/raw" / row["path"]).read_bytes()).decode() for row in rows]
    real.environment["MLFLOW_TRACKING_URI"] = f"sqlite:///{real.folder}/mlflow.db"
    command = "mlflow models serve -m models:/cats_and_dogs@champion --env-manager local --host 127.0.0.1 --port PORT"
    with real.serving(command.split(), "/ping") as address:
        body = {"dataframe_split": {"columns": ["photo"], "data": [[photo] for photo in photos]}}
        found = answer(f"{address}/invocations", body)["predictions"]
    assert [one["class"] for one in found] == [row["predicted"] for row in rows]
    second = max(row["label"] for row in rows)  # predictions.csv has the probability of this class
    probabilities = [one["probability"] if one["class"] == second else 1 - one["probability"] for one in found]
    assert probabilities == pytest.approx([float(row["probability"]) for row in rows], abs=2e-5)
