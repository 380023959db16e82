"""What the untrained part of the network makes of every view of every photo, into the files that `stored` reads."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from transfer_learning.core.errors import UserError
from transfer_learning.core.files import check_space, remove, written_aside
from transfer_learning.network.backbone import preprocess, stem, top
from transfer_learning.network.folding import InferenceMode
from transfer_learning.network.runtime import at_once
from transfer_learning.network.stored import KINDS
from transfer_learning.photos import augment
from transfer_learning.photos.chunks import chunks
from transfer_learning.photos.inventory import Photos
from transfer_learning.photos.parts import Part

AT_ONCE = 8  # photos in one call of the network: what a layer gives still fits the cache when the next one takes it
PROGRESS = "progress.json"  # while it is being computed


@dataclass(frozen=True)
class _Network:
    """The network, cut in two.

    Attributes:
        boundary: name of the layer where it is cut.
        activations: shape (h, w, c) that it gives for a photo there.
        channels: length of the pooled vector of a photo.
        transform: photos (n, size, size, 3) uint8 and their transforms (n, columns) to activations (n, h, w, c) and
            pooled vectors (n, channels).
    """

    boundary: str
    activations: tuple[int, ...]
    channels: int
    transform: Callable[[np.ndarray, np.ndarray], tuple[tf.Tensor, ...]]


def bytes_needed(base: keras.Model, boundary: str, *, train: int, validation: int, views: int) -> int:
    """Size of all features on disk in bytes: float16 activations and float32 pooled vectors."""
    activations = int(np.prod(base.get_layer(boundary).output.shape[1:]))
    return (2 * activations + 4 * base.output.shape[-1]) * (train * views + validation)


def compute(
    base: keras.Model,
    boundary: str,
    parts: dict[str, Part],
    photos: Photos,
    folder: Path,
    *,
    size: int,
    transforms: np.ndarray,
) -> None:
    """Compute the features of the training views and of the plain validation photos into `folder`.

    Args:
        parts: has `train` and `validation`.
        folder: new or empty, or as an interrupted call with the same arguments has left it: that one is continued.
        size: side of the photos in pixels.
        transforms: (views, n, columns) float32 from `augment.draw_transforms`, for the n training photos.

    Raises:
        UserError: the disk is too small, a photo is gone or has changed, or activations are too large for float16.
    """
    views, train = transforms.shape[:2]
    needed = bytes_needed(base, boundary, train=train, validation=len(parts["validation"].labels), views=views)
    done = _read_progress(folder)
    if done:
        counts = (f"{number:,} of {len(parts[part].labels):,} {part} photos" for part, number in done.items())
        print(f"going on where an earlier run of the same was interrupted: {' and '.join(counts)} are done")
    else:
        remove(folder)  # space that an earlier run has reserved and not used
        check_space(folder.parent, needed, "featurize")
        folder.mkdir()
    print(f"features: {views} views of {train:,} training photos, {needed / 1e6:,.0f} MB in {folder.parent}/features")
    network = _cut(base, boundary)
    plain = augment.identity(len(parts["validation"].labels), columns=transforms.shape[2])[None]
    for part, rows in (("train", transforms), ("validation", plain)):
        _compute_part(network, parts[part], rows, photos, folder / part, size)
    (folder / PROGRESS).unlink()


def _read_progress(folder: Path) -> dict[str, int]:
    """Photos that are done, by part."""
    path = folder / PROGRESS
    return json.loads(path.read_text()) if path.exists() else {}


def _cut(base: keras.Model, boundary: str) -> _Network:
    base.trainable = False
    lower, upper = InferenceMode(stem(base, boundary)), InferenceMode(top(base, boundary))

    @tf.function(reduce_retracing=True)
    def transform(photos: tf.Tensor, rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        inner = lower(preprocess(augment.apply(photos, rows), base.backbone))  # (n, h, w, c)
        return inner, tf.reduce_mean(upper(inner), axis=(1, 2))  # (n, channels)

    return _Network(boundary, base.get_layer(boundary).output.shape[1:], base.output.shape[-1], transform)


def _compute_part(
    network: _Network, part: Part, transforms: np.ndarray, photos: Photos, prefix: Path, size: int
) -> None:
    views, number = transforms.shape[:2]
    done = _read_progress(prefix.parent).get(prefix.name, 0)
    if not done:
        _reserve(f"{prefix}_activations.npy", (views, number, *network.activations), np.float16)
        _reserve(f"{prefix}_pooled.npy", (views, number, network.channels), np.float32)
    np.save(f"{prefix}_labels.npy", part.labels)
    bar = tqdm(desc=f"featurize {prefix.name}", total=views * number, initial=views * done, unit="photo")
    with bar, ThreadPoolExecutor(at_once()) as pool:
        for start, chunk in chunks(photos.chosen(part.paths), size=size, done=done):
            rows = slice(start, start + len(chunk))
            if not _compute_chunk(network, chunk, transforms[:, rows], rows, prefix, pool):
                said = f"activations at {network.boundary} do not fit float16 (over 65,504)"
                raise UserError(f"{said}: choose another boundary")
            progress = _read_progress(prefix.parent) | {prefix.name: rows.stop}
            with written_aside(prefix.parent / PROGRESS) as aside:
                aside.write_text(json.dumps(progress))
            bar.update(views * len(chunk))


def _compute_chunk(
    network: _Network, chunk: np.ndarray, transforms: np.ndarray, rows: slice, prefix: Path, pool: ThreadPoolExecutor
) -> bool:
    """Write all views of a chunk of photos into `rows` of the arrays; whether the activations fit float16."""
    # mapped anew for each chunk: pages that were written count as this process's memory as long as they are mapped
    activations, pooled = (np.load(f"{prefix}_{kind}.npy", mmap_mode="r+")[:, rows] for kind in KINDS)

    def compute(task: tuple[int, int]) -> None:
        view, start = task
        part = slice(start, start + AT_ONCE)
        inner, vectors = network.transform(chunk[part], transforms[view, part])
        activations[view, part], pooled[view, part] = inner.numpy(), vectors.numpy()

    # views and parts of the chunk side by side, each on a core of its own
    list(pool.map(compute, product(range(len(transforms)), range(0, len(chunk), AT_ONCE))))
    activations.flush()
    pooled.flush()
    return bool(np.isfinite(activations).all())


def _reserve(path: str, shape: tuple[int, ...], dtype: type) -> None:
    """Make an array on disk with all its space reserved: a full disk is an error now and no crash later."""
    np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
    if hasattr(os, "posix_fallocate"):  # not on macOS
        try:
            with open(path, "r+b") as file:
                os.posix_fallocate(file.fileno(), 0, os.path.getsize(path))
        except OSError:
            os.unlink(path)
            raise
