"""Views: augmented copies of training photos, each fixed by seed, view and photo alone.

Geometry is one affine transform of the coordinates per (photo, view), colour one affine transform of the RGB values, so
that a view is the same wherever and in whatever order it is computed, and costs one resampling however much is drawn.
The defaults are the tutorial's `RandomFlip("horizontal")` and `RandomRotation(0.2)`.
"""

from __future__ import annotations

from functools import reduce

import keras
import numpy as np

from transfer_learning.settings.schema import Augment

GEOMETRY = 8  # columns of a row; further ones are there only where a setting changes colours
# Third number of a generator's seed, so that no quantity moves what another one draws. From 1 on: NumPy fills up seeds
# with zeros, and [seed, view], from which flip and rotation are drawn, is the same seed as [seed, view, 0].
VERTICAL, ZOOM, TRANSLATION, CROP, BRIGHTNESS, CONTRAST, SATURATION, HUE = range(1, 9)
# NTSC: luma, and two axes of colour that are 0 for grey; the same numbers as tf.image.rgb_to_yiq
YIQ = np.array([[0.299, 0.587, 0.114], [0.59590059, -0.27455667, -0.32134392], [0.21153661, -0.52273617, 0.31119955]])


def draw_transforms(photos: int, augment: Augment, *, views: int, size: int, seed: int) -> np.ndarray:
    """Draw the transforms of all views of all training photos; view v is the same however many views there are.

    A quantity that is off draws nothing that another one depends on: its setting changes that quantity alone.

    Args:
        photos: number of training photos.
        augment: ranges to draw from, as conf/augment explains them.
        size: side of the photos in pixels.

    Returns:
        (views, photos, 8) float32, rows (a0, a1, a2, b0, b1, b2, 0, 0): the pixel at (x, y) comes from
        (a0 x + a1 y + a2, b0 x + b1 y + b2), as `keras.ops.image.affine_transform` takes them. With brightness,
        contrast, saturation or hue (views, photos, 19): the same, then 11 columns as `recolour` takes them.
    """
    coloured = bool(augment.brightness or augment.contrast or augment.saturation or augment.hue)
    rows = []
    for view in range(views):
        parts = [_draw_geometry(photos, augment, size=size, seed=[seed, view])]
        if coloured:
            parts.append(_draw_colours(photos, augment, seed=[seed, view]))
        rows.append(np.concatenate(parts, axis=1))
    return np.stack(rows)


def identity(photos: int, *, columns: int) -> np.ndarray:
    """Rows (photos, columns) float32 that leave photos as they are; columns as in `draw_transforms`."""
    row = np.zeros(columns, np.float32)
    row[[0, 4]] = 1
    if columns > GEOMETRY:
        zero, one = np.zeros(1), np.ones(1)
        row[GEOMETRY:] = colours(brightness=zero, contrast=one, saturation=one, hue=zero)[0]
    return np.tile(row, (photos, 1))


def _draw_geometry(photos: int, augment: Augment, *, size: int, seed: list[int]) -> np.ndarray:
    """Crop, mirror, rotate, zoom, then shift: (photos, 8) float32 for one view."""

    def own(quantity: int) -> np.random.Generator:
        return np.random.default_rng([*seed, quantity])

    generator = np.random.default_rng(seed)
    flipped = augment.flip & (generator.random(photos) < 0.5)
    angle = 2 * np.pi * generator.uniform(-augment.rotation, augment.rotation, photos)
    scale, shift = np.ones((photos, 2)), np.zeros((photos, 2))
    matrices = [mirror_and_rotate(flipped, angle, size=size)]
    if augment.vertical_flip:
        up = np.where(own(VERTICAL).random(photos) < 0.5, -1, 1)
        matrices.append(scale_and_shift(np.stack([scale[:, 0], up], axis=1), shift, size=size))
    if augment.zoom:
        factor = own(ZOOM).uniform(1 - augment.zoom, 1 + augment.zoom, (photos, 1))
        matrices.append(scale_and_shift(factor * scale, shift, size=size))
    if augment.translation:
        share = own(TRANSLATION).uniform(-augment.translation, augment.translation, (photos, 2))
        matrices.append(scale_and_shift(scale, share * size, size=size))
    if augment.crop:
        corner, sides = draw_crops(photos, area=1 - augment.crop, aspect=augment.crop_aspect, generator=own(CROP))
        matrices.insert(0, crop(corner, sides, size=size))
    product = reduce(np.matmul, matrices)  # coordinates go from the last image back to the first
    return np.pad(product[:, :2].reshape(photos, 6), ((0, 0), (0, 2))).astype(np.float32)


def _draw_colours(photos: int, augment: Augment, *, seed: list[int]) -> np.ndarray:
    """Colours of one view: (photos, 11) float32."""

    def uniform(quantity: int, middle: float, most: float) -> np.ndarray:
        return np.random.default_rng([*seed, quantity]).uniform(middle - most, middle + most, photos)

    return colours(
        brightness=uniform(BRIGHTNESS, 0, augment.brightness),
        contrast=uniform(CONTRAST, 1, augment.contrast),
        saturation=uniform(SATURATION, 1, augment.saturation),
        hue=2 * np.pi * uniform(HUE, 0, augment.hue),
    )


def draw_crops(
    photos: int, *, area: float, aspect: float, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw random resized crops (Szegedy et al. 2015, "Going deeper with convolutions").

    The logarithm of the ratio of width to height is uniform as far as the crop fits into the photo, where others draw
    again until it does.

    Args:
        area: smallest area, as a share of the photo's, above 0.
        aspect: largest ratio of the sides, from 1.

    Returns:
        Left upper corner and sides, (photos, 2) float64 each, x first, as shares of the photo's side.
    """
    areas = generator.uniform(area, 1, photos)
    most = np.minimum(np.log(aspect), -np.log(areas))
    ratio = np.exp(generator.uniform(-1, 1, photos) * most)
    sides = np.sqrt(np.stack([areas * ratio, areas / ratio], axis=1)).clip(max=1)
    return generator.random((photos, 2)) * (1 - sides), sides


def mirror_and_rotate(flipped: np.ndarray, angle: np.ndarray, *, size: int) -> np.ndarray:
    """Rotate about the centre after mirroring left to right.

    Args:
        flipped: (n,) bool.
        angle: (n,) radians.

    Returns:
        (n, 3, 3) float64: takes a pixel's (x, y, 1) to the place that it comes from.
    """
    centre = (size - 1) / 2
    cos, sin = np.cos(angle), np.sin(angle)
    x = np.stack([cos, -sin, centre - centre * cos + centre * sin], axis=1)  # (n, 3)
    y = np.stack([sin, cos, centre - centre * sin - centre * cos], axis=1)  # (n, 3)
    mirrored = np.stack([-x[:, 0], -x[:, 1], (size - 1) - x[:, 2]], axis=1)  # x becomes size - 1 - x
    last = np.broadcast_to([0.0, 0.0, 1.0], x.shape)
    return np.stack([np.where(flipped[:, None], mirrored, x), y, last], axis=1)


def scale_and_shift(scale: np.ndarray, shift: np.ndarray, *, size: int) -> np.ndarray:
    """Scale about the centre, then shift.

    Args:
        scale: (n, 2) in x and y: above 1 the photo becomes smaller, below 0 it is mirrored.
        shift: (n, 2) pixels to the right and down.

    Returns:
        (n, 3, 3) float64, as `mirror_and_rotate` does.
    """
    matrices = np.zeros((len(scale), 3, 3))
    matrices[:, [0, 1], [0, 1]] = scale
    matrices[:, :2, 2] = (size - 1) / 2 * (1 - scale) - shift
    matrices[:, 2, 2] = 1
    return matrices


def crop(corner: np.ndarray, sides: np.ndarray, *, size: int) -> np.ndarray:
    """Take a part of the photo and resize it to the whole; (n, 2) each, as `draw_crops` gives them.

    Returns:
        (n, 3, 3) float64, as `mirror_and_rotate` does.
    """
    return scale_and_shift(sides, size * ((1 - sides) / 2 - corner), size=size)


def colours(brightness: np.ndarray, contrast: np.ndarray, saturation: np.ndarray, hue: np.ndarray) -> np.ndarray:
    """Put what changes colours into the rows that `recolour` takes.

    Args:
        brightness: (n,) in [-1, 1], added, as a share of 255.
        contrast: (n,) factor of the distance from the mean of the photo's channel.
        saturation: (n,) factor of the distance from the grey of the same luma; 0 gives a grey photo.
        hue: (n,) radians, rotation about the axis of greys in YIQ.

    Returns:
        (n, 11) float32: contrast, 255 brightness, and the 3 x 3 matrix of saturation and hue, row by row.
    """
    cos, sin = saturation * np.cos(hue), saturation * np.sin(hue)
    change = np.zeros((len(hue), 3, 3))
    change[:, 1:, 1:] = np.stack([cos - 1, -sin, sin, cos - 1], axis=1).reshape(-1, 2, 2)
    matrix = np.eye(3) + np.linalg.inv(YIQ) @ change @ YIQ  # exactly the identity where nothing changes
    return np.column_stack([contrast, 255 * brightness, matrix.reshape(-1, 9)]).astype(np.float32)


def recolour(photos: keras.KerasTensor, rows: keras.KerasTensor) -> keras.KerasTensor:
    """Change brightness, contrast, saturation and hue; their order makes no difference, as only the end is clipped.

    Args:
        photos: (n, size, size, 3) float32 in [0, 255].
        rows: (n, 11) float32 from `colours`.

    Returns:
        (n, size, size, 3) float32, clipped to [0, 255].
    """
    ops = keras.ops
    contrast, brightness = (rows[:, column, None, None] for column in (0, 1))  # (n, 1, 1)
    matrix = ops.transpose(ops.reshape(rows[:, 2:], (-1, 3, 3)), (0, 2, 1))  # for pixels as rows
    mean = ops.mean(photos, axis=(1, 2))[:, None]  # (n, 1, 3)
    pixels = ops.reshape(photos, (-1, photos.shape[1] * photos.shape[2], 3))
    pixels = pixels @ (contrast * matrix) + ((1 - contrast) * (mean @ matrix) + brightness)
    return ops.reshape(ops.clip(pixels, 0, 255), (-1, *photos.shape[1:]))


def apply(photos: keras.KerasTensor, rows: keras.KerasTensor) -> keras.KerasTensor:
    """Transform photos, bilinearly, reflecting what lies outside, as the tutorial's layers do by default.

    Args:
        photos: (n, size, size, 3) in [0, 255].
        rows: (n, 8) or (n, 19) from `draw_transforms`; colours change in the latter case only.

    Returns:
        (n, size, size, 3) float32 in [0, 255].
    """
    photos = keras.ops.cast(photos, "float32")
    coloured = rows.shape[1] > GEOMETRY
    photos = keras.ops.image.affine_transform(
        photos,
        rows[:, :GEOMETRY] if coloured else rows,
        interpolation="bilinear",
        fill_mode="reflect",
        data_format="channels_last",
    )
    return recolour(photos, rows[:, GEOMETRY:]) if coloured else photos
