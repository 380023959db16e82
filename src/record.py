"""Record into MLflow whatever DVC has and the store lacks.

    python src/record.py            the workspace and every experiment of the checked-out commit
    python src/record.py NAME ...   these experiments, of whatever commit
    python src/record.py --here     the experiment that DVC is running in this folder, when standard input says that its
                                    results are there (the evaluate stage starts it)

What is there already is left alone, so it can run as often as one likes. Runs whose process is gone are closed.
"""

from __future__ import annotations

import argparse
import platform
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from transfer_learning import contents, results, revisions, stage
from transfer_learning.parts import SPLIT

if TYPE_CHECKING:
    from transfer_learning.recording import Recorder

STAGES = ("train_frozen", "finetune")


def main() -> None:
    parser = argparse.ArgumentParser(prog="record", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="a DVC experiment")
    parser.add_argument("--here", action="store_true", help="only what is in this folder")
    arguments = parser.parse_args()
    from transfer_learning import recording, store

    if arguments.here:
        name, baseline = revisions.current()
        with store.opened(recording.Recorder) as recorder:
            if sys.stdin.readline():  # else the stage has failed
                record(recorder, Path(), name, baseline, here=True)
        return
    chosen = [revisions.experiment(name) for name in arguments.names] or revisions.experiments(revisions.head())
    with store.opened(recording.Recorder) as recorder:
        added = close_stale(recorder)
        for one in chosen:
            added += record_experiment(recorder, one)
        if not arguments.names:
            added += record_workspace(recorder, chosen)
    print("\n".join(added) if added else "nothing was missing: the store has every experiment that DVC has")


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
        if not contents.fits_lock(folder):
            return [f"{one.name}: not recorded, it has not run to its end"]
        lost = []
        for path in (contents.MODEL, SPLIT):
            if not results.fetch_output(path, folder, one.commit):
                lost.append(f"{one.name}: without {path}, which DVC has neither here nor in a remote (dvc exp pull?)")
        changed = revisions.code_changed(one.baseline, one.commit)
        return record(recorder, folder, one.name, one.baseline, here=False, changed=changed) + lost


def record_workspace(recorder: Recorder, experiments: list[revisions.Experiment]) -> list[str]:
    """Record the workspace, unless it holds one of the experiments."""
    if not contents.fits_lock(Path()):
        return ["workspace: not recorded, its results are not those of params.yaml: `dvc repro` first"]
    if revisions.in_workspace(experiments):
        return []
    name, baseline = revisions.WORKSPACE, revisions.head()
    lines = record(recorder, Path(), name, baseline, here=False, changed=revisions.code_changed(baseline))
    missing = [path for path in (contents.MODEL, SPLIT) if not path.exists()]
    return lines + [f"workspace: without {path}, which is not here: `dvc checkout` or `dvc pull`" for path in missing]


def close_stale(recorder: Recorder) -> list[str]:
    """Close the runs that say RUNNING although their process on this machine is gone."""
    closed = []
    for experiment in recorder.client.search_experiments():
        for run in recorder.client.search_runs([experiment.experiment_id], "attributes.status = 'RUNNING'"):
            host, _, process = run.data.tags.get("process", "").partition(" ")
            if host == platform.node() and not _alive(*process.split()):
                recorder.client.set_terminated(run.info.run_id, "KILLED")
                closed.append(f"{run.info.run_name}: closed as KILLED, its process is gone")
    return closed


def _alive(pid: str, started: str) -> bool:
    try:
        return abs(psutil.Process(int(pid)).create_time() - float(started)) < 2
    except psutil.NoSuchProcess:
        return False


if __name__ == "__main__":
    stage.run("record", main)
