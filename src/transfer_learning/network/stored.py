"""Features as featurize stores them in data/features, and embeddings as probe does in data/embeddings.

    train_activations.npy  (views, n, h, w, c) float16: the activations at the boundary
    train_pooled.npy       (views, n, channels) float32: the whole backbone's output, averaged over space
    train_labels.npy       (n,) uint8, above 256 classes uint16
    validation_*.npy       the same with one view, not augmented

    train.npy, validation.npy, test.npy  (n, channels) float32: the same output for every photo as it is

n counts the photos of a part in the order of split.csv; the labels are indices into the sorted classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

FOLDER, EMBEDDINGS = Path("data/features"), Path("data/embeddings")
KINDS = ("activations", "pooled")


class Stored:
    """An array on disk, read row by row with NumPy's indexing.

    It is mapped anew for each read: what was read counts as this process's memory as long as it is mapped.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        array = np.load(path, mmap_mode="r")
        self.shape, self.dtype = array.shape, array.dtype

    def __getitem__(self, rows: Any) -> np.ndarray:
        return np.array(np.load(self.path, mmap_mode="r")[rows])


@dataclass(frozen=True)
class Features:
    """Features of one part; shapes as in the module's docstring."""

    activations: Stored
    pooled: Stored
    labels: np.ndarray

    @property
    def classes(self) -> int:
        """Number of classes: every class has photos in every part."""
        return int(self.labels.max()) + 1

    @property
    def views(self) -> int:
        return self.pooled.shape[0]


def read(folder: Path, part: str) -> Features:
    """Open the features of `train` or `validation`."""
    activations, pooled = (Stored(folder / f"{part}_{kind}.npy") for kind in KINDS)
    return Features(activations, pooled, np.load(folder / f"{part}_labels.npy"))


def embeddings(part: str, folder: Path = EMBEDDINGS) -> np.ndarray:
    """Embeddings (n, channels) float32 of the photos of a part: train, validation or test."""
    return np.asarray(np.load(folder / f"{part}.npy"))
