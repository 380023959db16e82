"""The MLflow store: one run an experiment however it was run, whole, and made anew from what DVC has."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from support.clone import DEMO, Clone
from support.stores import everything, runs, store_of

NAMES = ["bins", "q-1", "q-2", "inside"]  # of the first only evaluate has run


@pytest.mark.parametrize("name", ["workspace", *NAMES[1:]])
def test_every_experiment_is_one_run_with_its_whole_curve(swept: Clone, name: str) -> None:
    client = store_of(swept.folder)
    (run,) = runs(client, stage="finetune", dvc_experiment=name)
    found = everything(client, run)
    assert (found["name"], found["status"]) == (name, "FINISHED")
    assert [step for step, _ in found["curves"]["accuracy/val"]] == list(range(13))
    assert found["curves"]["phase/fine_tuning"] == [(step, float(step > 6)) for step in range(13)]
    assert "figures/finetune/learning_curves.png" in found["files"]
    assert "predictions/predictions.csv" in found["files"]
    assert [part for _, part in found["datasets"]] != []
    assert dict(found["models"][0])["test/accuracy"] == run.data.metrics["test/accuracy"]
    assert {"version.tensorflow", "instruction_sets", "cpu", "threads", "data_md5", "dvc_baseline"} <= set(
        run.data.tags
    )


def test_record_adds_nothing_to_a_store_that_has_everything(swept: Clone, tmp_path: Path) -> None:
    clone = swept.copy(tmp_path / "clone", store=True, experiments=True)
    assert "nothing was missing" in clone.call("record")


def test_a_store_made_anew_equals_the_one_written_live(swept: Clone, tmp_path: Path) -> None:
    live = {name: held(swept, name) for name in NAMES}
    clone = swept.copy(tmp_path / "clone", experiments=True)
    clone.run("dvc", "exp", "apply", "inside")  # as `dvc exp run` had left the workspace: it is no run of its own
    said = clone.run("python", "src/cli.py", "record")
    assert all(f"{name} finetune: run, 13 epochs," in said for name in NAMES)
    assert "workspace" not in said
    assert {name: held(clone, name) for name in NAMES} == live
    assert "nothing was missing" in clone.call("record")


def test_what_the_run_cache_restored_is_recorded(swept: Clone, tmp_path: Path) -> None:
    clone = swept.copy(tmp_path / "clone", store=True, experiments=True)
    said = clone.run("dvc", "exp", "run", "--temp", "--name", "again", *DEMO, "-S", "finetune.learning_rate=0.002")
    assert clone.stages_run(said) == []
    client = store_of(clone.folder)
    assert runs(client, stage="finetune", dvc_experiment="again") == []
    assert "again finetune: run, 13 epochs, 16 files, model, test results" in clone.call("record")
    again, first = (runs(client, stage="finetune", dvc_experiment=name)[0] for name in ("again", "q-1"))
    assert again.data.metrics == first.data.metrics


def held(clone: Clone, name: str) -> dict[str, Any]:
    """What the store beside a clone has of the only run of an experiment."""
    client = store_of(clone.folder)
    (run,) = runs(client, stage="finetune", dvc_experiment=name)
    return everything(client, run)


def test_an_experiment_pulled_from_a_remote_is_recorded(swept: Clone, tmp_path: Path) -> None:
    clone = swept.copy(tmp_path / "clone", experiments=True)
    clone.run("git", "init", "--quiet", "--bare", str(tmp_path / "shared.git"))
    clone.run("git", "push", "--quiet", str(tmp_path / "shared.git"), "main")
    clone.run("dvc", "remote", "add", "--local", "--default", "shared", str(tmp_path / "cache"))
    clone.run("dvc", "exp", "push", str(tmp_path / "shared.git"), "q-1")
    subprocess.run(
        ["git", "clone", "--quiet", "--branch", "main", str(tmp_path / "shared.git"), str(tmp_path / "other")],
        check=True,
    )
    other = Clone.at(tmp_path / "other", swept.environment)
    other.run("dvc", "remote", "add", "--local", "--default", "shared", str(tmp_path / "cache"))
    other.run("dvc", "exp", "pull", "origin", "q-1")
    assert "q-1 finetune: run, 13 epochs, 16 files, model, test results" in other.call("record", "q-1")
    assert held(other, "q-1") == held(swept, "q-1")


def test_an_unknown_experiment_is_one_line(swept: Clone) -> None:
    said = swept.call("record", "nobody", code=2)
    assert said.strip() == "error: record: no experiment is named nobody: `dvc exp list --all` shows them"
