"""Near-duplicates: photos that look the same, whatever size, quality, brightness, edge or side they were saved with.

Three looks, each at what the one before has left: the nearest neighbours of each photo by a small descriptor; these
laid upon each other as they are in memory; and the few that are alike then once more, read again and larger. A
difference hash of 64 bits, which this replaces, took horizons and skies for the same photo.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from PIL import Image

from transfer_learning.reporting import alignment

SIDE = 12  # pixels of a descriptor
THUMBNAIL, LARGER = 32, 64  # pixels a side, of the second and the third look
NEIGHBOURS = 3  # of each photo and of its mirror image
PLAIN = 0.1  # levels of 255 that the pixels of a descriptor differ by where there is nothing to describe
CORRELATED = 0.5  # descriptors of candidates, at least
MAYBE = 0.55  # similarity after the second look that deserves a third
ALIKE = 0.85  # and after the third that is said; benchmarks/near_duplicates.md has what it finds
MOST = 5000  # pairs for the third look, the most alike ones
BLOCK = 128  # photos compared with all others at a time: 128 x 20,000 x 4 bytes are 10 MB
BATCH = 128  # pairs laid upon each other at a time: 128 x 64 x 64 x 6 numbers are 13 MB


class Pair(NamedTuple):
    """Two photos, by index, one < other, that may look the same; similarity up to 1; whether one mirrors the other."""

    one: int
    other: int
    similarity: float
    mirrored: bool


def find(thumbnails: np.ndarray, groups: np.ndarray, larger: Callable[[list[int]], np.ndarray]) -> list[Pair]:
    """Pairs of photos of different groups that may look the same, the most alike first.

    Takes time with the square of the number of photos, and memory for the descriptors besides.

    Args:
        thumbnails: (n, 32, 32, 3) uint8.
        groups: (n,), such as the part of each photo; the largest group is what the others are compared with.
        larger: reads photos, by index, as (k, 64, 64, 3) uint8; it is asked for a few hundred at a time.
    """
    pairs, mirrored = candidates(descriptors(thumbnails), groups)
    maybe = _compared(lambda wanted: thumbnails[wanted], pairs, mirrored, fine=False)
    order = np.argsort(-maybe, kind="stable")[:MOST]
    kept = order[maybe[order] > MAYBE]
    pairs, mirrored = pairs[kept], mirrored[kept]
    alike = _compared(lambda wanted: larger(wanted.tolist()), pairs, mirrored, fine=True)
    found: dict[tuple[int, int], Pair] = {}
    for index in np.argsort(-alike, kind="stable"):
        if alike[index] >= ALIKE:
            one, other = sorted(pairs[index].tolist())
            found.setdefault((one, other), Pair(one, other, float(alike[index]), bool(mirrored[index])))
    return list(found.values())


def descriptors(thumbnails: np.ndarray) -> np.ndarray:
    """(n, 12, 12) float32 of (n, s, s, 3) uint8: grey values without what is smooth in them, of length 1.

    What has no detail at all is described by its colour.
    """
    small = np.zeros((len(thumbnails), SIDE, SIDE), np.float32)
    for index, pixels in enumerate(thumbnails):
        small[index] = np.asarray(Image.fromarray(pixels).convert("L").resize((SIDE, SIDE), Image.Resampling.BOX))
    small -= alignment.smooth(small, 2)
    small -= small.mean(axis=(1, 2), keepdims=True)
    plain = np.linalg.norm(small, axis=(1, 2)) < PLAIN * SIDE
    colours = thumbnails[plain].mean(axis=(1, 2)) / (255 * np.sqrt(3))  # at most of length 1, and one more makes it 1
    rest = np.sqrt(np.maximum(1 - (colours**2).sum(axis=1, keepdims=True), 0))
    small[plain] = 0
    small[plain, :4, 0] = small[plain, :4, -1] = np.concatenate([colours, rest], axis=1)  # a mirror image has the same
    return small / np.linalg.norm(small, axis=(1, 2), keepdims=True)


def candidates(described: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The nearest neighbours, in other groups, of each photo that is not of the largest group, and of its mirror image.

    Args:
        described: (n, 12, 12) from `descriptors`.
        groups: (n,).

    Returns:
        (pairs, 2) indices; and (pairs,) bool, whether the first one is mirrored.
    """
    flat = described.reshape(len(described), -1)
    names, numbers = np.unique(groups, return_inverse=True)
    asked = np.flatnonzero(numbers != np.bincount(numbers, minlength=len(names)).argmax())
    found, mirrored = [np.zeros((0, 2), int)], [np.zeros(0, bool)]
    for start in range(0, len(asked), BLOCK):
        rows = asked[start : start + BLOCK]
        for flip in (False, True):
            query = described[rows, :, ::-1] if flip else described[rows]
            near = query.reshape(len(rows), -1) @ flat.T
            near[numbers[rows, None] == numbers] = -1
            most = min(NEIGHBOURS, len(flat) - 1)
            best = np.argpartition(-near, most - 1, axis=1)[:, :most]
            close = np.take_along_axis(near, best, axis=1) > CORRELATED
            pairs = np.stack([np.broadcast_to(rows[:, None], best.shape)[close], best[close]], axis=1)
            found.append(pairs)
            mirrored.append(np.full(len(pairs), flip))
    return np.concatenate(found), np.concatenate(mirrored)


def _compared(
    read: Callable[[np.ndarray], np.ndarray], pairs: np.ndarray, mirrored: np.ndarray, *, fine: bool
) -> np.ndarray:
    """Similarity (pairs,) of photos that are laid upon each other."""
    found = [np.zeros(0)]
    for start in range(0, len(pairs), BATCH):
        batch = slice(start, start + BATCH)
        wanted, where = np.unique(pairs[batch], return_inverse=True)
        pixels = read(wanted)
        first, second = np.moveaxis(pixels[where.reshape(-1, 2)], 1, 0)
        flip = mirrored[batch]
        first[flip] = first[flip, :, ::-1]
        found.append(_similarity(first, second, fine))
    return np.concatenate(found)


def _similarity(first: np.ndarray, second: np.ndarray, fine: bool) -> np.ndarray:
    one, other = first @ alignment.GREY, second @ alignment.GREY
    if not fine:
        place = alignment.align(alignment.smooth(one, 1), alignment.smooth(other, 1))
        return alignment.similarity(first, second, alignment.contained(place))
    place = alignment.align(alignment.smooth(_halved(one), 1), alignment.smooth(_halved(other), 1))
    place = alignment.align(alignment.smooth(one, 0.7), alignment.smooth(other, 0.7), place)
    return alignment.similarity(first, second, alignment.contained(place))


def _halved(pictures: np.ndarray) -> np.ndarray:
    number, side = pictures.shape[:2]
    return pictures.reshape(number, side // 2, 2, side // 2, 2).mean((2, 4))
