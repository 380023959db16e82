"""What a run holds, from the files of an experiment."""

from __future__ import annotations

import shutil
from pathlib import Path

from support.clone import Clone

from transfer_learning.tracking import contents


def test_what_fine_tuning_starts_from_is_no_epoch_of_the_curve(demo_clone: Clone, tmp_path: Path) -> None:
    """With early stopping its history begins with the row of the epoch before, which is the frozen phase's."""
    for name in ("params.yaml", "dvc.yaml", "dvc.lock"):
        shutil.copy(demo_clone.folder / name, tmp_path)
    shutil.copytree(demo_clone.folder / "reports", tmp_path / "reports")

    def points() -> list[contents.Point]:
        return contents.read("finetune", "finetune", folder=tmp_path, name="any", baseline="0" * 40).points

    before = points()
    tuned = tmp_path / "reports/finetune/history.csv"
    head, *rows = tuned.read_text().splitlines()
    tuned.write_text("\n".join([head, "6,0.5,0.5,0.5,0.5", *rows]) + "\n")
    assert points() == before
    assert len(before) == 13 * 5
