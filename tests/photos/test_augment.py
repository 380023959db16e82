"""Views: the tutorial's are what they were to the byte, and each kind of change equals a reference of its own."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from support.clone import ROOT

from transfer_learning.core.errors import UserError
from transfer_learning.photos import augment, decode
from transfer_learning.photos.inventory import Photos
from transfer_learning.photos.parts import Part
from transfer_learning.settings import params
from transfer_learning.settings.schema import Augment
from transfer_learning.training.from_photos import from_photos

SIZE = 40
OPTIONS = {path.stem: path for path in (ROOT / "conf" / "augment").glob("*.yaml")}
EVERYTHING = {
    "flip": True, "vertical_flip": True, "rotation": 0.5, "zoom": 0.9, "translation": 0.5, "crop": 0.95,
    "crop_aspect": 2.0, "brightness": 1.0, "contrast": 1.0, "saturation": 1.0, "hue": 0.5,
}  # fmt: skip


def option(name: str, **changed: Any) -> Augment:
    values = params.read_yaml(OPTIONS["none"]) | params.read_yaml(OPTIONS[name]) | changed
    return Augment.model_validate({key: values[key] for key in values if key != "defaults"})


def pixels(n: int = 6, low: float = 0, high: float = 255) -> np.ndarray:
    return np.random.default_rng(0).uniform(low, high, (n, SIZE, SIZE, 3)).astype(np.float32)


def draw(augmentation: Augment, *, n: int = 500, views: int = 10, seed: int = 1) -> np.ndarray:
    return augment.draw_transforms(n, augmentation, views=views, size=SIZE, seed=seed)


def from_matrices(matrices: np.ndarray) -> np.ndarray:
    return np.pad(matrices[:, :2].reshape(-1, 6), ((0, 0), (0, 2))).astype(np.float32)


def coloured(
    photos: np.ndarray, *, brightness: Any = 0.0, contrast: Any = 1.0, saturation: Any = 1.0, hue: Any = 0.0
) -> np.ndarray:
    values = (np.broadcast_to(value, len(photos)) for value in (brightness, contrast, saturation, hue))
    return np.asarray(augment.recolour(photos, augment.colours(*values)))


@pytest.mark.parametrize(
    ("name", "digest"),
    [  # computed when flip and rotation were all there was
        ("tutorial", "e015b890d1e71d2690c241a4ca434a8d4c0c41cdab53b77c1456c7e228286fe2"),
        ("none", "17fb309ef050f6dac6c15359527412b85954ddc2b8f33d409261c374acf24072"),
    ],
)
def test_rows_of_the_tutorial_and_of_none_are_what_they_were_to_the_byte(name: str, digest: str) -> None:
    rows = augment.draw_transforms(500, option(name), views=10, size=160, seed=42)
    assert rows.shape == (10, 500, 8)  # and no columns for colours
    assert hashlib.sha256(rows.tobytes()).hexdigest() == digest


def test_views_equal_the_keras_layers_of_the_tutorial() -> None:
    rotate = keras.layers.RandomRotation(0.2, seed=3)
    drawn = rotate.get_random_transformation(pixels(), seed=3)
    flipped = np.array([True, False] * 3)
    mirrored = np.where(flipped[:, None, None, None], pixels()[:, :, ::-1], pixels())
    reference = np.asarray(rotate.transform_images(mirrored, drawn))
    matrices = augment.mirror_and_rotate(flipped, np.deg2rad(np.asarray(drawn["angle"])), size=SIZE)
    np.testing.assert_allclose(augment.apply(pixels(), from_matrices(matrices)), reference, atol=0.05)


def test_zoom_and_translation_equal_the_keras_layers() -> None:
    zoom = keras.layers.RandomZoom(0.5, 0.3, seed=3)
    drawn = zoom.get_random_transformation(pixels(), seed=3)
    scale = np.concatenate([np.asarray(drawn["width_zoom"]), np.asarray(drawn["height_zoom"])], axis=1)
    rows = from_matrices(augment.scale_and_shift(scale, np.zeros((6, 2)), size=SIZE))
    np.testing.assert_allclose(augment.apply(pixels(), rows), zoom.transform_images(pixels(), drawn), atol=0.05)

    move = keras.layers.RandomTranslation(0.4, 0.2, seed=3)
    drawn = move.get_random_transformation(pixels(), seed=3)
    rows = from_matrices(augment.scale_and_shift(np.ones((6, 2)), np.asarray(drawn["translations"]), size=SIZE))
    np.testing.assert_allclose(augment.apply(pixels(), rows), move.transform_images(pixels(), drawn), atol=0.05)


def test_vertical_flip_turns_half_of_the_photos_upside_down() -> None:
    rows = draw(option("none", vertical_flip=True), views=1)[0]
    up = rows[:, 4] < 0
    assert 0.4 < up.mean() < 0.6
    expected = np.where(up[:6, None, None, None], pixels()[:, ::-1], pixels())
    np.testing.assert_allclose(augment.apply(pixels(), rows[:6]), expected, atol=1e-3)


def test_crop_equals_pillow() -> None:
    corner, sides = augment.draw_crops(6, area=0.1, aspect=2, generator=np.random.default_rng(2))
    taken = augment.apply(pixels(), from_matrices(augment.crop(corner, sides, size=SIZE)))
    for photo, result, (left, top), (width, height) in zip(pixels(), taken, SIZE * corner, SIZE * sides, strict=True):
        box = (left, top, left + width, top + height)
        for channel in range(3):
            image = Image.fromarray(photo[..., channel])  # mode F
            expected = np.asarray(image.resize((SIZE, SIZE), Image.Resampling.BILINEAR, box=box))
            np.testing.assert_allclose(result[..., channel], expected, atol=0.05)


def test_all_geometry_at_once_equals_one_after_the_other() -> None:
    changed = {"crop": 0.4, "flip": True, "rotation": 0.1, "vertical_flip": True, "zoom": 0.1, "translation": 0.05}
    y, x = np.mgrid[:SIZE, :SIZE] / SIZE
    smooth = np.stack([x * y, np.sin(2 * x + y), x - y], axis=-1)[None].repeat(6, axis=0) * 100
    together = augment.apply(smooth, draw(option("none", **changed, crop_aspect=1.3), n=6, views=1)[0])
    for names in (("crop",), ("flip", "rotation"), ("vertical_flip",), ("zoom",), ("translation",)):
        one = option("none", **{name: changed[name] for name in names}, crop_aspect=1.3)
        smooth = augment.apply(smooth, draw(one, n=6, views=1)[0])
    inside = slice(10, 30)  # what lies outside is reflected once or several times
    np.testing.assert_allclose(together[:, inside, inside], smooth[:, inside, inside], atol=0.2)


def test_colours_equal_the_keras_layers() -> None:
    for layer, name, setting, convert in (
        (keras.layers.RandomContrast(0.9, seed=3), "contrast_factor", "contrast", lambda drawn: drawn),
        (keras.layers.RandomBrightness(0.8, seed=3), "rgb_delta", "brightness", lambda drawn: drawn / 255),
        (keras.layers.RandomColorDegeneration(0.9, seed=3), "factor", "saturation", lambda drawn: 1 - drawn),
    ):
        drawn = layer.get_random_transformation(pixels(), seed=3)
        values = convert(np.asarray(drawn[name]).ravel())
        assert np.ptp(values) > 0.3
        reference = layer.transform_images(tf.constant(pixels()), drawn)
        np.testing.assert_allclose(coloured(pixels(), **{setting: values}), reference, atol=0.1)


def test_hue_equals_a_rotation_in_yiq_and_all_colours_at_once_one_after_the_other() -> None:
    photos, angle, saturation = pixels(low=100, high=150), np.linspace(-3, 3, 6), np.linspace(0.5, 1.5, 6)
    yiq = tf.image.rgb_to_yiq(photos).numpy()
    turned = (yiq[..., 1] + 1j * yiq[..., 2]) * (saturation * np.exp(1j * angle))[:, None, None]
    rotated = tf.image.yiq_to_rgb(np.stack([yiq[..., 0], turned.real, turned.imag], axis=-1).astype(np.float32))
    result = coloured(photos, saturation=saturation, hue=angle)
    np.testing.assert_allclose(result, rotated, atol=0.05)  # TensorFlow's way back is rounded to seven digits
    last = tf.image.adjust_brightness(tf.image.adjust_contrast(rotated, 1.2), -0.1 * 255)
    result = coloured(photos, brightness=-0.1, contrast=1.2, saturation=saturation, hue=angle)
    np.testing.assert_allclose(result, last, atol=0.05)


def test_result_stays_within_the_range_of_pixels() -> None:
    result = np.asarray(augment.apply(pixels().astype(np.uint8), draw(Augment(**EVERYTHING), n=6, views=1)[0]))
    assert result.dtype == np.float32
    assert (result.min(), result.max()) == (0, 255)


@pytest.mark.parametrize("name", [*OPTIONS, "everything"])
def test_views_are_fixed_by_seed_and_number(name: str) -> None:
    augmentation = Augment(**EVERYTHING) if name == "everything" else option(name)
    ten = draw(augmentation)
    np.testing.assert_array_equal(ten[:3], draw(augmentation, views=3))
    if name != "none":
        assert not np.array_equal(ten, draw(augmentation, seed=2))
        assert not np.array_equal(ten[0], ten[1])


def test_draws_stay_within_their_ranges_and_come_near_to_them() -> None:
    rows = draw(option("none", flip=True, rotation=0.2))
    angles = np.degrees(np.arctan2(rows[..., 3], rows[..., 4]))
    assert 70 < np.abs(angles).max() <= 72
    mirrored = rows[..., 0] * rows[..., 4] - rows[..., 1] * rows[..., 3] < 0  # determinant
    assert 0.47 < mirrored.mean() < 0.53
    zoomed = draw(option("none", zoom=0.3))
    np.testing.assert_array_equal(zoomed[..., 0], zoomed[..., 4])
    shifted = draw(option("none", translation=0.25)) / SIZE
    drawn = draw(option("none", brightness=0.1, contrast=0.4, saturation=0.3, hue=0.05))
    yiq = augment.YIQ @ drawn[..., 10:].reshape(-1, 3, 3) @ np.linalg.inv(augment.YIQ)
    turn = yiq[:, 1, 1] + 1j * yiq[:, 2, 1]
    for values, low, high in (
        (zoomed[..., 0], 0.7, 1.3),
        (shifted[..., 2], -0.25, 0.25),
        (shifted[..., 5], -0.25, 0.25),
        (drawn[..., 8], 0.6, 1.4),
        (drawn[..., 9], -25.5, 25.5),
        (np.abs(turn), 0.7, 1.3),
        (np.angle(turn) / (2 * np.pi), -0.05, 0.05),
    ):
        near = 0.01 * (high - low)
        assert low - 1e-5 <= values.min() < low + near
        assert high - near < values.max() <= high + 1e-5


def test_crops_lie_within_the_photo_and_use_the_whole_range() -> None:
    corner, sides = augment.draw_crops(5000, area=0.08, aspect=4 / 3, generator=np.random.default_rng(0))
    areas, ratios = sides.prod(axis=1), sides[:, 0] / sides[:, 1]
    assert corner.min() >= 0
    assert (corner + sides).max() <= 1 + 1e-12
    assert 0.08 <= areas.min() < 0.085 < 0.99 < areas.max() <= 1
    assert 3 / 4 - 1e-9 <= ratios.min() < 0.76
    assert 1.32 < ratios.max() <= 4 / 3 + 1e-9
    np.testing.assert_allclose((corner / (1 - sides)).mean(axis=0), 0.5, atol=0.02)


def test_a_setting_changes_its_own_quantity_alone_and_all_are_independent() -> None:
    tutorial, colours = draw(option("tutorial")), {"brightness": 0.1, "contrast": 0.4, "saturation": 0.3, "hue": 0.05}
    np.testing.assert_array_equal(draw(option("tutorial", **colours))[..., :8], tutorial)
    moved = draw(option("none", zoom=0.3, translation=0.2))
    np.testing.assert_array_equal(moved[..., 0], draw(option("none", zoom=0.3))[..., 0])
    columns = {"flip": 0, "vertical_flip": 4, "rotation": 3, "zoom": 0, "translation": 2, "crop": 0}
    columns |= {"contrast": 8, "brightness": 9, "saturation": 10, "hue": 11}
    drawn = [
        draw(option("none", **{key: key.endswith("flip") or EVERYTHING[key] / 5}))[..., at].ravel()
        for key, at in columns.items()
    ]
    assert np.abs(np.corrcoef(drawn) - np.eye(10)).max() < 0.06  # not the same random numbers
    shifted = draw(option("none", translation=0.2))
    assert abs(np.corrcoef(shifted[..., 2].ravel(), shifted[..., 5].ravel())[0, 1]) < 0.06


def test_none_leaves_photos_as_they_are() -> None:
    np.testing.assert_array_equal(augment.apply(pixels(), draw(option("none"), n=6, views=1)[0]), pixels())
    for columns in (8, 19):
        np.testing.assert_array_equal(augment.apply(pixels(), augment.identity(6, columns=columns)), pixels())


def test_photos_for_fine_tuning_are_the_same_views(tmp_path: Path) -> None:
    for number, photo in enumerate(pixels(3).astype(np.uint8)):
        Image.fromarray(photo).save(tmp_path / f"{number}.png")
    part = Part([Path(f"{number}.png") for number in range(3)], np.zeros(3, np.uint8))
    rows = draw(option("strong"), n=3, views=2)
    with ThreadPoolExecutor(1) as pool:
        batch = from_photos(part, Photos(tmp_path), size=SIZE, pool=pool, transforms=rows)(1, np.array([2, 0]))
    plain = np.stack([decode.load(tmp_path / f"{number}.png", size=SIZE) for number in (2, 0)])
    np.testing.assert_array_equal(batch, augment.apply(plain, rows[1, [2, 0]]))
    assert np.abs(batch - plain).mean() > 5


@pytest.mark.parametrize("key", [key for key, value in EVERYTHING.items() if not isinstance(value, bool)])
def test_a_value_out_of_range_is_named_and_the_documented_range_is_allowed(key: str) -> None:
    values = params.read_yaml(ROOT / "params.yaml")
    low, high = (1, 2) if key == "crop_aspect" else (0, EVERYTHING[key])
    said = f"a number from {low} to {high:g}"
    assert OPTIONS["none"].read_text().split(f"\n{key}:")[0].replace("\n#:", "").endswith(f" Allowed: {said}.")
    for value in (high + 0.01, low - 0.01):
        wrong = values | {"augment": values["augment"] | {key: value}}
        with pytest.raises(UserError, match=rf"^params\.yaml: augment\.{key} = {value}: must be {said}$"):
            params.check(wrong)
    for value in (low, high):
        params.check(values | {"augment": values["augment"] | {key: value}})
