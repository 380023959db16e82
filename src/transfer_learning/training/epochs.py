"""Training: Keras's fit, one epoch at a time, each on its own view and in its own order."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from transfer_learning.core.errors import UserError
from transfer_learning.core.history import COLUMNS, Row, best
from transfer_learning.settings.phases import Phase
from transfer_learning.stage.kept_epochs import KeptEpochs
from transfer_learning.training import optimizers, sampling
from transfer_learning.training.inputs import Examples, dataset, in_order
from transfer_learning.training.progress import Progress


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


@dataclass(frozen=True)
class Session:
    """How a training is run, beside what it learns from and its settings.

    Attributes:
        seed: that orders, dropout and mixtures follow from, with the number of the epoch.
        on_epoch: called with each row of the history as it comes.
        kept: where the state after each epoch is; from the latest that an earlier training with the same beginning
            has left, this one goes on and ends with the same bytes as without it.
    """

    seed: int
    on_epoch: Callable[[Row], None]
    kept: KeptEpochs


def train(
    model: keras.Model,
    examples: Examples,
    session: Session,
    *,
    phase: Phase,
    epochs: range,
    before: pd.DataFrame | None = None,
    evaluate_first: bool = False,
) -> pd.DataFrame:
    """Train a compiled model, from where an earlier training with the same beginning has come to.

    Args:
        model: compiled for the examples' number of classes.
        phase: its settings; the rate, number of epochs and optimizer are those of the other arguments.
        epochs: their numbers, counted from 1 over both phases.
        before: history of the steps of the same phase before this one. Its views are gone on from, one an epoch in
            turn; with early stopping the weights as they are count as those of its best epoch, and are kept if none is
            better.
        evaluate_first: begin the history with a row of the model as it is, for the epoch before the first; with early
            stopping it is kept if no epoch is better.

    Returns:
        One row an epoch with COLUMNS. Training values are averages over the epoch with dropout on, of the loss as the
        phase changes it; validation values are measured after it, plainly, with the averaged weights if there are any.

    Raises:
        UserError: a loss is not a number or infinite.
    """
    earlier: list[Row] = [] if before is None else before.to_dict("records")
    state = Progress(model, session.kept, phase=phase, before=earlier, last=epochs.stop - 1)
    for row in state.rows:
        session.on_epoch(row)
    if evaluate_first and not state.rows:
        _add(state, epochs.start - 1, _measured(model, examples), phase, session)
    done = {int(row["epoch"]) for row in state.rows}
    for number, epoch in enumerate(epochs, start=epochs_of(earlier, phase)):
        if epoch in done:
            continue
        if state.stopped:
            break
        _seed_dropout(model, session.seed, epoch)
        view = number % examples.views
        values = _fit(model, _one_epoch(examples, phase, session.seed, epoch, view), examples, phase, epoch, epochs)
        _add(state, epoch, values, phase, session)
    state.finish()
    return pd.DataFrame(state.rows, columns=COLUMNS)


def epochs_of(rows: Sequence[Row], phase: Phase) -> int:
    """Number of epochs in the history of a fine-tuning so far, which begins with what it starts from where that can be
    kept."""
    return len(rows) - bool(len(rows) and phase.early_stopping)


def _measured(model: keras.Model, examples: Examples) -> Row:
    """Loss and accuracy of a model as it is, on the first view of the training photos and on validation."""
    plain = in_order(examples.batch, examples.labels, classes=examples.classes)
    values = model.evaluate(plain, return_dict=True, verbose=0)
    after = model.evaluate(examples.validation, return_dict=True, verbose=0)
    return values | {f"val_{name}": value for name, value in after.items()}


def _one_epoch(examples: Examples, phase: Phase, seed: int, epoch: int, view: int) -> tf.data.Dataset:
    """The training photos of an epoch, in one of the views."""
    labels = examples.labels
    order = sampling.order_of(labels, balance=phase.balance, seed=seed, epoch=epoch)
    made_by = sampling.examples(phase, labels, classes=examples.classes, seed=seed, epoch=epoch)
    return dataset(examples.batch, labels, view=view, order=order, batch_size=phase.batch_size, made_by=made_by)


def _add(state: Progress, epoch: int, values: Row, phase: Phase, session: Session) -> None:
    row = {"epoch": epoch, **{name: round(float(values[name]), 6) for name in COLUMNS[1:]}}
    if not np.isfinite(list(row.values())).all():
        gave = ", ".join(f"{name} = {row[name]}" for name in COLUMNS[1:])
        raise UserError(f"epoch {epoch} ended with {gave}: {_remedy(state.model, phase.batch_size)}")
    state.add(row)
    session.on_epoch(row)


def _fit(
    model: keras.Model, passes: tf.data.Dataset, examples: Examples, phase: Phase, epoch: int, epochs: range
) -> Row:
    """Train for one epoch of all, then validate."""
    one_epoch = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: setattr(model, "stop_training", True))
    average = [optimizers.ValidateAverage()] if optimizers.averages(model.optimizer) else []
    history = model.fit(
        passes,
        validation_data=examples.validation,
        initial_epoch=epoch - 1,
        epochs=epochs.stop - 1,
        callbacks=[one_epoch, _FiniteLoss(epoch, phase.batch_size), *average],
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
    rate = optimizers.learning_rate(model.optimizer)
    return f"no model is written; learning_rate is {rate:g}, batch_size {batch_size}: a lower rate helps most often"


def _seed_dropout(model: keras.Model, seed: int, epoch: int) -> None:
    """Let dropout follow from seed and epoch alone, not from how many steps came before."""
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dropout) and layer.rate > 0:
            layer.seed_generator.state.assign([seed, epoch])


def metrics(history: pd.DataFrame, phase: Phase) -> dict[str, object]:
    """Metrics of the weights that a phase ends with, by name: after its last epoch, or with early stopping after the
    best one, whose number is `best_epoch`."""
    rows: list[Row] = history.to_dict("records")
    kept = best(rows, phase.monitor) if phase.early_stopping else rows[-1]
    found: dict[str, object] = {name: kept[name] for name in COLUMNS if name != "epoch"}
    return found | ({"best_epoch": int(kept["epoch"])} if phase.early_stopping else {})
