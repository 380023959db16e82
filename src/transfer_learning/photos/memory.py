"""Memory of photos that are decoded side by side: bounded in sum, however many threads there are."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image

LIMIT = 512_000_000  # bytes; an ordinary photo takes some MB, so that these hardly ever wait
STORED = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2}  # bytes a pixel as Pillow holds an image; of other modes 4
WEBP = 16  # bytes a pixel: libwebp draws on two canvases of its own, and Pillow copies the result twice

# from 32 MB on glibc gives memory back as soon as it is free, for whatever thread it was: Pillow's blocks of 16 MB stay
Image.core.set_block_size(1 << 26)


def needed(image: Image.Image, full: tuple[int, int], *, size: int) -> int:
    """Bytes that decoding and resizing take at their peak, by what the header says.

    Args:
        image: opened and not yet loaded, drafted where it is to be.
        full: its width and height before that.
        size: side that it is resized to.
    """
    pixels = image.width * image.height
    stored = STORED.get(image.mode, 4)
    resized = 4 * size * max(image.size)  # rows first: they are `size` wide then, and as many as before
    kept = 0
    if image.format in ("JPEG", "MPO") and image.info.get("progressive"):
        # the coefficients of all scans, 2 bytes each, are there before the first row comes out
        kept = 2 * len(image.getbands()) * full[0] * full[1]
    if image.format == "WEBP":
        return pixels * WEBP + resized
    return kept + pixels * (stored + 4) + resized  # 4: a copy that is upright, or in RGB


class Budget:
    """Bytes that may be taken at a time, first come first served; who needs more than all of them has them alone."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._used = 0
        self._changed = threading.Condition()
        self._next = threading.Lock()  # held by the one that waits for room, so that nobody small overtakes it for ever

    @contextmanager
    def taken(self, amount: int) -> Iterator[None]:
        """Hold `amount` bytes, as soon as there is room for them."""
        with self._next, self._changed:
            self._changed.wait_for(lambda: not self._used or self._used + amount <= self._limit)
            self._used += amount
        try:
            yield
        finally:
            with self._changed:
                self._used -= amount
                self._changed.notify()


DECODING = Budget(LIMIT)
