"""What a table of results is about: whose they are, of which photos, and how long they took to compute."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

from transfer_learning.core import files
from transfer_learning.core.errors import UserError, printable
from transfer_learning.core.workspace import STAGES
from transfer_learning.experiments import dvc_inside, lock, results, revisions
from transfer_learning.photos import parts
from transfer_learning.stage import timing


def whose(head: str) -> str:
    """Whose results the workspace has: those of the checked-out commit, of an experiment, or of neither."""
    if revisions.text(head, lock.FILE) == Path(lock.FILE).read_text():
        return f"as committed in {head[:7]}"
    if one := revisions.in_workspace(revisions.experiments()):
        return f"those of the experiment {one.name}"
    return "not committed"


def photos(found: results.Results, stages: lock.Stages, experiment: revisions.Experiment | None) -> str:
    """What the photos are called, where they are from, and how many each part has, in a line."""
    settings = found.settings
    source = settings.get("data.path") or settings.get("data.archive") or settings["data.kind"]
    line = f"photos: {found.data} ({source})"
    count = _parts(stages, experiment.commit if experiment else None)
    if count:
        line += ", " + ", ".join(f"{count[part]:,} for {_SAID[part]}" for part in parts.PARTS if count[part])
    return printable(line)


_SAID = {"train": "training", "validation": "validation", "test": "test"}


def _parts(stages: lock.Stages, commit: str | None) -> Counter[str]:
    """Photos of each part; empty where split.csv is gone."""
    if parts.SPLIT.exists() and files.digest(parts.SPLIT, "md5") == lock.outputs(stages).get(parts.SPLIT.as_posix()):
        return Counter(row["part"] for row in parts.split_rows(parts.SPLIT))
    with tempfile.TemporaryDirectory() as aside:
        try:
            there = dvc_inside.fetch(parts.SPLIT, Path(aside), commit)
        except UserError:  # a remote that does not answer: the table is of what is here
            there = False
        rows = parts.split_rows(Path(aside) / parts.SPLIT) if there else []
        return Counter(row["part"] for row in rows)


def times(stages: lock.Stages) -> str:
    """Wall time of each stage when it computed these results, of those that did so here."""
    seconds = timing.measured(lock.by_stage(stages))
    known = "  ".join(f"{name} {seconds[name]:.0f} s" for name in STAGES if name in seconds)
    without = ", ".join(name for name in STAGES if name in stages and name not in seconds)
    return "; ".join(
        filter(None, (known and f"time to compute this: {known}", without and f"not measured here: {without}"))
    )
