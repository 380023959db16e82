"""A head on four features, trained on twelve drawn examples: small enough to follow by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from transfer_learning.core.history import Row
from transfer_learning.core.weights import Weights
from transfer_learning.network.head import HEAD
from transfer_learning.settings.phases import Phase
from transfer_learning.stage.kept_epochs import KeptEpochs
from transfer_learning.training import classifier, epochs, optimizers
from transfer_learning.training.inputs import Examples, from_array, in_order

GENERATOR = np.random.default_rng(0)
INPUTS = GENERATOR.normal(size=(2, 12, 4)).astype(np.float32)  # two views
LABELS = np.array([0, 1, 0, 1, 1, 0, 0, 0, 1, 0, 0, 1], np.uint8)


def trained(
    settings: Phase,
    kept: Path,
    *,
    last: int = 1,
    validation: np.ndarray = INPUTS,
    start: Weights | None = None,
    on_epoch: Callable[[Row], None] = lambda _: None,
) -> tuple[keras.Model, Any]:
    """A head on four features, trained for the epochs 1 to `last`, validated on the first view."""
    model = classifier.head(4, classes=2, dropout=0.0, seed=0)
    if start:
        classifier.start_from(model, start)
    options = {"learning_rate": settings.learning_rate, "epochs": settings.epochs, "photos": 12}
    optimizer = optimizers.build(settings, model.trainable_variables, **options)
    epochs.compile_model(model, optimizer, classes=2)
    history = epochs.train(
        model,
        Examples(from_array(INPUTS), LABELS, in_order(from_array(validation), LABELS, classes=2), classes=2, views=2),
        epochs.Session(0, on_epoch, KeptEpochs(kept).beginning(settings.beginning())),
        phase=settings,
        epochs=range(1, last + 1),
        evaluate_first=bool(start),
    )
    return model, history


def kernel(model: keras.Model) -> np.ndarray:
    return model.get_layer(HEAD).get_weights()[0][:, 0].astype(float)


def gradient(weights: np.ndarray, inputs: np.ndarray, labels: np.ndarray = LABELS) -> np.ndarray:
    """Of the mean binary cross-entropy, for weights and a bias at the end."""
    wide = np.c_[inputs, np.ones(len(inputs))].astype(float)
    return wide.T @ (1 / (1 + np.exp(-wide @ weights)) - labels) / len(labels)
