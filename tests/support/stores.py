"""What tests look up in an MLflow store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mlflow import MlflowClient

KEPT = {
    "stage", "dvc_experiment", "dvc_baseline", "mlflow.source.git.commit", "data_md5", "frozen_weights_md5",
    "finetuned_weights_md5", "code_changed",
}  # fmt: skip


def store_of(folder: Path | str) -> MlflowClient:
    return MlflowClient(f"sqlite:///{folder}/mlflow.db")


def runs(client: MlflowClient, **tags: str) -> list[Any]:
    experiment = client.get_experiment_by_name("drawn")
    wanted = " and ".join(f"tags.{name} = '{value}'" for name, value in tags.items())
    return list(client.search_runs([experiment.experiment_id], wanted)) if experiment else []


def everything(client: MlflowClient, run: Any) -> dict[str, Any]:
    """What a run holds, apart from ids and times."""
    run_id = run.info.run_id
    curves = {
        name: sorted((point.step, point.value) for point in client.get_metric_history(run_id, name))
        for name in run.data.metrics
    }
    files, waiting = [], [""]
    while waiting:
        for file in client.list_artifacts(run_id, waiting.pop()):
            (waiting if file.is_dir else files).append(file.path)
    datasets = sorted((one.dataset.digest, one.tags[0].value) for one in run.inputs.dataset_inputs)
    models = client.search_logged_models([run.info.experiment_id], f"source_run_id = '{run_id}'")
    linked = [sorted((metric.key, metric.value) for metric in model.metrics or []) for model in models]
    return {
        "name": run.info.run_name,
        "status": run.info.status,
        "params": run.data.params,
        "curves": curves,
        "files": sorted(files),
        "datasets": datasets,
        "models": linked,
        "tags": {key: run.data.tags[key] for key in sorted(run.data.tags) if key in KEPT},
    }
