"""Training: Keras's fit, one epoch at a time, each on its own view and in its own order."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from transfer_learning import augment, checkpoint
from transfer_learning.errors import UserError
from transfer_learning.features import Part, Stored
from transfer_learning.photos import load_batch
from transfer_learning.stage import written_aside

COLUMNS = ["epoch", "loss", "accuracy", "val_loss", "val_accuracy"]
VALIDATION_BATCH = 64

Batch = Callable[[int, np.ndarray], np.ndarray]  # (view, indices) to inputs of the model


def compile_model(model: keras.Model, optimizer: keras.Optimizer, *, classes: int) -> None:
    """Compile for cross-entropy and accuracy of logits: one for two classes, with class 1 above 0, else one a class."""
    loss = keras.losses.BinaryCrossentropy if classes == 2 else keras.losses.CategoricalCrossentropy
    model.compile(
        optimizer, loss=loss(from_logits=True), metrics=[keras.metrics.MeanMetricWrapper(_hits, name="accuracy")]
    )


def _hits(targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Whether the likeliest class (n,) is the one with the largest target: targets can be mixed or smoothed."""
    if logits.shape[-1] == 1:
        return keras.ops.equal(targets[:, 0] > 0.5, logits[:, 0] > 0)
    return keras.ops.equal(keras.ops.argmax(targets, axis=-1), keras.ops.argmax(logits, axis=-1))


def targets_of(labels: np.ndarray, *, classes: int) -> np.ndarray:
    """What the logits are trained towards, float32: (n, 1) in {0, 1} for two classes, else one-hot (n, classes)."""
    if classes == 2:
        return labels[:, None].astype(np.float32)
    return np.asarray(labels[:, None] == np.arange(classes), np.float32)


def from_array(array: np.ndarray | Stored) -> Batch:
    """Batches from features (views, n, ...)."""
    return lambda view, indices: np.asarray(array[view, indices], np.float32)


def from_photos(
    part: Part, raw: Path, *, size: int, pool: ThreadPoolExecutor, transforms: np.ndarray | None = None
) -> Batch:
    """Batches of photos in [0, 255], decoded anew each time; augmented where `transforms` of all views are given."""

    def batch(view: int, indices: np.ndarray) -> np.ndarray:
        photos = load_batch([raw / part.paths[index] for index in indices], size=size, pool=pool)
        if transforms is None:
            return photos.astype(np.float32)
        return np.asarray(augment.apply(photos, transforms[view, indices]))

    return batch


def in_order(batch: Batch, labels: np.ndarray, *, classes: int) -> tf.data.Dataset:
    """All photos of a part once, in order, as (inputs, targets) batches: for validation."""
    order = np.arange(len(labels))
    return dataset(batch, labels, classes=classes, view=0, order=order, batch_size=VALIDATION_BATCH)


def dataset(
    batch: Batch, labels: np.ndarray, *, classes: int, view: int, order: np.ndarray, batch_size: int
) -> tf.data.Dataset:
    """One pass over the photos in the given order, as (inputs, targets) batches, prefetched."""
    first = batch(view, order[:1])

    def batches() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for start in range(0, len(order), batch_size):
            indices = order[start : start + batch_size]
            yield batch(view, indices), targets_of(labels[indices], classes=classes)

    shapes = first.shape[1:], targets_of(labels[:1], classes=classes).shape[1:]
    signature = tuple(tf.TensorSpec((None, *shape), tf.float32) for shape in shapes)
    passes = tf.data.Dataset.from_generator(batches, output_signature=signature)
    passes = passes.apply(tf.data.experimental.assert_cardinality(-(-len(order) // batch_size))).prefetch(2)
    options = tf.data.Options()
    options.autotune.enabled = False
    return passes.with_options(options)


def train(
    model: keras.Model,
    batch: Batch,
    labels: np.ndarray,
    validation: tf.data.Dataset,
    *,
    classes: int,
    epochs: range,
    views: int,
    batch_size: int,
    seed: int,
    on_epoch: Callable[[dict[str, float]], None],
    kept: Path,
    evaluate_first: bool = False,
) -> pd.DataFrame:
    """Train a compiled model, from where `kept` says that an earlier process has come to.

    Args:
        batch: inputs of the model by view and indices.
        labels: (n,) whole numbers in [0, classes).
        classes: as the model was compiled for.
        epochs: numbers of the epochs, counted from 1 over both phases.
        views: epoch number k of this phase, from 0, trains on view k modulo this.
        on_epoch: called with each row of the history as it comes.
        kept: folder for the state after each epoch; from one that a killed process has left, training goes on and
            ends with the same bytes as without the interruption.
        evaluate_first: begin the history with a row of the untrained model, for the epoch before the first.

    Returns:
        One row an epoch with COLUMNS. Training values are averages over the epoch with dropout on, validation values
        are measured after it.

    Raises:
        UserError: a loss is not a number or infinite.
    """
    model.optimizer.build(model.trainable_variables)
    variables = [*model.variables, *model.optimizer.variables]
    rows = _restore(variables, kept)
    for row in rows:
        on_epoch(row)

    def add(epoch: int, values: dict[str, float]) -> None:
        row = {"epoch": epoch, **{name: round(float(values[name]), 6) for name in COLUMNS[1:]}}
        if not np.isfinite(list(row.values())).all():
            raise UserError(f"validation of epoch {epoch} gave {row}: {_remedy(model, batch_size)}")
        rows.append(row)
        checkpoint.save(kept, [keras.ops.convert_to_numpy(variable) for variable in variables], rows)
        on_epoch(row)

    if evaluate_first and not rows:
        values = model.evaluate(in_order(batch, labels, classes=classes), return_dict=True, verbose=0)
        after = model.evaluate(validation, return_dict=True, verbose=0)
        add(epochs.start - 1, values | {f"val_{name}": value for name, value in after.items()})
    done = {int(row["epoch"]) for row in rows}
    one_epoch = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: setattr(model, "stop_training", True))
    for number, epoch in enumerate(epochs):
        if epoch in done:
            continue
        _seed_dropout(model, seed, epoch)
        order = np.random.default_rng([seed, epoch]).permutation(len(labels))
        passes = dataset(batch, labels, classes=classes, view=number % views, order=order, batch_size=batch_size)
        history = model.fit(
            passes,
            validation_data=validation,
            initial_epoch=epoch - 1,
            epochs=epochs.stop - 1,
            callbacks=[one_epoch, _FiniteLoss(epoch, _remedy(model, batch_size))],
            shuffle=False,
            verbose=1 if sys.stdout.isatty() else 2,
        )
        add(epoch, {name: values[-1] for name, values in history.history.items()})
    return pd.DataFrame(rows, columns=COLUMNS)


def _restore(variables: list[keras.Variable], kept: Path) -> list[dict[str, float]]:
    """Give the variables the values after the last epoch that an earlier process has finished; its history."""
    found = checkpoint.load(kept)
    if found is None:
        return []
    arrays, rows = found
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)
    print(f"going on after epoch {int(rows[-1]['epoch'])}, where an earlier run of the same was interrupted")
    return rows


class _FiniteLoss(keras.callbacks.Callback):
    """Ends the training at the first step whose loss is not a finite number."""

    def __init__(self, epoch: int, remedy: str) -> None:
        super().__init__()
        self.epoch, self.remedy = epoch, remedy

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        loss = (logs or {}).get("loss", 0.0)
        if not np.isfinite(loss):
            raise UserError(f"the loss is {loss} in step {batch + 1} of epoch {self.epoch}: {self.remedy}")


def _remedy(model: keras.Model, batch_size: int) -> str:
    rate = float(model.optimizer.learning_rate)
    return f"no model is written; learning_rate is {rate:g}, batch_size {batch_size}: a lower rate helps most often"


def _seed_dropout(model: keras.Model, seed: int, epoch: int) -> None:
    """Let dropout follow from seed and epoch alone, not from how many steps came before."""
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dropout) and layer.rate > 0:
            layer.seed_generator.state.assign([seed, epoch])


def write_history(history: pd.DataFrame, path: Path) -> None:
    """Write the history as CSV with COLUMNS."""
    with written_aside(path) as aside:
        history.to_csv(aside, index=False, lineterminator="\n")


def last_metrics(history: pd.DataFrame) -> dict[str, object]:
    """Metrics after the last epoch, by name."""
    return history.drop(columns="epoch").iloc[-1].to_dict()
