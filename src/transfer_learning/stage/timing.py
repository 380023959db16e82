"""Wall seconds of the stages as they last ran, kept beside DVC's own temporary files."""

from __future__ import annotations

import json
import os
from pathlib import Path

from transfer_learning.core.files import written_aside
from transfer_learning.core.workspace import main_workspace


def seconds_file(experiment: str, baseline: str) -> Path:
    """Where the wall seconds of stages are kept: beside DVC's own temporary files, one file an experiment.

    Args:
        baseline: commit that the experiment started from; empty for what plain `dvc repro` makes, of whatever commit.
    """
    return main_workspace() / ".dvc" / "tmp" / f"seconds-{experiment}{baseline and '-'}{baseline[:7]}.json"


def read_seconds(path: Path) -> dict[str, float]:
    """Wall seconds by stage of the latest run of each; empty when none was measured here."""
    return json.loads(path.read_text()) if path.exists() else {}


def write_seconds(name: str, seconds: float) -> None:
    """Keep the wall seconds of a stage that DVC has run."""
    path = seconds_file(os.environ.get("DVC_EXP_NAME") or "workspace", os.environ.get("DVC_EXP_BASELINE_REV", ""))
    if "DVC_STAGE" in os.environ and path.parent.is_dir():
        with written_aside(path) as aside:
            aside.write_text(json.dumps(read_seconds(path) | {name: round(seconds, 1)}))
