"""The main workspace: where it is, and the stages that run in it."""

from __future__ import annotations

import os
from pathlib import Path

STAGES = ("fetch", "split", "featurize", "probe", "train_frozen", "finetune", "evaluate")  # in the order of dvc.yaml


def main_workspace() -> Path:
    """The folder that holds .dvc: in a queued or temporary experiment that is not the current folder."""
    return Path(os.environ.get("DVC_ROOT", ".")).resolve()
