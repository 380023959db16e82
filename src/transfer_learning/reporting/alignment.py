"""Photos laid upon each other: which shift, scale and brightness make one from the other, and how alike they are then.

All functions take many pairs at a time, of square thumbnails, whatever shape their photos have.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter, uniform_filter

STEPS = 8  # of Gauss-Newton
DAMPING = 1e-3  # of the diagonal of its normal equations
LARGEST = 0.3  # that scale and shift may differ from one upon the other
LONGEST_STEP = 0.1
SLACK = 0.03  # of an edge, beside what a crop explains
GREY = np.array([0.299, 0.587, 0.114], np.float32)  # as Pillow's mode L
CELLS = 8  # a side, for colours
WINDOW = 4  # windows are a quarter of a side wide, and a quarter of that apart
WORST = 10  # percentile of the windows that counts
NOISE = 4.0  # variance of what JPEG and resizing leave, in squared levels of 255
PLAIN = 0.05  # share of windows with detail below which colours decide alone
PLAIN_LEVELS = 20.0  # of 255, that colours differ by where a plain pair has a similarity of 0
CHROMA_LEVELS = 100.0  # and where any pair has


@dataclass(frozen=True)
class Placement:
    """Where pictures lie in others: the point (x, y), from -1 to 1 between edges, is at scale * (x, y) + shift there.

    Attributes:
        scale: (n, 2) float32, of x and y.
        shift: (n, 2) float32.
    """

    scale: np.ndarray
    shift: np.ndarray


def align(fixed: np.ndarray, moving: np.ndarray, start: Placement | None = None, *, steps: int = STEPS) -> Placement:
    """Find where pictures lie in others, by Gauss-Newton on squared differences of grey values.

    Brightness and contrast are fitted along. What does not belong together ends anywhere.

    Args:
        fixed: (n, s, s) float32, smooth enough that what belongs together overlaps at the start.
        moving: as `fixed`.
        start: None for one upon the other.
    """
    number, side = fixed.shape[:2]
    place = start or Placement(np.ones((number, 2), np.float32), np.zeros((number, 2), np.float32))
    x = _axis(side)
    half = np.float32(side / 2)  # pixels from the middle to an edge
    for _ in range(steps):
        warped, inside = warp(moving, place)
        down, right = (slope * half for slope in np.gradient(warped, axis=(1, 2)))
        columns = [right * x, right, down * x[:, None], down, warped, np.ones_like(warped)]
        jacobian = np.stack(columns, axis=-1).reshape(number, -1, 6)
        weighted = (jacobian * inside.reshape(number, -1, 1)).transpose(0, 2, 1)
        normal = weighted @ jacobian
        np.einsum("nii->ni", normal)[...] *= 1 + DAMPING
        np.einsum("nii->ni", normal)[...] += 1  # a picture of one colour has no slopes
        solved = np.linalg.solve(normal, weighted @ fixed.reshape(number, -1, 1))[..., 0]
        contrast = np.maximum(solved[:, 4:5], 0.1)
        step = np.clip(solved[:, :4] / contrast, -LONGEST_STEP, LONGEST_STEP)
        place = Placement(
            np.clip(place.scale * (1 + step[:, [0, 2]]), 1 - LARGEST, 1 + LARGEST),
            np.clip(place.shift + place.scale * step[:, [1, 3]], -LARGEST, LARGEST),
        )
    return place


def contained(place: Placement) -> Placement:
    """The nearest shift with which one picture contains the other, as a crop does: a shift alone is another photo."""
    most = np.abs(1 - place.scale) + SLACK
    return Placement(place.scale, np.clip(place.shift, -most, most))


def warp(pictures: np.ndarray, place: Placement) -> tuple[np.ndarray, np.ndarray]:
    """Sample pictures where others lie in them, linearly.

    Args:
        pictures: (n, s, s) or (n, s, s, channels) float32.

    Returns:
        As `pictures`; and (n, s, s) float32, 1 where a sample lies inside the picture, else 0.
    """
    side = pictures.shape[1]
    at = (place.scale[:, :, None] * _axis(side) + place.shift[:, :, None] + 1) * (side / 2) - 0.5  # (n, 2, s) pixels
    inside = ((at > -0.6) & (at < side - 0.4)).astype(np.float32)
    distance = np.abs(np.clip(at, 0, side - 1)[..., None] - np.arange(side))
    across, along = np.moveaxis(np.maximum(1 - distance, 0).astype(np.float32), 1, 0)
    mask = inside[:, 1, :, None] * inside[:, 0, None, :]
    if pictures.ndim == 3:
        return along @ pictures @ across.transpose(0, 2, 1), mask
    planes = along[:, None] @ pictures.transpose(0, 3, 1, 2) @ across.transpose(0, 2, 1)[:, None]
    return planes.transpose(0, 2, 3, 1), mask


def similarity(fixed: np.ndarray, moving: np.ndarray, place: Placement) -> np.ndarray:
    """How alike pictures are where they lie upon each other, in structure and in colour.

    Structure is the correlation of grey values within windows, as in the structural similarity index (Wang et al.
    2004), and the worst tenth of the windows decides: photos with the same sky differ in what stands before it.
    Brightness and contrast may differ, colours little. Of pairs without detail the colours themselves decide.

    Args:
        fixed: (n, s, s, 3) uint8, s a multiple of 16.
        moving: as `fixed`.
        place: of `fixed` in `moving`.

    Returns:
        (n,) at most 1: what it is for equal pictures.
    """
    there = fixed.astype(np.float32)
    warped, mask = warp(moving.astype(np.float32), place)
    structure, detail = _structure(there @ GREY, warped @ GREY, mask)
    cells, other = _cells(there, mask), _cells(warped, mask)
    gain = cells.mean((1, 2, 3)) / np.maximum(other.mean((1, 2, 3)), 1)
    chroma = _chroma(cells) - _chroma(other * gain[:, None, None, None])
    alike = np.minimum(structure, 1 - _rms(chroma) / CHROMA_LEVELS)
    return np.where(detail < PLAIN, 1 - _rms(cells - other) / PLAIN_LEVELS, alike)


def smooth(pictures: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian filter of (n, h, w), `sigma` in pixels."""
    return gaussian_filter(pictures, (0, sigma, sigma), mode="nearest")


def _structure(one: np.ndarray, other: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n,) the worst tenth's correlation within windows, and the share of windows with detail."""
    side = one.shape[1]
    valid = _windows(mask, side)
    number = np.maximum(valid, 1e-6)

    def moments(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        means = (_windows(a * mask, side) / number) * (_windows(b * mask, side) / number)
        return _windows(a * b * mask, side) / number - means

    variances = [np.maximum(moments(picture, picture), 0) for picture in (one, other)]
    alike = (moments(one, other) + NOISE) / np.sqrt((variances[0] + NOISE) * (variances[1] + NOISE))
    counts = valid > 0.6  # of the window is inside both
    worst = np.nanpercentile(np.where(counts, alike, np.nan), WORST, axis=1)
    fine = [picture - smooth(picture, side / 16) for picture in (one, other)]
    detail = np.maximum(*(moments(picture, picture) for picture in fine)) > NOISE
    return worst, (detail & counts).sum(axis=1) / counts.sum(axis=1)


def _windows(pictures: np.ndarray, side: int) -> np.ndarray:
    """(n, windows) means."""
    width = side // WINDOW
    apart = slice(width // 2, side - width // 2 + 1, width // 4)
    return uniform_filter(pictures, (0, width, width), mode="nearest")[:, apart, apart].reshape(len(pictures), -1)


def _cells(pixels: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """(n, 8, 8, 3) mean colours of what lies inside; 0 elsewhere."""
    number, side = pixels.shape[:2]
    cut = (number, CELLS, side // CELLS, CELLS, side // CELLS)
    shares = np.maximum(mask.reshape(cut).sum((2, 4)), 1)[..., None]
    return (pixels * mask[..., None]).reshape(*cut, 3).sum((2, 4)) / shares


def _chroma(colours: np.ndarray) -> np.ndarray:
    return colours - (colours @ GREY)[..., None]


def _rms(values: np.ndarray) -> np.ndarray:
    return np.sqrt((values**2).mean(axis=tuple(range(1, values.ndim))))


def _axis(side: int) -> np.ndarray:
    return ((np.arange(side) + 0.5) * (2 / side) - 1).astype(np.float32)
