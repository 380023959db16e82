"""The results of many experiments at a time, read from git's objects: settings, dvc.lock and metrics, nothing else."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from yaml import YAMLError

from transfer_learning.core.errors import UserError
from transfer_learning.evaluation.baseline import FITTED, TESTED
from transfer_learning.experiments import lock, revisions, yaml_reader
from transfer_learning.settings import params

METRICS = (
    *(f"reports/{phase}/metrics.json" for phase in ("frozen", "finetune", "test")),
    *(path.as_posix() for path in (FITTED, TESTED)),
)
FILES = ("params.yaml", lock.FILE, *METRICS)


@dataclass(frozen=True)
class Finished:
    """Results that are whole, and those of the settings beside them, as dvc.lock has both.

    Attributes:
        settings: flat, `section.key: value`.
        stages: of dvc.lock.
        metrics: by path, of METRICS those that dvc.lock has.
    """

    settings: dict[str, Any]
    stages: lock.Stages
    metrics: dict[str, dict[str, float]]


def of_commits(commits: Sequence[str]) -> list[Finished | None]:
    """The results of each commit; None where they are not all there, or of other settings.

    Of the files below reports/ those that are read are held against dvc.lock, and not the figures beside them.
    """
    return [_finished(texts) for texts in revisions.contents(commits, FILES)]


def of_workspace() -> Finished | None:
    """The same of the workspace, of whose reports/ no file may be another than in dvc.lock.

    Raises:
        UserError: dvc.lock is broken.
    """
    paths = [Path(path) for path in FILES]
    return _finished([path.read_bytes() if path.exists() else None for path in paths]) if lock.fits() else None


def _finished(texts: Sequence[bytes | None]) -> Finished | None:
    settings, recorded, *measured = texts
    if settings is None or recorded is None:
        return None
    try:
        values = yaml_reader.load(settings.decode(errors="replace"))
        stages = lock.parse(recorded.decode(errors="replace"), "it")
    except (UserError, YAMLError):  # of another commit, whose dvc.lock or settings are broken: no results to show
        return None
    metrics = {path: text for path, text in zip(METRICS, measured, strict=True) if text is not None}
    digests = {path: hashlib.md5(text).hexdigest() for path, text in metrics.items()}
    if not isinstance(values, dict) or not lock.belongs(stages, values, digests.get, only=METRICS):
        return None
    known = lock.outputs(stages)
    return Finished(
        params.flatten(values), stages, {path: json.loads(text) for path, text in metrics.items() if path in known}
    )
