"""Features: what the untrained part of the network makes of every view of every photo, on disk.

    train_activations.npy  (views, n, h, w, c) float16: the activations at the boundary
    train_pooled.npy       (views, n, channels) float32: the whole backbone's output, averaged over space
    train_labels.npy       (n,) uint8, above 256 classes uint16
    validation_*.npy       the same with one view, not augmented

n counts the photos of a part in the order of split.csv; the labels are indices into the sorted classes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from tqdm import tqdm

from transfer_learning import augment
from transfer_learning.backbone import preprocess, stem, top
from transfer_learning.errors import UserError
from transfer_learning.files import check_space, remove, written_aside
from transfer_learning.folding import InferenceMode
from transfer_learning.photos import load_batch
from transfer_learning.runtime import slices

CHUNK = 32  # photos in memory at a time
AT_ONCE = 8  # of them in one call of the network: what a layer gives still fits the cache when the next one takes it
KINDS = ("activations", "pooled")
PROGRESS = "progress.json"  # while it is being computed


@dataclass(frozen=True)
class Part:
    """The photos of one part: paths relative to data/raw, and labels (n,) uint8, above 256 classes uint16."""

    paths: list[Path]
    labels: np.ndarray


class Stored:
    """An array on disk, read row by row with NumPy's indexing.

    It is mapped anew for each read: what was read counts as this process's memory as long as it is mapped.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        array = np.load(path, mmap_mode="r")
        self.shape, self.dtype = array.shape, array.dtype

    def __getitem__(self, rows: Any) -> np.ndarray:
        return np.array(np.load(self.path, mmap_mode="r")[rows])


@dataclass(frozen=True)
class Features:
    """Features of one part; shapes as in the module's docstring."""

    activations: Stored
    pooled: Stored
    labels: np.ndarray

    @property
    def classes(self) -> int:
        """Number of classes: every class has photos in every part."""
        return int(self.labels.max()) + 1

    @property
    def views(self) -> int:
        return self.pooled.shape[0]


def read_split(path: Path) -> tuple[list[str], dict[str, Part]]:
    """Read split.csv: the class names, sorted, and the photos of each part."""
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    classes = sorted(table["label"].unique())
    parts = {}
    for part, rows in table.groupby("part"):
        labels = rows["label"].map(classes.index).to_numpy(np.uint8 if len(classes) <= 256 else np.uint16)
        parts[str(part)] = Part([Path(text) for text in rows["path"]], labels)
    return classes, parts


def read(folder: Path, part: str) -> Features:
    """Open the features of `train` or `validation`."""
    activations, pooled = (Stored(folder / f"{part}_{kind}.npy") for kind in KINDS)
    return Features(activations, pooled, np.load(folder / f"{part}_labels.npy"))


def bytes_needed(base: keras.Model, boundary: str, *, train: int, validation: int, views: int) -> int:
    """Size of all features on disk in bytes: float16 activations and float32 pooled vectors."""
    activations = int(np.prod(base.get_layer(boundary).output.shape[1:]))
    return (2 * activations + 4 * base.output.shape[-1]) * (train * views + validation)


def compute(
    base: keras.Model,
    boundary: str,
    parts: dict[str, Part],
    raw: Path,
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
        UserError: the disk is too small, a photo is broken, or activations are too large for float16.
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
    transform_batch = _transform_batch(base, boundary)
    plain = augment.identity(len(parts["validation"].labels), columns=transforms.shape[2])[None]
    for part, rows in (("train", transforms), ("validation", plain)):
        _compute_part(parts[part], rows, raw, folder / part, transform_batch, base, boundary, size)
    (folder / PROGRESS).unlink()


def _read_progress(folder: Path) -> dict[str, int]:
    """Photos that are done, by part."""
    path = folder / PROGRESS
    return json.loads(path.read_text()) if path.exists() else {}


def _transform_batch(base: keras.Model, boundary: str) -> Callable[[np.ndarray, np.ndarray], tuple[tf.Tensor, ...]]:
    base.trainable = False
    lower, upper = InferenceMode(stem(base, boundary)), InferenceMode(top(base, boundary))

    @tf.function(reduce_retracing=True)
    def transform(photos: tf.Tensor, rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        inner = lower(preprocess(augment.apply(photos, rows), base.backbone))  # (n, h, w, c)
        return inner, tf.reduce_mean(upper(inner), axis=(1, 2))  # (n, channels)

    return transform


def _compute_part(
    part: Part,
    transforms: np.ndarray,
    raw: Path,
    prefix: Path,
    transform_batch: Callable[[np.ndarray, np.ndarray], tuple[tf.Tensor, ...]],
    base: keras.Model,
    boundary: str,
    size: int,
) -> None:
    views, photos = transforms.shape[:2]
    shape = base.get_layer(boundary).output.shape[1:]
    done = _read_progress(prefix.parent).get(prefix.name, 0)
    if not done:
        _reserve(f"{prefix}_activations.npy", (views, photos, *shape), np.float16)
        _reserve(f"{prefix}_pooled.npy", (views, photos, base.output.shape[-1]), np.float32)
    np.save(f"{prefix}_labels.npy", part.labels)
    bar = tqdm(desc=f"featurize {prefix.name}", total=views * photos, initial=views * done, unit="photo")
    with bar, ThreadPoolExecutor(slices()) as pool:
        for start, chunk in _chunks(part.paths, raw, size, done):
            rows = slice(start, start + len(chunk))
            if not _compute_chunk(chunk, transforms[:, rows], rows, prefix, transform_batch, pool):
                raise UserError(f"activations at {boundary} do not fit float16 (over 65,504): choose another boundary")
            progress = _read_progress(prefix.parent) | {prefix.name: rows.stop}
            with written_aside(prefix.parent / PROGRESS) as aside:
                aside.write_text(json.dumps(progress))
            bar.update(views * len(chunk))


def _compute_chunk(
    chunk: np.ndarray,
    transforms: np.ndarray,
    rows: slice,
    prefix: Path,
    transform_batch: Callable[[np.ndarray, np.ndarray], tuple[tf.Tensor, ...]],
    pool: ThreadPoolExecutor,
) -> bool:
    """Write all views of a chunk of photos into `rows` of the arrays; whether the activations fit float16."""
    # mapped anew for each chunk: pages that were written count as this process's memory as long as they are mapped
    activations, pooled = (np.load(f"{prefix}_{kind}.npy", mmap_mode="r+")[:, rows] for kind in KINDS)

    def compute(task: tuple[int, int]) -> None:
        view, start = task
        part = slice(start, start + AT_ONCE)
        inner, vectors = transform_batch(chunk[part], transforms[view, part])
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


def _chunks(paths: list[Path], raw: Path, size: int, done: int) -> Iterator[tuple[int, np.ndarray]]:
    """Decode the next chunk while the last one is worked on; the first `done` photos are left out."""
    with ThreadPoolExecutor(1) as ahead, ThreadPoolExecutor() as pool:
        starts = range(done, len(paths), CHUNK)
        if not starts:
            return

        def decode(start: int) -> np.ndarray:
            return load_batch([raw / path for path in paths[start : start + CHUNK]], size=size, pool=pool)

        waiting = ahead.submit(decode, done)
        for start in starts:
            chunk = waiting.result()
            if start + CHUNK < len(paths):
                waiting = ahead.submit(decode, start + CHUNK)
            yield start, chunk
