"""The results of a DVC experiment or of the workspace, for commands that use them once they are whole."""

from __future__ import annotations

from pathlib import Path

from transfer_learning import contents, revisions, workspace
from transfer_learning.errors import UserError


def read(name: str | None, aside: Path) -> tuple[contents.Contents, revisions.Experiment | None]:
    """Read the results of an experiment, or of the workspace.

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
        revisions.export(chosen.commit, aside, "params.yaml", "dvc.yaml", "dvc.lock", "reports")
        folder = aside
    if not contents.fits_lock(folder):
        raise UserError(f"{name or 'the workspace'} has not run to its end with these settings: `dvc repro` does that")
    label, baseline = (chosen.name, chosen.baseline) if chosen else (revisions.WORKSPACE, revisions.head())
    return contents.read("finetune", "evaluate", folder=folder, name=label, baseline=baseline), chosen


def fetch_output(path: Path, folder: Path, commit: str | None) -> bool:
    """Bring an output of a commit (None: of the workspace's dvc.lock) from DVC's cache or remote into a folder.

    Returns:
        Whether DVC has it.
    """
    from dvc.api import DVCFileSystem

    (folder / path).parent.mkdir(exist_ok=True)
    try:
        DVCFileSystem(str(workspace.main_workspace()), rev=commit).get_file(path.as_posix(), str(folder / path))
    except FileNotFoundError:  # neither in the cache nor in a remote
        (folder / path).unlink(missing_ok=True)
        return False
    return True
