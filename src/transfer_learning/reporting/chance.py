"""How often two equal models would differ so: one bound for all metrics that a gate looks at."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import fisher_exact

GENERATORS = 13  # of the group of tosses, of which there are 2 to the power of it: 8,192
BLOCK = 2_000_000  # signs that are in memory at a time
SAME = 1e-9  # sums that differ by less are equal


def chances(harms: np.ndarray, weights: Sequence[float]) -> np.ndarray:
    """p-values of several means over the same photos, each the chance that any of them is so rare between equal models.

    Equal models could swap what they make of any photo, so the sign of all that a photo adds is a toss (Fisher 1935).
    Each sum is ranked among those of 8,192 tosses, and a rank is as rare as the share of tosses in which the best rank
    of all the sums is no worse (Westfall and Young 1993, minP): so the share of pairs of equal models in which any
    p-value is below a bound is at most that bound, however the metrics depend on each other, and metrics that move
    together cost little. The tosses are a group, of all of them where the photos are few, else drawn once: the bound
    holds for it as it is, and not only in the mean over draws (Hemerik and Goeman 2018).

    Args:
        harms: (n, k) what each photo adds to each of k sums; a sum above 0 is for the worse. 0 where a sum is not of
            the photo.
        weights: (k,) a sum's own p-value counts times this: above 1 it has less of the bound, the others more.

    Returns:
        (k,) in (0, 1].
    """
    photos, number = len(harms), min(GENERATORS, len(harms))
    drawn = np.random.default_rng(0).integers(0, 2, (number, photos), dtype=np.int32)
    basis = np.eye(photos, dtype=np.int32) if photos <= GENERATORS else drawn
    sums = []
    for start in range(0, 2**number, step := max(1, BLOCK // photos)):
        members = np.arange(start, min(start + step, 2**number))[:, None] >> np.arange(number) & 1
        turned = members.astype(np.float32) @ basis.astype(np.float32) % 2  # whole numbers, exact
        sums.append((1 - 2 * turned.astype(np.float64)) @ harms)
    tossed = np.concatenate(sums)  # (2 ** number, k), what was seen first
    ranks = np.empty_like(tossed)
    for column, weight in enumerate(weights):
        ordered = np.sort(tossed[:, column])
        below = np.searchsorted(ordered, tossed[:, column] - SAME)
        ranks[:, column] = weight * (len(ordered) - below) / len(ordered)
    best = np.sort(ranks.min(axis=1))
    return np.searchsorted(best, ranks[0], side="right") / len(best)


def of_counts(base: tuple[int, int], new: tuple[int, int]) -> float:
    """p-value in (0, 1] that the new model is right on fewer photos, from (right, photos) of each alone.

    Fisher's exact test takes the two for independent. Two models on the same photos mostly fail on the same ones, and
    then it finds less than there is: equal models alarm more rarely than the bound says.
    """
    table = [[right, photos - right] for right, photos in (base, new)]
    return float(fisher_exact(table, alternative="greater").pvalue)
