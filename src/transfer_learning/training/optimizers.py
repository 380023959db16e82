"""Optimizers as the settings describe them: schedules, weight decay, averaged weights, lower rates further down."""

from __future__ import annotations

from typing import TypeAlias

import keras
import numpy as np

from transfer_learning.settings.phases import Phase

Rate: TypeAlias = "float | keras.optimizers.schedules.LearningRateSchedule"


def build(
    phase: Phase,
    variables: list[keras.Variable],
    *,
    learning_rate: float,
    epochs: int,
    photos: int,
    factors: list[float] | None = None,
) -> keras.Optimizer:
    """Build the optimizer of a phase.

    Args:
        variables: that it will train.
        learning_rate: the highest of the schedule.
        epochs: of this training.
        photos: of an epoch.
        factors: of the learning rate, for each variable. Scaling gradients would not do: Adam and RMSprop divide by
            their size. Variables of one factor get an optimizer of their own, with a schedule and a weight decay that
            are lower by this factor.
    """
    per_epoch = -(-photos // phase.batch_size)
    steps, warmup = epochs * per_epoch, phase.warmup_epochs * per_epoch
    values = factors or [1.0] * len(variables)
    optimizers = {
        factor: _one(phase, schedule(phase.schedule, learning_rate * factor, steps=steps, warmup=warmup))
        for factor in dict.fromkeys(values)
    }
    for optimizer in optimizers.values():
        if phase.weight_decay:  # of kernels alone: biases, scales and offsets are not what overfits
            optimizer.exclude_from_weight_decay(var_list=[one for one in variables if len(one.shape) < 2])
    if len(optimizers) == 1:
        return next(iter(optimizers.values()))
    chosen = {id(variable): optimizers[factor] for variable, factor in zip(variables, values, strict=True)}
    return keras.optimizers.MultiOptimizer(lambda variable: chosen[id(variable)])


def _one(phase: Phase, rate: Rate) -> keras.Optimizer:
    average = {"use_ema": True, "ema_momentum": phase.ema} if phase.ema else {}
    match phase.optimizer:
        case "adam":
            return keras.optimizers.Adam(rate, **average)
        case "adamw":
            return keras.optimizers.AdamW(rate, weight_decay=phase.weight_decay, **average)
        case "rmsprop":
            return keras.optimizers.RMSprop(rate, **average)
        case "sgd":
            return keras.optimizers.SGD(rate, momentum=phase.momentum, **average)


def schedule(name: str, learning_rate: float, *, steps: int, warmup: int) -> Rate:
    """Learning rate by step: from 0 up to `learning_rate` in `warmup` steps (Goyal et al. 2017), then constant, or down
    to 0 at the end along half a cosine (Loshchilov and Hutter 2017)."""
    schedules = keras.optimizers.schedules
    if name == "cosine" and warmup:
        return schedules.CosineDecay(0.0, steps - warmup, warmup_target=learning_rate, warmup_steps=warmup)
    if name == "cosine":
        return schedules.CosineDecay(learning_rate, steps)
    if warmup:
        return schedules.PolynomialDecay(0.0, warmup, end_learning_rate=learning_rate, power=1.0)
    return learning_rate


def parts(optimizer: keras.Optimizer) -> list[keras.Optimizer]:
    """The optimizers that one is made of; itself where it is no MultiOptimizer."""
    return getattr(optimizer, "optimizers", [optimizer])


def learning_rate(optimizer: keras.Optimizer) -> float:
    """The highest learning rate of the step that comes next."""
    return max(float(part.learning_rate) for part in parts(optimizer))


def averages(optimizer: keras.Optimizer) -> bool:
    """Whether it keeps a moving average of the weights (Polyak and Juditsky 1992)."""
    return any(part.use_ema for part in parts(optimizer))


def put_average(model: keras.Model) -> list[np.ndarray]:
    """Give a model the averaged weights, if its optimizer keeps them and has made a step: before, Keras's average is
    zero. Returns the trainable ones that it had."""
    own = [keras.ops.convert_to_numpy(variable) for variable in model.trainable_variables]
    if all(int(part.iterations) for part in parts(model.optimizer)):
        model.optimizer.finalize_variable_values(model.trainable_variables)
    return own


def assign(variables: list[keras.Variable], arrays: list[np.ndarray]) -> None:
    """Give variables values, one for each."""
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)


class ValidateAverage(keras.callbacks.Callback):
    """Validates the averaged weights, where an optimizer keeps them, and trains on with the others.

    Keras's SwapEMAWeights swaps by adding and subtracting, which changes the weights by rounding, and `fit` ends with
    the averaged weights in the model, here after each epoch.
    """

    def on_test_begin(self, logs: dict[str, float] | None = None) -> None:
        self.own = put_average(self.model)

    def on_test_end(self, logs: dict[str, float] | None = None) -> None:
        assign(self.model.trainable_variables, self.own)

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        assign(self.model.trainable_variables, self.own)
