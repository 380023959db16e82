"""Near-duplicates: copies are found however they were saved, mirrored or cropped; photos with the same sky are not."""

from __future__ import annotations

import io
import time
import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance

from transfer_learning.photos import decode
from transfer_learning.reporting import alignment, near_duplicates

NUMBER = 12


def picture(seed: int) -> Image.Image:
    """Blurred noise with detail, 160 x 120, as photos have."""
    generator = np.random.default_rng([3, seed])
    coarse, fine = (
        Image.fromarray(generator.integers(0, 256, (size, size, 3), np.uint8)).resize(
            (160, 120), Image.Resampling.BICUBIC
        )
        for size in (6, 20)
    )
    return Image.blend(coarse, fine, 0.4)


def sky(seed: int) -> Image.Image:
    """The same sky over the same ground with other houses before it: difference hashes are near each other."""
    generator = np.random.default_rng([4, seed])
    y, x = np.mgrid[0:120, 0:160]
    horizon = generator.integers(62, 68)
    levels = np.where(y < horizon, 220 - y, 90 + y / 4) - np.abs(x - 80) / 4
    image = Image.fromarray(np.clip(levels[..., None] + [0, 10, 30], 0, 255).astype(np.uint8))
    for _ in range(2):
        left, top, wide, high = generator.integers((0, 50, 15, 15), (130, 90, 45, 45)).tolist()
        colour = tuple(generator.integers(0, 200, 3).tolist())
        ImageDraw.Draw(image).rectangle((left, top, left + wide, top + high), fill=colour)
    return image


def as_jpeg(image: Image.Image, quality: int) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file)


def found(images: list[Image.Image], groups: list[str]) -> list[near_duplicates.Pair]:
    def read(wanted: list[int], size: int) -> np.ndarray:
        return np.stack([decode.resize(np.asarray(images[index].convert("RGB")), size=size) for index in wanted])

    small = read(list(range(len(images))), near_duplicates.THUMBNAIL)
    return near_duplicates.find(small, np.array(groups), lambda wanted: read(wanted, near_duplicates.LARGER))


@pytest.mark.parametrize(
    ("change", "mirrored"),
    [
        (lambda image: as_jpeg(image.resize((96, 72)), 50), False),
        (lambda image: image.resize((200, 200)), False),
        (lambda image: image.crop((10, 2, 156, 112)), False),
        (lambda image: ImageEnhance.Brightness(image).enhance(0.75), False),
        (lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT), True),
    ],
    ids=["smaller and quality 50", "another shape", "cropped", "darker", "mirrored"],
)
def test_a_copy_is_found_and_no_other_photo(change: Callable[[Image.Image], Image.Image], mirrored: bool) -> None:
    originals = [picture(seed) for seed in range(NUMBER)]
    pairs = found([*originals, *map(change, originals)], ["train"] * NUMBER + ["test"] * NUMBER)
    assert sorted(pair[:2] for pair in pairs) == [(index, NUMBER + index) for index in range(NUMBER)]
    assert {pair.mirrored for pair in pairs} == {mirrored}
    similarities = [pair.similarity for pair in pairs]
    assert similarities == sorted(similarities, reverse=True)
    assert 0.85 <= similarities[-1] <= similarities[0] <= 1.0001


def test_skies_that_differ_are_not_the_same_but_a_copy_of_one_is() -> None:
    skies = [sky(seed) for seed in range(20)]
    assert found(skies, ["train", "test"] * 10) == []
    (pair,) = found([*skies, as_jpeg(skies[4].resize((96, 72)), 50)], ["train"] * 20 + ["test"])
    assert pair[:2] == (4, 20)


def test_photos_of_one_colour_are_the_same_where_the_colour_is() -> None:
    colours = [(200, 30, 30), (30, 200, 30), (30, 30, 200), (120, 120, 120), (132, 132, 132), (0, 0, 0), (200, 30, 30)]
    plain = [Image.new("RGB", (50, 40), colour) for colour in colours]
    (pair,) = found(plain, ["train"] * 6 + ["test"])
    assert pair[:2] == (0, 6)
    assert pair.similarity == pytest.approx(1)


def test_only_photos_of_different_groups_are_pairs_and_few_photos_are_no_trouble() -> None:
    one = picture(0)
    assert found([one, one], ["train", "train"]) == []
    assert [pair[:2] for pair in found([one, one], ["train", "test"])] == [(0, 1)]
    assert found([one], ["train"]) == []


def test_the_placement_is_that_of_the_crop() -> None:
    whole = picture(1).resize((128, 128))
    part = whole.crop((8, 4, 120, 116)).resize((64, 64), Image.Resampling.BILINEAR)
    fixed, moving = (
        alignment.smooth(np.asarray(image, np.float32)[None] @ alignment.GREY, 1)
        for image in (part, whole.resize((64, 64), Image.Resampling.BILINEAR))
    )
    place = alignment.align(fixed, moving, steps=12)
    assert place.scale[0] == pytest.approx([112 / 128, 112 / 128], abs=0.01)
    assert place.shift[0] == pytest.approx([0, -4 / 64], abs=0.01)


@pytest.mark.parametrize("alike", [False, True])
def test_descriptors_of_many_photos_take_bounded_memory(alike: bool) -> None:
    number = 3000
    described = np.random.default_rng(2).normal(size=(1 if alike else number, 12, 12)).astype(np.float32)
    described = np.broadcast_to(described / np.linalg.norm(described, axis=(1, 2), keepdims=True), (number, 12, 12))
    described = np.ascontiguousarray(described)
    groups = np.array(["train", "train", "test"] * (number // 3))
    tracemalloc.start()
    started = time.perf_counter()
    pairs, _ = near_duplicates.candidates(described, groups)
    seconds, peak = time.perf_counter() - started, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(pairs) <= 2 * near_duplicates.NEIGHBOURS * number // 3
    assert len(pairs) >= (near_duplicates.NEIGHBOURS * number // 3 if alike else 0)
    assert seconds < 30
    assert peak < 20e6
