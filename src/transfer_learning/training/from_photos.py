"""Training from the photos themselves: where layers are trained that lie below what featurize has stored."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from transfer_learning.photos import augment, inventory
from transfer_learning.photos.decode import load_batch
from transfer_learning.photos.parts import SPLIT, Part, read_split
from transfer_learning.settings.schema import Settings
from transfer_learning.training.inputs import Batch, Examples, in_order


def examples(settings: Settings, pool: ThreadPoolExecutor) -> Examples:
    """Examples whose inputs are photos in [0, 255], of the views that featurize computes its features of."""
    photos, size, views = inventory.read(Path("data/raw")), settings.images.size, settings.features.views
    classes, parts = read_split(SPLIT)
    train, validation = parts["train"], parts["validation"]
    print("fine_tune_at is not above model.boundary: training from the photos, slower than from stored activations")
    options: dict[str, int] = {"views": views, "size": size, "seed": settings.seed}
    transforms = augment.draw_transforms(len(train.labels), settings.augment, **options)
    plain = in_order(from_photos(validation, photos, size=size, pool=pool), validation.labels, classes=len(classes))
    augmented = from_photos(train, photos, size=size, pool=pool, transforms=transforms)
    return Examples(augmented, train.labels, plain, len(classes), views)


def from_photos(
    part: Part, photos: inventory.Photos, *, size: int, pool: ThreadPoolExecutor, transforms: np.ndarray | None = None
) -> Batch:
    """Batches of photos in [0, 255], decoded anew each time; augmented where `transforms` of all views are given."""

    def batch(view: int, indices: np.ndarray) -> np.ndarray:
        pixels = load_batch(photos.chosen(part.paths[index] for index in indices), size=size, pool=pool)
        if transforms is None:
            return pixels.astype(np.float32)
        return np.asarray(augment.apply(pixels, transforms[view, indices]))

    return batch
