"""Runs of experiments that are removed from DVC leave the MLflow store too."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from transfer_learning.core.errors import UserError
from transfer_learning.experiments.revisions import Experiment
from transfer_learning.tracking import address
from transfer_learning.tracking.store import DATA_TAG, Store

OF_RUN = ("dvc_experiment", "dvc_baseline")
AT_ONCE = 1000  # ids of runs on a command line


class Removal(Store):
    """A store from which runs are removed."""

    def with_registered_models(self) -> set[tuple[str, str]]:
        """Name and baseline of the experiments of which a model is registered, whatever its alias."""
        versions, token = set(), None
        while True:
            page = self.client.search_model_versions(page_token=token)
            versions |= {one.run_id for one in page}
            token = page.token
            if not token:
                return {_of(run) for run in self._all() if run.info.run_id in versions}

    def runs_of(self, gone: Sequence[Experiment]) -> list[Any]:
        """The runs of these experiments, those in MLflow's trash too: a removal that was stopped has left them there.
        Without the frozen phases that an experiment which stays has started from."""
        named = {(one.name, one.baseline) for one in gone}
        found = self._all()
        stay = [run for run in found if _of(run) not in named]
        shared = {run.data.tags.get("frozen_weights_md5") for run in stay} - {None}
        return [
            run
            for run in found
            if _of(run) in named
            and not (run.data.tags.get("stage") == "train_frozen" and run.data.tags.get("frozen_weights_md5") in shared)
        ]

    def _all(self) -> list[Any]:
        """Every run of ours, deleted ones too."""
        ours = [one.experiment_id for one in self.client.search_experiments() if DATA_TAG in one.tags]
        return [
            run
            for experiment in ours
            for deleted in (False, True)
            for run in self.runs(experiment, {}, deleted=deleted)
        ]

    def folders(self, runs: Sequence[Any]) -> list[Path]:
        """Where the files of runs and of their models are, as far as that is on this machine."""
        places = [run.info.artifact_uri for run in runs] + [model.artifact_location for model in self._models(runs)]
        return [Path(unquote(urlsplit(place).path)) for place in places if place.startswith("file:")]

    def _models(self, runs: Sequence[Any]) -> list[Any]:
        return [
            model
            for run in runs
            for model in self.client.search_logged_models(
                [run.info.experiment_id], f"source_run_id = '{run.info.run_id}'"
            )
        ]

    def remove(self, runs: Sequence[Any]) -> None:
        """Remove runs and their models, files included; with them `mlflow gc` takes the models and experiments that are
        in MLflow's trash, and no other run. On a server they go into its trash, which it empties itself.

        Raises:
            UserError: MLflow cannot; asked again, it goes on.
        """
        for model in self._models(runs):
            self.client.delete_logged_model(model.model_id)
        for run in runs:
            if run.info.lifecycle_stage == "active":
                self.client.delete_run(run.info.run_id)
        for start in range(0, 0 if address.is_server() else len(runs), AT_ONCE):
            self._empty([run.info.run_id for run in runs[start : start + AT_ONCE]])

    def _empty(self, ids: Sequence[str]) -> None:
        """Let MLflow remove runs from its trash."""
        command = [str(Path(sys.executable).parent / "mlflow"), "gc", "--backend-store-uri", address.uri()]
        done = subprocess.run(
            [*command, "--run-ids", ",".join(ids)],
            env=os.environ | {"MLFLOW_TRACKING_URI": address.uri()},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            why = address.hidden(" ".join((done.stderr or done.stdout).split()))[-300:]
            raise UserError(f"MLflow store {address.shown()}: `mlflow gc`: {why}")


def _of(run: Any) -> tuple[str, str]:
    """Name and baseline of the experiment that a run is of."""
    name, baseline = (str(run.data.tags.get(tag, "")) for tag in OF_RUN)
    return name, baseline
