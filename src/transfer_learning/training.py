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

from transfer_learning import augment, optimization, sampling
from transfer_learning.errors import UserError
from transfer_learning.features import Part, Stored
from transfer_learning.files import written_aside
from transfer_learning.photos import load_batch
from transfer_learning.progress import Progress, Row
from transfer_learning.training_schema import Phase

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
    order, examples = np.arange(len(labels)), sampling.plain(classes)
    return dataset(batch, labels, view=0, order=order, batch_size=VALIDATION_BATCH, examples=examples)


def dataset(
    batch: Batch, labels: np.ndarray, *, view: int, order: np.ndarray, batch_size: int, examples: sampling.Examples
) -> tf.data.Dataset:
    """One pass over the photos in the given order, in batches of what `examples` makes of inputs and labels,
    prefetched."""
    first = examples(1, batch(view, order[:1]), labels[order[:1]])

    def batches() -> Iterator[tuple[np.ndarray, ...]]:
        for step, start in enumerate(range(0, len(order), batch_size), start=1):
            indices = order[start : start + batch_size]
            yield examples(step, batch(view, indices), labels[indices])

    signature = tuple(tf.TensorSpec((None, *array.shape[1:]), tf.float32) for array in first)
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
    phase: Phase,
    classes: int,
    epochs: range,
    views: int,
    seed: int,
    on_epoch: Callable[[Row], None],
    kept: Path,
    evaluate_first: bool = False,
    first_view: int = 0,
    to_beat: float = np.inf,
) -> pd.DataFrame:
    """Train a compiled model, from where `kept` says that an earlier process has come to.

    Args:
        batch: inputs of the model by view and indices.
        labels: (n,) whole numbers in [0, classes).
        phase: its settings; the rate, number of epochs and optimizer are those of the other arguments.
        classes: as the model was compiled for.
        epochs: numbers of the epochs, counted from 1 over both phases.
        views: epoch number k of this training, from 0, has view first_view + k modulo this.
        on_epoch: called with each row of the history as it comes.
        kept: folder for the state after each epoch; from one that a killed process has left, training goes on and
            ends with the same bytes as without the interruption.
        evaluate_first: begin the history with a row of the untrained model, for the epoch before the first.
        to_beat: with early stopping, the validation loss of the weights as they are, which are kept if none is lower.

    Returns:
        One row an epoch with COLUMNS. Training values are averages over the epoch with dropout on, of the loss as the
        phase changes it; validation values are measured after it, plainly, with the averaged weights if there are any.

    Raises:
        UserError: a loss is not a number or infinite.
    """
    state = Progress(model, kept, first=epochs.start, patience=phase.early_stopping, to_beat=to_beat)
    for row in state.rows:
        on_epoch(row)
    if evaluate_first and not state.rows:
        values = model.evaluate(in_order(batch, labels, classes=classes), return_dict=True, verbose=0)
        after = model.evaluate(validation, return_dict=True, verbose=0)
        _add(state, epochs.start - 1, values | {f"val_{name}": value for name, value in after.items()}, phase, on_epoch)
    done = {int(row["epoch"]) for row in state.rows}
    for number, epoch in enumerate(epochs, start=first_view):
        if epoch in done:
            continue
        if state.stopped:
            break
        _seed_dropout(model, seed, epoch)
        order = sampling.order_of(labels, balance=phase.balance, seed=seed, epoch=epoch)
        examples = sampling.examples(phase, labels, classes=classes, seed=seed, epoch=epoch)
        size = phase.batch_size
        passes = dataset(batch, labels, view=number % views, order=order, batch_size=size, examples=examples)
        _add(state, epoch, _fit(model, passes, validation, epoch, epochs.stop - 1, size), phase, on_epoch)
    state.finish()
    return pd.DataFrame(state.rows, columns=COLUMNS)


def _add(state: Progress, epoch: int, values: dict[str, float], phase: Phase, on_epoch: Callable[[Row], None]) -> None:
    row = {"epoch": epoch, **{name: round(float(values[name]), 6) for name in COLUMNS[1:]}}
    if not np.isfinite(list(row.values())).all():
        raise UserError(f"validation of epoch {epoch} gave {row}: {_remedy(state.model, phase.batch_size)}")
    state.add(row)
    on_epoch(row)


def _fit(
    model: keras.Model, passes: tf.data.Dataset, validation: tf.data.Dataset, epoch: int, last: int, batch_size: int
) -> dict[str, float]:
    """Train for one epoch of all up to `last`, then validate."""
    one_epoch = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: setattr(model, "stop_training", True))
    average = [optimization.ValidateAverage()] if optimization.averages(model.optimizer) else []
    history = model.fit(
        passes,
        validation_data=validation,
        initial_epoch=epoch - 1,
        epochs=last,
        callbacks=[one_epoch, _FiniteLoss(epoch, batch_size), *average],
        shuffle=False,
        verbose=1 if sys.stdout.isatty() else 2,
    )
    return {name: values[-1] for name, values in history.history.items()}


class _FiniteLoss(keras.callbacks.Callback):
    """Ends the training at the first step whose loss is not a finite number."""

    def __init__(self, epoch: int, batch_size: int) -> None:
        super().__init__()
        self.epoch, self.batch_size = epoch, batch_size

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        loss = (logs or {}).get("loss", 0.0)
        if not np.isfinite(loss):
            remedy = _remedy(self.model, self.batch_size)
            raise UserError(f"the loss is {loss} in step {batch + 1} of epoch {self.epoch}: {remedy}")


def _remedy(model: keras.Model, batch_size: int) -> str:
    rate = optimization.learning_rate(model.optimizer)
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


def metrics(history: pd.DataFrame, phase: Phase) -> dict[str, object]:
    """Metrics of the weights that a phase ends with, by name: after its last epoch, or with early stopping after the
    one with the lowest validation loss, whose number is `best_epoch`."""
    if not phase.early_stopping:
        return history.drop(columns="epoch").iloc[-1].to_dict()
    trained = history[history["epoch"] > 0]
    best = trained.loc[trained["val_loss"].idxmin()]  # the first of equal ones
    return best.drop("epoch").to_dict() | {"best_epoch": int(best["epoch"])}
