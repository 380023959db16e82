"""Embeddings: what the pretrained network makes of every photo as it is, into the files that `stored` reads."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from transfer_learning.core.files import check_space, written_aside
from transfer_learning.network.backbone import preprocess
from transfer_learning.network.features import AT_ONCE
from transfer_learning.network.folding import InferenceMode
from transfer_learning.network.runtime import at_once
from transfer_learning.photos.chunks import chunks
from transfer_learning.photos.inventory import Photos
from transfer_learning.photos.parts import Part


def compute(base: keras.Model, parts: dict[str, Part], photos: Photos, folder: Path, *, size: int) -> None:
    """Compute the embeddings of the photos of all parts into `folder`.

    Args:
        folder: empty, or as an interrupted call with the same arguments has left it: that one is continued.
        size: side of the photos in pixels.

    Raises:
        UserError: the disk is too small, or a photo is gone or has changed.
    """
    channels = base.output.shape[-1]
    check_space(folder, 4 * channels * sum(len(part.labels) for part in parts.values()), "probe")
    base.trainable = False
    network = InferenceMode(base)

    @tf.function(reduce_retracing=True)
    def embed(batch: tf.Tensor) -> tf.Tensor:
        return tf.reduce_mean(network(preprocess(batch, base.backbone)), axis=(1, 2))  # (n, channels)

    for name, part in parts.items():
        path, progress = folder / f"{name}.npy", folder / f"{name}.json"
        if path.exists() and not progress.exists():
            continue  # whole
        done = int(json.loads(progress.read_text())) if progress.exists() else 0
        if not done:
            progress.write_text("0")
            np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(len(part.labels), channels))
        bar = tqdm(desc=f"probe {name}", total=len(part.labels), initial=done, unit="photo", delay=2)
        with bar, ThreadPoolExecutor(at_once()) as pool:
            for start, chunk in chunks(photos.chosen(part.paths), size=size, done=done):
                calls = [chunk[first : first + AT_ONCE] for first in range(0, len(chunk), AT_ONCE)]
                found = np.load(path, mmap_mode="r+")  # mapped anew: what was written counts as memory while it is
                found[start : start + len(chunk)] = np.concatenate(list(pool.map(embed, calls)))
                found.flush()
                with written_aside(progress) as aside:
                    aside.write_text(json.dumps(start + len(chunk)))
                bar.update(len(chunk))
        progress.unlink()
