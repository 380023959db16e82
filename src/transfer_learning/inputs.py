"""What training reads: photos or their features by view and index, with labels, as batches of tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import tensorflow as tf

from transfer_learning import sampling, stored
from transfer_learning.stored import Stored

VALIDATION_BATCH = 64

Batch = Callable[[int, np.ndarray], np.ndarray]
"""(view, indices (n,)) to inputs (n, ...) float32 of the model."""


@dataclass(frozen=True)
class Examples:
    """What a phase trains and is validated on.

    Attributes:
        batch: inputs of the training photos.
        labels: (n,) theirs, whole numbers in [0, classes).
        validation: batches (inputs (b, ...), targets (b, logits)) of the validation photos, in order.
        classes: number of them.
        views: number of views that `batch` has of each photo.
    """

    batch: Batch
    labels: np.ndarray
    validation: tf.data.Dataset
    classes: int
    views: int


def from_features(folder: Path, kind: Literal["activations", "pooled"]) -> Examples:
    """Examples of one kind of stored features: the frozen part of the network has run once for all trials."""
    train, validation = (stored.read(folder, part) for part in ("train", "validation"))
    plain = in_order(from_array(getattr(validation, kind)), validation.labels, classes=train.classes)
    return Examples(from_array(getattr(train, kind)), train.labels, plain, train.classes, train.views)


def from_array(array: np.ndarray | Stored) -> Batch:
    """Batches from features (views, n, ...)."""
    return lambda view, indices: np.asarray(array[view, indices], np.float32)


def in_order(batch: Batch, labels: np.ndarray, *, classes: int) -> tf.data.Dataset:
    """All photos of a part once, in order, as (inputs, targets) batches: for validation."""
    order, made_by = np.arange(len(labels)), sampling.plain(classes)
    return dataset(batch, labels, view=0, order=order, batch_size=VALIDATION_BATCH, made_by=made_by)


def dataset(
    batch: Batch, labels: np.ndarray, *, view: int, order: np.ndarray, batch_size: int, made_by: sampling.MakeBatch
) -> tf.data.Dataset:
    """One pass over the photos in the given order, in batches of what `made_by` makes of inputs and labels,
    prefetched."""
    first = made_by(1, batch(view, order[:1]), labels[order[:1]])

    def batches() -> Iterator[tuple[np.ndarray, ...]]:
        for step, start in enumerate(range(0, len(order), batch_size), start=1):
            indices = order[start : start + batch_size]
            yield made_by(step, batch(view, indices), labels[indices])

    signature = tuple(tf.TensorSpec((None, *array.shape[1:]), tf.float32) for array in first)
    passes = tf.data.Dataset.from_generator(batches, output_signature=signature)
    passes = passes.apply(tf.data.experimental.assert_cardinality(-(-len(order) // batch_size))).prefetch(2)
    options = tf.data.Options()
    options.autotune.enabled = False
    return passes.with_options(options)
