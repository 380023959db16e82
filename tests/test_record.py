"""The MLflow store: one run an experiment however it was run, whole, and made anew from what DVC has."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest
from support.clone import DEMO, Clone
from support.stores import everything, runs, store_of


@pytest.fixture(scope="module")
def swept(demo_clone: Clone, tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """The demo after one experiment of each kind."""
    clone = demo_clone.copy(tmp_path_factory.mktemp("swept") / "a clone", store=True)
    clone.run("dvc", "exp", "run", "--temp", "--name", "aside", *DEMO, "-S", "finetune.fine_tune_at=6")
    clone.run("dvc", "exp", "run", "--queue", "--name", "q", *DEMO, "-S", "finetune.learning_rate=0.002,0.003")
    clone.run("dvc", "queue", "start", "-j", "2")
    deadline = time.monotonic() + 240
    while clone.run("dvc", "queue", "status").count("Success") < 2:
        assert time.monotonic() < deadline, clone.run("dvc", "queue", "status")
        time.sleep(3)
    clone.run("dvc", "exp", "run", "--name", "inside", *DEMO, "-S", "finetune.fine_tune_at=8")
    return clone


NAMES = ["aside", "q-1", "q-2", "inside"]


@pytest.mark.parametrize("name", ["workspace", *NAMES])
def test_every_experiment_is_one_run_with_its_whole_curve(swept: Clone, name: str) -> None:
    client = store_of(swept.folder)
    (run,) = runs(client, stage="finetune", dvc_experiment=name)
    held = everything(client, run)
    assert (held["name"], held["status"]) == (name, "FINISHED")
    assert [step for step, _ in held["curves"]["accuracy/val"]] == list(range(13))
    assert held["curves"]["phase/fine_tuning"] == [(step, float(step > 6)) for step in range(13)]
    assert "figures/finetune/learning_curves.png" in held["files"]
    assert "predictions/predictions.csv" in held["files"]
    assert [part for _, part in held["datasets"]] != []
    assert dict(held["models"][0])["test/accuracy"] == run.data.metrics["test/accuracy"]
    assert {"version.tensorflow", "instruction_sets", "cpu", "threads", "data_md5", "dvc_baseline"} <= set(
        run.data.tags
    )


def test_record_adds_nothing_to_a_store_that_has_everything(swept: Clone) -> None:
    assert "nothing was missing" in swept.run("python", "src/cli.py", "record")


def test_a_store_made_anew_equals_the_one_written_live(swept: Clone) -> None:
    client = store_of(swept.folder)
    live = {name: everything(client, *runs(client, stage="finetune", dvc_experiment=name)) for name in NAMES}
    (swept.folder / "mlflow.db").rename(swept.folder / "live.db")
    (swept.folder / "mlartifacts").rename(swept.folder / "live artifacts")
    said = swept.run("python", "src/cli.py", "record")
    assert all(f"{name} finetune: run, 13 epochs," in said for name in NAMES)
    assert "workspace" not in said  # what `dvc exp run` left there is the experiment `inside`
    client = store_of(f"{swept.folder}/.")  # MLflow keeps the old file open under the old address
    anew = {name: everything(client, *runs(client, stage="finetune", dvc_experiment=name)) for name in NAMES}
    assert anew == live
    assert "nothing was missing" in swept.run("python", "src/cli.py", "record")


def test_what_the_run_cache_restored_is_recorded(swept: Clone) -> None:
    said = swept.run("dvc", "exp", "run", "--temp", "--name", "again", *DEMO, "-S", "finetune.fine_tune_at=6")
    assert swept.stages_run(said) == []
    client = store_of(f"{swept.folder}/.")
    assert runs(client, stage="finetune", dvc_experiment="again") == []
    assert "again finetune: run, 13 epochs, 13 files, model, test results" in swept.run(
        "python", "src/cli.py", "record"
    )
    again, first = (runs(client, stage="finetune", dvc_experiment=name)[0] for name in ("again", "aside"))
    assert again.data.metrics == first.data.metrics


def test_an_experiment_pulled_from_a_remote_is_recorded(swept: Clone, tmp_path: Path) -> None:
    swept.run("git", "init", "--quiet", "--bare", str(tmp_path / "shared.git"))
    swept.run("git", "push", "--quiet", str(tmp_path / "shared.git"), "main")
    swept.run("dvc", "remote", "add", "--local", "--default", "--force", "shared", str(tmp_path / "cache"))
    swept.run("dvc", "exp", "push", str(tmp_path / "shared.git"), "aside")
    subprocess.run(
        ["git", "clone", "--quiet", "--branch", "main", str(tmp_path / "shared.git"), str(tmp_path / "other")],
        check=True,
    )
    other = Clone.at(tmp_path / "other", swept.environment)
    other.run("dvc", "remote", "add", "--local", "--default", "shared", str(tmp_path / "cache"))
    other.run("dvc", "exp", "pull", "origin", "aside")
    assert "aside finetune: run, 13 epochs, 13 files, model, test results" in other.run(
        "python", "src/cli.py", "record", "aside"
    )
    theirs, ours = (
        everything(client, *runs(client, stage="finetune", dvc_experiment="aside"))
        for client in (store_of(other.folder), store_of(f"{swept.folder}/."))
    )
    assert theirs == ours


def test_an_unknown_experiment_is_one_line(swept: Clone) -> None:
    said = swept.run("python", "src/cli.py", "record", "nobody", code=2)
    assert said.strip() == "error: record: no experiment is named nobody: `dvc exp list --all` shows them"
