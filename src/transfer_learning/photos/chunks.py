"""Decoded photos a chunk at a time: the next chunk is decoded while the last one is worked on."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from transfer_learning.photos.decode import Photo, load_batch

CHUNK = 32  # photos; two chunks are in memory at a time


def chunks(photos: list[Photo], *, size: int, done: int = 0) -> Iterator[tuple[int, np.ndarray]]:
    """Give the photos in order, as the index of the first one and (n, size, size, 3) uint8 with n up to CHUNK.

    Args:
        done: photos at the beginning that are left out, a multiple of CHUNK.
    """
    starts = range(done, len(photos), CHUNK)
    if not starts:
        return
    with ThreadPoolExecutor(1) as ahead, ThreadPoolExecutor() as pool:

        def decode(start: int) -> np.ndarray:
            return load_batch(photos[start : start + CHUNK], size=size, pool=pool)

        waiting = ahead.submit(decode, done)
        for start in starts:
            chunk = waiting.result()
            if start + CHUNK < len(photos):
                waiting = ahead.submit(decode, start + CHUNK)
            yield start, chunk
