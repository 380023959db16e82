"""What tests look up in an MLflow store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mlflow import MlflowClient


def store_of(folder: Path | str) -> MlflowClient:
    return MlflowClient(f"sqlite:///{folder}/mlflow.db")


def runs(client: MlflowClient, **tags: str) -> list[Any]:
    experiment = client.get_experiment_by_name("drawn")
    wanted = " and ".join(f"tags.{name} = '{value}'" for name, value in tags.items())
    return list(client.search_runs([experiment.experiment_id], wanted)) if experiment else []
