"""Wall seconds of stages, kept by what the stages have put out: they are shown for exactly these results, no others.

The names under which they are kept follow from the digests that dvc.lock has of a stage's outputs. A stage that comes
out of the run cache, and an experiment that is applied, so have the time that it took to compute what is there. Epochs
that were taken over from an earlier run count with the time that they took then.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

from transfer_learning.core.files import digest, written_aside
from transfer_learning.core.workspace import main_workspace
from transfer_learning.settings import params

_taken_over: list[float] = []  # seconds of the work that this process has taken over
Outputs = Mapping[str, str]  # of a stage: DVC's md5 by path


def ran_for(experiment: str, baseline: str) -> str:
    """The name of who has measured: an experiment with its baseline commit, or what plain `dvc repro` makes, of
    whatever commit, which has none."""
    return f"{experiment} {baseline}".strip()


def measured(
    stages: Mapping[str, Outputs], whose: str | None = None, workspace: Path | None = None
) -> dict[str, float]:
    """Wall seconds by stage, of the latest run here that has put out exactly this; without the stages that none has.

    Args:
        stages: outputs of each, as dvc.lock has them.
        whose: as `ran_for` names it: of its own runs alone.
        workspace: the folder that holds .dvc; by default ours.
    """
    found = {}
    for stage, outputs in stages.items():
        known = _read(_file(stage, outputs, workspace or main_workspace()))
        if known and (whose is None or whose in known):
            found[stage] = known[whose] if whose else list(known.values())[-1]
    return found


def take_over(seconds: float) -> None:
    """Count work that an earlier run has done for this one."""
    _taken_over.append(seconds)


def write_seconds(stage: str, seconds: float) -> None:
    """Keep the wall seconds of a stage that DVC has run, and whose outputs are in the current folder.

    Args:
        seconds: of this process.
    """
    workspace = main_workspace()
    if "DVC_STAGE" not in os.environ or not (workspace / ".dvc" / "tmp").is_dir():
        return
    declared = params.outputs(params.read_yaml(Path("dvc.yaml"))["stages"][stage])
    path = _file(stage, {output: as_in_lock(Path(output)) for output in declared}, workspace)
    whose = ran_for(os.environ.get("DVC_EXP_NAME") or "workspace", os.environ.get("DVC_EXP_BASELINE_REV", ""))
    known = _read(path)
    known.pop(whose, None)  # the latest is the last
    with written_aside(path) as aside:
        aside.write_text(json.dumps(known | {whose: round(seconds + sum(_taken_over), 1)}))


def as_in_lock(path: Path) -> str:
    """The md5 of a file or folder that DVC writes into dvc.lock."""
    if path.is_file():
        return digest(path, "md5")
    files = {file.relative_to(path).as_posix(): file for file in path.rglob("*") if file.is_file()}
    listed = [{"md5": digest(files[name], "md5"), "relpath": name} for name in sorted(files)]
    return f"{hashlib.md5(json.dumps(listed).encode()).hexdigest()}.dir"


def _file(stage: str, outputs: Outputs, workspace: Path) -> Path:
    key = hashlib.sha256(json.dumps(sorted(outputs.items())).encode()).hexdigest()[:16]
    return workspace / ".dvc" / "tmp" / "seconds" / f"{stage}-{key}.json"


def _read(path: Path) -> dict[str, float]:
    """Seconds by who has measured them, the latest last."""
    return json.loads(path.read_text()) if path.exists() else {}
