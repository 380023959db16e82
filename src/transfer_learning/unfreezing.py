"""Fine-tuning in one step or in several that go further and further down the backbone, and slower there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from transfer_learning import backbone, classifier, optimization, training
from transfer_learning.progress import Row
from transfer_learning.training_schema import Finetune, Step
from transfer_learning.weights import Weights


def fine_tune(
    base: keras.Model,
    head: Weights,
    batch: training.Batch,
    labels: np.ndarray,
    validation: tf.data.Dataset,
    *,
    phase: Finetune,
    boundary: str | None,
    boundaries: dict[str, int],
    classes: int,
    dropout: float,
    first: int,
    views: int,
    seed: int,
    slices: int,
    on_epoch: Callable[[Row], None],
    kept: Path,
) -> tuple[keras.Model, pd.DataFrame]:
    """Train the top of the backbone and the head, step by step of the phase's plan (gradual unfreezing, Howard and
    Ruder 2018).

    Each step begins with the weights of the one before, with an optimizer, schedule, average and patience of its own.
    With early stopping it ends with the best weights of all steps so far.

    Args:
        base: filled; its weights are trained.
        head: weights to begin with.
        boundary: layer whose activations `batch` gives; None where it gives photos.
        boundaries: ends of the backbone's stages, by index of the layer.
        first: number of the first epoch.
        kept: see `training.train`, which explains the others too.

    Returns:
        What was trained last, as `classifier.trainable_top` builds it, and the history of all steps.
    """
    history = pd.DataFrame(columns=training.COLUMNS)
    model = None
    for number, step in enumerate(phase.plan, start=1):
        if model is not None:
            head = backbone.get_weights([model.get_layer(classifier.HEAD)])
        model = _compiled(base, head, step, phase, boundary, boundaries, len(labels), classes, dropout, seed, slices)
        start = first + len(history)
        rows = training.train(
            model,
            batch,
            labels,
            validation,
            phase=phase,
            classes=classes,
            epochs=range(start, start + step.epochs),
            views=views,
            seed=seed,
            on_epoch=on_epoch,
            kept=kept / f"step-{number}" if phase.steps else kept,
            first_view=len(history),
            to_beat=history["val_loss"].min() if len(history) else np.inf,
        )
        history = pd.concat([history, rows], ignore_index=True) if len(history) else rows
    return model, history


def _compiled(
    base: keras.Model,
    head: Weights,
    step: Step,
    phase: Finetune,
    boundary: str | None,
    boundaries: dict[str, int],
    photos: int,
    classes: int,
    dropout: float,
    seed: int,
    slices: int,
) -> keras.Model:
    """What a step trains, with its optimizer."""
    model = classifier.trainable_top(
        base, boundary, fine_tune_at=step.fine_tune_at, classes=classes, dropout=dropout, seed=seed, slices=slices
    )
    backbone.set_weights([model.get_layer(classifier.HEAD)], head)
    optimizer = optimization.build(
        phase,
        model.trainable_variables,
        learning_rate=step.learning_rate,
        epochs=step.epochs,
        photos=photos,
        factors=factors(base, model, boundaries, phase.layer_decay),
    )
    training.compile_model(model, optimizer, classes=classes)
    trainable = sum(weight.shape.num_elements() for weight in model.trainable_weights)
    print(f"fine-tuning from layer {step.fine_tune_at} of {len(base.layers)}: {trainable:,} trainable parameters")
    return model


def factors(base: keras.Model, model: keras.Model, boundaries: dict[str, int], decay: float) -> list[float]:
    """Factors of the learning rate for each trainable variable of a model (discriminative fine-tuning, Howard and Ruder
    2018, by stages of the backbone): 1 for the head, `decay` for the top stage, its square for the one below, ...

    Args:
        boundaries: index of the last layer of each stage but the top one.
    """
    depths = {
        id(variable): 1 + sum(end >= index for end in boundaries.values())
        for index, layer in enumerate(base.layers)
        for variable in layer.trainable_variables
    }
    return [decay ** depths.get(id(variable), 0) for variable in model.trainable_variables]
