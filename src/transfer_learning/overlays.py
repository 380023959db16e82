"""Grad-CAM overlays of people's photos as PNG files in a folder."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from transfer_learning import explanations, photos
from transfer_learning.errors import UserError
from transfer_learning.files import written_aside
from transfer_learning.predictor import Predictor

LONGEST = 1024  # pixels of an overlay's longer side; a smaller photo keeps its size
LETTERS = 180  # bytes of a photo's name in that of its overlay: file systems take 255, and a suffix comes on top


class OverlayFolder:
    """A folder for overlays, made where it is missing. Those of an earlier call are replaced, photos given are not.

    Args:
        given: the photos of this call.

    Raises:
        UserError: the folder cannot be made, or nothing can be written there.
    """

    def __init__(self, folder: Path, given: Sequence[Path]) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass  # before the model is loaded, and hundreds of photos are predicted
        except OSError as error:
            raise UserError(f"--overlay {folder}: no files can be written there ({error.strerror})") from None
        self.folder = folder
        self._taken = {_key(path) for path in given}

    def write(
        self, predictor: Predictor, paths: Sequence[Path], pixels: np.ndarray, names: Sequence[str]
    ) -> list[Path]:
        """Write one overlay per photo, at the photo's own proportions.

        Args:
            pixels: (n, size, size, 3) uint8, the photos as the model takes them.
            names: of the class whose evidence is shown, one a photo.

        Returns:
            The files written, in order.
        """
        classes = np.array([predictor.classes.index(name) for name in names])
        written = []
        for path, heatmap in zip(paths, explanations.heatmaps(predictor.model, pixels, classes), strict=True):
            target = self._free(path.stem)
            seen = explanations.overlay(photos.load_whole(path, longest=LONGEST, bound=predictor.bound), heatmap)
            try:
                with written_aside(target) as aside:
                    Image.fromarray(seen).save(aside, format="PNG")
            except OSError as error:
                raise UserError(f"{target} cannot be written: {error.strerror}") from None
            written.append(target)
        return written

    def _free(self, stem: str) -> Path:
        """A path for the overlay of a photo, numbered where photos of one call have the same name."""
        short = stem.encode(errors="surrogateescape")[:LETTERS].decode(errors="ignore")
        number = 1
        while True:
            path = self.folder / (f"{short}_overlay.png" if number == 1 else f"{short}_overlay_{number}.png")
            if _key(path) not in self._taken:
                self._taken.add(_key(path))
                return path
            number += 1


def _key(path: Path) -> str:
    return str(path.resolve()).casefold()  # some file systems take Cat.png and cat.png for one file
