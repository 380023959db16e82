"""Folders of photos as people have them, for the tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from transfer_learning.ingest.drawn import KINDS, draw

CLASSES = ("Disc", "Kreuz groß", "バー", "ring $5", "tri, angle")
EACH = 24


def draw_folder(folder: Path, each: int = EACH, classes: tuple[str, ...] = CLASSES) -> Path:
    """Class folders with names in several scripts, nested, with suffixes in any case, and a file that is no photo."""
    for kind, name in zip(KINDS, classes, strict=False):
        inner = folder / name / "deeper down"
        inner.mkdir(parents=True)
        for index in range(each):
            picture = draw(kind, size=64, generator=np.random.default_rng([KINDS.index(kind), index]))
            target = inner / f"{index} a.PNG" if index % 2 else folder / name / f"Foto {index}.JPeG"
            picture.save(target, format="PNG" if index % 2 else "JPEG")
    (folder / "notes.txt").write_text("no photo")
    return folder
