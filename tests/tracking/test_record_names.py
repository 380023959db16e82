"""Recording what has odd names, and what somebody has deleted or renamed in MLflow's UI."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from support.clone import Clone

from transfer_learning.experiments import revisions
from transfer_learning.tracking import contents, record, recorder

NAMES = ("it's", "a\"b'c", "100%;--", "ü")


@pytest.fixture
def opened(demo_clone: Clone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> recorder.Recorder:
    """The store of a copy of the demo, which is the current folder; it has the workspace."""
    clone = demo_clone.copy(tmp_path / "My%20Repo what?")
    monkeypatch.chdir(clone.folder)
    opened = recorder.Recorder()
    assert record.missing() == [
        "workspace train_frozen: run, 7 epochs, 1 files",
        "workspace finetune: run, 13 epochs, 16 files, model, test results",
    ]
    return opened


def test_any_name_is_recorded_once_and_what_is_deleted_stays_so(opened: recorder.Recorder, tmp_path: Path) -> None:
    assert sorted(path.name for path in tmp_path.iterdir()) == ["My%20Repo what?"]
    client, experiment = opened.client, opened.experiment("drawn")
    assert experiment
    for name in NAMES:
        for lines in (1, 0):
            assert len(record.record(opened, Path(), name, revisions.head(), here=False)) == lines
    shutil.rmtree("mlartifacts")
    assert record.missing() == ["workspace train_frozen: 1 files", "workspace finetune: 16 files, model"]
    (model,) = [one for one in client.search_logged_models([experiment]) if opened.has_files(one)]
    assert model.source_run_id
    (run,) = opened.runs(experiment, {"dvc_experiment": "it's"})
    client.delete_run(run.info.run_id)
    assert record.record(opened, Path(), "it's", revisions.head(), here=False) == []
    client.rename_experiment(experiment, "renamed")
    assert record.missing() == []
    client.delete_experiment(experiment)
    (said,) = record.missing()
    assert said.startswith("workspace: not recorded, MLflow store sqlite:///")
    assert f"was deleted: `mlflow experiments restore --experiment-id {experiment}` brings it back" in said


@pytest.mark.parametrize(
    "name", ["..", *(pytest.param(name, marks=pytest.mark.full) for name in ("Default", "mlartifacts"))]
)
def test_files_of_any_data_lie_in_the_store(opened: recorder.Recorder, name: str) -> None:
    found = contents.read("train_frozen", "evaluate", folder=Path(), name="any", baseline=revisions.head())
    found.params["data.name"] = name
    assert opened.sync(found, status="FINISHED", live_tags={}, replace_files=False)[-1] == "1 files"
    (run,) = opened.runs(str(opened.experiment(name)), {"dvc_experiment": "any"})
    assert run.info.artifact_uri.startswith(f"{Path('mlartifacts').resolve().as_uri()}/")


def test_a_model_that_a_killed_process_has_begun_is_finished_and_no_second_one_made(
    opened: recorder.Recorder,
) -> None:
    client, experiment = opened.client, str(opened.experiment("drawn"))
    (run,) = opened.runs(experiment, {"stage": "finetune"})
    (whole,) = client.search_logged_models([experiment])
    client.delete_logged_model(whole.model_id)
    begun = client.create_logged_model(experiment, name="model", source_run_id=run.info.run_id)
    assert record.missing() == ["workspace finetune: model"]
    (model,) = client.search_logged_models([experiment])
    assert (model.model_id, str(model.status)) == (begun.model_id, "READY")
    assert opened.has_files(model)
    assert model.model_id in [output.model_id for output in client.get_run(run.info.run_id).outputs.model_outputs]
    assert record.missing() == []
