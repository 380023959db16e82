"""Recording when something goes wrong: killed stages, locked and read-only stores, losses that are no numbers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from support.clone import Clone
from support.stores import runs, store_of


@pytest.fixture
def trained(demo_clone: Clone, tmp_path: Path) -> Clone:
    """A copy of the demo clone whose finetune stage can be run by itself, with a store of its own."""
    clone = demo_clone.copy(tmp_path)
    store_of(tmp_path).search_experiments()  # made now: the tests look into it while a stage starts
    return clone


def start_finetune(clone: Clone, epochs: int) -> subprocess.Popen[str]:
    params = clone.folder / "params.yaml"
    params.write_text(params.read_text().replace("fine_tune_at: 4", "fine_tune_at: 0").replace(
        "learning_rate: 0.001\n  epochs: 6", f"learning_rate: 0.001\n  epochs: {epochs}"
    ))  # fmt: skip
    return subprocess.Popen(
        ["python", "-u", "src/finetune.py"], cwd=clone.folder, env=clone.environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def until_points(clone: Clone, number: int) -> Any:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if (clone.folder / "mlflow.db").exists():
            found = runs(store_of(clone.folder), stage="finetune")
            if found and found[0].data.metrics.get("phase/fine_tuning") == 1.0:
                points = store_of(clone.folder).get_metric_history(found[0].info.run_id, "loss/train")
                if len(points) >= number:
                    return found[0]
        time.sleep(0.3)
    raise AssertionError("no points came")


@pytest.mark.parametrize(
    "sent", [signal.SIGTERM, *(pytest.param(one, marks=pytest.mark.full) for one in (signal.SIGINT, signal.SIGKILL))]
)
def test_a_killed_stage_ends_its_run_as_killed(trained: Clone, sent: signal.Signals) -> None:
    process = start_finetune(trained, 5000)
    run = until_points(trained, 8)
    assert run.info.status == "RUNNING"
    process.send_signal(sent)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == (-9 if sent == signal.SIGKILL else 130)
    assert "Traceback" not in said
    deadline = time.monotonic() + 30
    while runs(store_of(trained.folder), stage="finetune")[0].info.status == "RUNNING" and time.monotonic() < deadline:
        time.sleep(0.5)
    (run,) = runs(store_of(trained.folder), stage="finetune")
    assert run.info.status == "KILLED"


def test_a_run_whose_recorder_was_killed_too_is_closed_by_record(trained: Clone) -> None:
    process = start_finetune(trained, 5000)
    until_points(trained, 8)
    children = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=True)
    for pid in map(int, children.stdout.split()):
        os.kill(pid, signal.SIGKILL)
    process.kill()
    process.communicate(timeout=60)
    (run,) = runs(store_of(trained.folder), stage="finetune")
    assert run.info.status == "RUNNING"
    assert "closed as KILLED" in trained.call("record")
    assert store_of(trained.folder).get_run(run.info.run_id).info.status == "KILLED"


def test_a_loss_that_is_not_finite_ends_the_run_as_failed(trained: Clone) -> None:
    params = trained.folder / "params.yaml"
    params.write_text(params.read_text().replace("learning_rate: 0.001\n", "learning_rate: 1.0\n"))
    module = trained.folder / "src" / "transfer_learning" / "training" / "epochs.py"
    module.write_text(module.read_text().replace("if not np.isfinite(list(row.values())).all():", "if epoch == 9:"))
    trained.run("python", "src/finetune.py", code=2)
    (run,) = runs(store_of(trained.folder), stage="finetune")
    assert run.info.status == "FAILED"


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("http://me:s3cret-word@127.0.0.1:9", "http://127.0.0.1:9"),
        pytest.param("sqlite:////proc/no/such/place.db", "sqlite:////proc/no/such/place.db", marks=pytest.mark.full),
    ],
)
def test_a_store_that_cannot_be_reached_is_said_once_and_trains_the_same(
    trained: Clone, uri: str, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    history = trained.folder / "reports/finetune/history.csv"
    before = history.read_text()
    history.unlink()
    trained.environment["MLFLOW_TRACKING_URI"] = uri
    said = trained.run("python", "src/finetune.py")
    assert said.count(f"warning: MLflow store {shown}") == 1
    assert "s3cret-word" not in said
    assert history.read_text() == before
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    said = trained.call("record", code=2)
    assert said.startswith(f"error: record: MLflow store {shown}")
    assert "s3cret-word" not in said
    assert len(said.strip().splitlines()) == 1


def test_a_locked_store_gets_its_points_when_it_is_free_again(trained: Clone) -> None:
    import sqlite3

    trained.call("record")
    client = store_of(trained.folder)
    for run in runs(client):
        client.delete_run(run.info.run_id)
    with sqlite3.connect(trained.folder / "mlflow.db", isolation_level=None) as database:
        database.execute("BEGIN EXCLUSIVE")
        process = start_finetune(trained, 40)
        time.sleep(20)
        database.execute("ROLLBACK")
    said, _ = process.communicate(timeout=200)
    assert process.returncode == 0, said
    (run,) = runs(store_of(trained.folder), stage="finetune")
    assert run.info.status == "FINISHED"
    assert len(store_of(trained.folder).get_metric_history(run.info.run_id, "loss/train")) == 47


def test_a_moved_repository_finds_its_artifacts(trained: Clone, tmp_path: Path) -> None:
    trained.call("record")
    moved = tmp_path.parent / trained.folder.name.upper()  # SQL's LIKE would not see the difference
    subprocess.run(["cp", "-r", str(trained.folder), str(moved)], check=True)
    Clone.at(moved).call("record")
    client = store_of(moved)
    run = runs(client, stage="finetune", dvc_experiment="workspace")[0]
    assert run.info.artifact_uri.startswith(moved.as_uri())
    kept = [file.path for file in client.list_artifacts(run.info.run_id, "predictions")]
    names = ("per_class.csv", "predictions.csv", "probe", "validation_predictions.csv")
    assert kept == [f"predictions/{name}" for name in names]


def test_predict_does_the_rest_where_a_photo_is_broken(trained: Clone, tmp_path: Path) -> None:
    photo = next((trained.folder / "data/raw").rglob("*.png"))
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "two words.png").write_bytes(photo.read_bytes())
    (photos / "broken.jpg").write_bytes(b"no photo")
    done = subprocess.run(
        ["python", "src/cli.py", "predict", "--json", str(photos), str(photos / "nowhere.jpg")],
        cwd=trained.folder, env=trained.environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["photo"] for row in rows] == [str(photos / "two words.png")]
    assert 0.5 <= rows[0]["probability"] <= 1
    assert f"{photos / 'broken.jpg'} is not a JPEG, PNG, GIF, BMP or WebP file" in done.stderr
    assert "nowhere.jpg cannot be opened: No such file or directory" in done.stderr
    assert "error: predict: 2 of 3 could not be read; the others are predicted" in done.stderr
