"""Near-duplicates: copies in another size, format or quality are found, other photos are not."""

from __future__ import annotations

import io
import time
import tracemalloc
from itertools import combinations

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from transfer_learning.ingest import drawn
from transfer_learning.reporting import near_duplicates


def grey(images: list[Image.Image]) -> np.ndarray:
    shape = (near_duplicates.WIDTH, near_duplicates.HEIGHT)
    return np.stack([np.asarray(image.convert("L").resize(shape, Image.Resampling.BILINEAR)) for image in images])


def scenes(number: int) -> list[Image.Image]:
    """Pictures with light and dark places, as photos have: blurred noise with a shape on it."""
    pictures = []
    for index in range(number):
        generator = np.random.default_rng([3, index])
        ground = Image.fromarray(generator.integers(0, 256, (6, 6, 3), np.uint8)).resize((200, 150))
        shape = drawn.draw(drawn.KINDS[index % 10], size=80, generator=generator)
        ground.paste(shape, tuple(generator.integers(0, 70, 2).tolist()))
        pictures.append(ground)
    return pictures


def as_jpeg(image: Image.Image, quality: int) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file)


def test_copies_are_found_and_other_pictures_are_not() -> None:
    originals = scenes(100)
    copies = {
        "encoded": [as_jpeg(image, 40) for image in originals],
        "smaller": [image.resize((100, 75)) for image in originals],
        "larger, in another shape": [as_jpeg(image.resize((400, 400)), 80) for image in originals],
        "brighter": [ImageEnhance.Brightness(image).enhance(0.8) for image in originals],
    }
    for kind, images in copies.items():
        hashes = near_duplicates.difference_hashes(grey(originals + images))
        assert near_duplicates.near_duplicates(hashes, None, 6) == [(i, 100 + i) for i in range(100)], kind


def test_hash_has_a_bit_for_each_pixel_that_is_darker_than_the_next() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 8, 9), np.uint8)
    expected = [
        int("".join("1" if row[x] < row[x + 1] else "0" for row in picture for x in range(8)), 2)
        for picture in pixels.tolist()
    ]
    hashes = near_duplicates.difference_hashes(pixels)
    assert hashes.dtype == np.uint64
    assert hashes.tolist() == expected
    assert near_duplicates.difference_hashes(pixels[:0]).shape == (0,)
    with pytest.raises(ValueError, match="8 x 9"):
        near_duplicates.difference_hashes(pixels.transpose(0, 2, 1))


def test_pairs_equal_a_plain_comparison_of_all() -> None:
    generator = np.random.default_rng(1)
    hashes = generator.integers(0, 2**64, 700, np.uint64) & np.uint64(0xFFFFFF)  # 24 bits: many are near
    groups = np.array(["train", "validation", "test"])[generator.integers(0, 3, 700)]
    plain = [(i, j) for i, j in combinations(range(700), 2) if (int(hashes[i]) ^ int(hashes[j])).bit_count() <= 5]
    assert len(plain) > 500
    assert near_duplicates.near_duplicates(hashes, None, 5) == plain
    assert near_duplicates.near_duplicates(hashes, groups, 5) == [(i, j) for i, j in plain if groups[i] != groups[j]]
    assert near_duplicates.near_duplicates(hashes, None, 5, limit=300) == plain[:300]
    assert near_duplicates.near_duplicates(hashes[:0], None, 5) == []


@pytest.mark.parametrize("alike", [False, True])
def test_twenty_thousand_photos_take_seconds_and_little_memory(alike: bool) -> None:
    hashes = np.random.default_rng(2).integers(0, 2**64, 20_000, np.uint64)
    hashes = np.zeros_like(hashes) if alike else hashes
    tracemalloc.start()
    started = time.perf_counter()
    pairs = near_duplicates.near_duplicates(hashes, np.arange(20_000), 4)
    seconds, peak = time.perf_counter() - started, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(pairs) == (100_000 if alike else 0)
    assert seconds < 30
    assert peak < 120e6
