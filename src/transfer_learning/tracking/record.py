"""Record into MLflow whatever DVC has and the store lacks."""

from __future__ import annotations

import platform
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from yaml import YAMLError

from transfer_learning.core.errors import UserError
from transfer_learning.core.files import DISK_FULL
from transfer_learning.experiments import dvc_inside, lock, results, revisions
from transfer_learning.photos.parts import SPLIT
from transfer_learning.tracking import contents

if TYPE_CHECKING:
    from transfer_learning.tracking.recorder import Recorder

STAGES = ("train_frozen", "finetune")


def running() -> None:
    """Record the experiment that DVC is running in this folder, when standard input says that its results are there."""
    from transfer_learning.tracking import recorder as recording

    name, baseline = revisions.current()
    recorder = recording.Recorder()  # ready before the results are
    if sys.stdin.readline():  # else the stage has failed
        record(recorder, Path(), name, baseline, here=True)


def missing(names: Sequence[str] = ()) -> list[str]:
    """Record what the store lacks, and close the runs whose process is gone.

    Args:
        names: of experiments, of whatever commit; none for the workspace and every experiment of the checked-out one.

    Returns:
        What was added, in words.
    """
    from transfer_learning.tracking import recorder as recording

    chosen = [revisions.experiment(name) for name in names] or revisions.experiments(revisions.head())
    recorder = recording.Recorder()
    added = close_stale(recorder)
    for one in chosen:
        added += _tried(one.name, partial(record_experiment, recorder, one))
    if not names:
        added += _tried(revisions.WORKSPACE, partial(record_workspace, recorder, chosen))
    return added


def _tried(name: str, work: Callable[[], list[str]]) -> list[str]:
    """What was added, or why nothing: whatever is wrong with one experiment, the others are recorded."""
    try:
        return work()
    except UserError as error:
        return [f"{name}: not recorded, {error}"]
    except OSError as error:
        if error.errno in DISK_FULL:
            raise
        return [f"{name}: not recorded, {error}"]
    except (LookupError, ValueError, TypeError, YAMLError) as error:  # files that an older commit wrote otherwise
        return [f"{name}: not recorded, its files cannot be read: {error!r}"]


def record(
    recorder: Recorder, folder: Path, name: str, baseline: str, *, here: bool, changed: bool = False
) -> list[str]:
    """Bring both runs of an experiment up to the files in `folder`; returns what was added, in words."""
    lines = []
    changed = revisions.code_changed(baseline, folder=folder) if here else changed
    for of in STAGES:
        found = contents.read(of, "evaluate", folder=folder, name=name, baseline=baseline)
        tags = {"code_changed": str(changed).lower()} if of == "finetune" else {}
        added = recorder.sync(found, status="FINISHED", live_tags=tags, replace_files=here)
        if added:
            lines.append(f"{name} {of}: {', '.join(added)}")
    return lines


def record_experiment(recorder: Recorder, one: revisions.Experiment) -> list[str]:
    """Record an experiment from its commit, with the outputs that DVC's cache or remote has."""
    with tempfile.TemporaryDirectory() as aside:
        folder = Path(aside)
        revisions.export(one.commit, folder, "params.yaml", "dvc.yaml", "dvc.lock", "reports", "src")
        try:
            if not lock.fits(folder, one.name):
                return [f"{one.name}: not recorded, it has not run to its end"]
        except UserError as error:  # of one experiment: the others are recorded
            return [f"{one.name}: not recorded, {error}"]
        lost = []
        for path in (results.MODEL, SPLIT):
            try:
                if not dvc_inside.fetch(path, folder, one.commit):
                    lacking = f"without {path}, which DVC has neither here nor in a remote (dvc exp pull?)"
                    lost.append(f"{one.name}: {lacking}")
            except UserError as error:  # the run is recorded all the same
                lost.append(f"{one.name}: {error}")
        changed = revisions.code_changed(one.baseline, one.commit)
        return record(recorder, folder, one.name, one.baseline, here=False, changed=changed) + lost


def record_workspace(recorder: Recorder, experiments: list[revisions.Experiment]) -> list[str]:
    """Record the workspace, unless it holds one of the experiments."""
    if not lock.fits(Path()):
        return ["workspace: not recorded, its results are not those of params.yaml: `dvc repro` first"]
    if revisions.in_workspace(experiments):
        return []
    name, baseline = revisions.WORKSPACE, revisions.head()
    lines = record(recorder, Path(), name, baseline, here=False, changed=revisions.code_changed(baseline))
    missing = [path for path in (results.MODEL, SPLIT) if not path.exists()]
    return lines + [f"workspace: without {path}, which is not here: `dvc checkout` or `dvc pull`" for path in missing]


def close_stale(recorder: Recorder) -> list[str]:
    """Close the runs that say RUNNING although their process on this machine is gone."""
    closed = []
    for experiment in recorder.client.search_experiments():
        for run in recorder.client.search_runs([experiment.experiment_id], "attributes.status = 'RUNNING'"):
            host, *process = run.data.tags.get("process", "").split(" ")
            if host == platform.node() and len(process) == 2 and not _alive(*process):
                try:
                    recorder.client.set_terminated(run.info.run_id, "KILLED")
                except UserError as error:  # such as deleted meanwhile
                    closed.append(f"{run.info.run_name}: not closed, {error}")
                    continue
                closed.append(f"{run.info.run_name}: closed as KILLED, its process is gone")
    return closed


def _alive(pid: str, started: str) -> bool:
    try:
        return abs(psutil.Process(int(pid)).create_time() - float(started)) < 2
    except psutil.NoSuchProcess:
        return False
