"""The photos of a run as MLflow's datasets."""

from __future__ import annotations

import hashlib
from typing import Any

from transfer_learning.photos.parts import SPLIT, split_rows
from transfer_learning.tracking.contents import Contents


def log_datasets(client: Any, run: Any, contents: Contents) -> list[str]:
    """Log the three parts of the photos as datasets; name and digest of the test part, if known."""
    import mlflow.data
    import pandas as pd
    from mlflow.entities import Dataset, DatasetInput, InputTag

    if not (contents.folder / SPLIT).exists():
        return []
    there = {tag.value for one in run.inputs.dataset_inputs for tag in one.tags} if run.inputs else set()
    table = pd.DataFrame(split_rows(contents.folder / SPLIT))
    named = (contents.params.get(f"data.{key}") for key in ("url", "archive", "path"))
    source = next(filter(None, named), "drawn by the program")
    test: list[str] = []
    for part, rows in table.groupby("part"):
        digest = contents.tags.get("data_md5", "")[:8] + _digest(rows.to_csv(index=False))
        if str(part) not in there:
            data = mlflow.data.from_pandas(rows, name=contents.experiment, source=_source(source), digest=digest)
            tags = [InputTag("mlflow.data.context", str(part))]
            client.log_inputs(run.info.run_id, [DatasetInput(Dataset.from_dictionary(data.to_dict()), tags)])
        if part == "test":
            test = [contents.experiment, digest]
    return test


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _source(text: str) -> Any:
    from mlflow.data.code_dataset_source import CodeDatasetSource
    from mlflow.data.http_dataset_source import HTTPDatasetSource

    return HTTPDatasetSource(text) if text.startswith("http") else CodeDatasetSource({"source": text})
