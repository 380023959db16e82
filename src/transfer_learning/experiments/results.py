"""What an experiment's files hold: of the workspace, or of a DVC experiment whose commit was exported into a folder."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from transfer_learning.core.errors import UserError
from transfer_learning.experiments import lock, revisions
from transfer_learning.settings import params

FROZEN, TUNED = Path("models/frozen.weights.h5"), Path("models/finetuned.weights.h5")
MODEL = Path("models/model.keras")


@dataclass(frozen=True)
class Results:
    """The results of an experiment once they are whole.

    Attributes:
        folder: has its files.
        name: of the DVC experiment, or that of the workspace.
        baseline: commit that the experiment started from.
    """

    folder: Path
    name: str
    baseline: str

    @cached_property
    def settings(self) -> dict[str, Any]:
        """Flat, `section.key: value`."""
        return params.flat(self.folder)

    @property
    def data(self) -> str:
        """What the photos are called."""
        return str(self.settings["data.name"])


def read(name: str | None, aside: Path) -> tuple[Results, revisions.Experiment | None]:
    """Find the results of an experiment, or of the workspace.

    Args:
        name: of a DVC experiment; None for the workspace.
        aside: an empty folder, for the files of an experiment.

    Returns:
        The results, and the experiment that they are of: without a name the one that lies in the workspace, if any.

    Raises:
        UserError: there is no such experiment, or it has not run to its end.
    """
    chosen = revisions.experiment(name) if name else revisions.in_workspace(revisions.experiments(revisions.head()))
    folder = Path()
    if chosen:
        revisions.export(chosen.commit, aside, "params.yaml", "dvc.yaml", lock.FILE, "reports")
        folder = aside
    where = name or "the workspace"
    if not lock.fits(folder, where):
        raise UserError(f"{where} has not run to its end with these settings: `dvc repro` does that")
    if chosen:
        return Results(folder, chosen.name, chosen.baseline), chosen
    return Results(folder, revisions.WORKSPACE, revisions.head()), None
