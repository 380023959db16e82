"""Views: augmented copies of training photos, each fixed by seed, view and photo alone.

What the tutorial does with `RandomFlip("horizontal")` and `RandomRotation(0.2)` drawn anew each epoch, here as one
affine transform per (photo, view), so that a view is the same wherever and in whatever order it is computed.
"""

from __future__ import annotations

import keras
import numpy as np


def draw_transforms(photos: int, *, views: int, size: int, flip: bool, rotation: float, seed: int) -> np.ndarray:
    """Draw the transforms of all views of all training photos; view v is the same however many views there are.

    Args:
        photos: number of training photos.
        size: side of the photos in pixels.
        rotation: largest angle, as a fraction of a full turn.

    Returns:
        (views, photos, 8) float32, rows (a0, a1, a2, b0, b1, b2, 0, 0): the pixel at (x, y) comes from
        (a0 x + a1 y + a2, b0 x + b1 y + b2), as `keras.ops.image.affine_transform` takes them.
    """
    rows = []
    for view in range(views):
        generator = np.random.default_rng([seed, view])
        flipped = flip & (generator.random(photos) < 0.5)
        angle = 2 * np.pi * generator.uniform(-rotation, rotation, photos)
        rows.append(transforms(flipped, angle, size=size))
    return np.stack(rows)


def transforms(flipped: np.ndarray, angle: np.ndarray, *, size: int) -> np.ndarray:
    """Rotate about the centre after mirroring left to right.

    Args:
        flipped: (n,) bool.
        angle: (n,) radians.

    Returns:
        (n, 8) float32, see `draw_transforms`.
    """
    centre = (size - 1) / 2
    cos, sin = np.cos(angle), np.sin(angle)
    zeros = np.zeros_like(cos)
    x = np.stack([cos, -sin, centre - centre * cos + centre * sin], axis=1)  # (n, 3)
    y = np.stack([sin, cos, centre - centre * sin - centre * cos], axis=1)  # (n, 3)
    mirrored = np.stack([-x[:, 0], -x[:, 1], (size - 1) - x[:, 2]], axis=1)  # x becomes size - 1 - x
    x = np.where(flipped[:, None], mirrored, x)
    return np.concatenate([x, y, zeros[:, None], zeros[:, None]], axis=1).astype(np.float32)


def apply(photos: keras.KerasTensor, rows: keras.KerasTensor) -> keras.KerasTensor:
    """Transform photos, bilinearly, reflecting what lies outside, as the tutorial's layers do by default.

    Args:
        photos: (n, size, size, 3) in [0, 255].
        rows: (n, 8) from `draw_transforms`.

    Returns:
        (n, size, size, 3) float32 in [0, 255].
    """
    photos = keras.ops.cast(photos, "float32")
    return keras.ops.image.affine_transform(
        photos, rows, interpolation="bilinear", fill_mode="reflect", data_format="channels_last"
    )
