"""Fine-tuning in one step or in several that go further and further down the backbone, and slower there."""

from __future__ import annotations

from dataclasses import dataclass, replace

import keras
import pandas as pd

from transfer_learning.core.history import COLUMNS, Row
from transfer_learning.core.weights import Weights
from transfer_learning.network.runtime import slices
from transfer_learning.settings.backbones import BACKBONES
from transfer_learning.settings.phases import Finetune, Step
from transfer_learning.training import classifier, epochs, optimizers
from transfer_learning.training.epochs import Session
from transfer_learning.training.inputs import Examples


@dataclass(frozen=True)
class Network:
    """What fine-tuning trains the top of.

    Attributes:
        base: the backbone, filled; its weights are trained.
        boundary: layer whose activations are the inputs; None where these are photos.
        dropout: rate before the head, in [0, 1).
    """

    base: keras.Model
    boundary: str | None
    dropout: float


def fine_tune(
    network: Network, head: Weights, examples: Examples, session: Session, *, phase: Finetune, first: int
) -> tuple[keras.Model, pd.DataFrame]:
    """Train the top of the backbone and the head, step by step of the phase's plan (gradual unfreezing, Howard and
    Ruder 2018).

    Each step begins with the weights of the one before, with an optimizer, schedule, average and patience of its own.
    With early stopping it ends with the best weights of all steps so far, or those that it starts from.

    Args:
        head: weights to begin with.
        examples: whose inputs are what the network's boundary says.
        first: number of the first epoch.

    Returns:
        What was trained last, as `classifier.trainable_top` builds it, and the history of all steps.
    """

    def trained(row: Row) -> None:
        if row["epoch"] >= first:  # the one before is the frozen phase's
            session.on_epoch(row)

    own, history = replace(session, on_epoch=trained), pd.DataFrame(columns=COLUMNS)
    model = None
    for number, step in enumerate(phase.plan, start=1):
        if model is not None:
            head = classifier.head_weights(model)
        model = _compiled(network, head, step, examples, seed=session.seed, phase=phase)
        start = first + epochs.epochs_of(history, phase)
        rows = epochs.train(
            model,
            examples,
            replace(own, kept=session.kept.beginning(phase.beginning(number), network.boundary)),
            phase=phase,
            epochs=range(start, start + (phase.stop_after or step.epochs)),
            before=history if len(history) else None,
            evaluate_first=bool(phase.early_stopping and history.empty),
        )
        history = pd.concat([history, rows], ignore_index=True) if len(history) else rows
    return model, history


def _compiled(
    network: Network, head: Weights, step: Step, examples: Examples, *, seed: int, phase: Finetune
) -> keras.Model:
    """What a step trains, with its optimizer."""
    base = network.base
    model = classifier.trainable_top(
        base,
        network.boundary,
        fine_tune_at=step.fine_tune_at,
        classes=examples.classes,
        dropout=network.dropout,
        seed=seed,
        slices=slices(),
    )
    classifier.start_from(model, head)
    optimizer = optimizers.build(
        phase,
        model.trainable_variables,
        learning_rate=step.learning_rate,
        epochs=step.epochs,
        photos=len(examples.labels),
        factors=factors(base, model, BACKBONES[base.backbone].boundaries, phase.layer_decay),
    )
    epochs.compile_model(model, optimizer, classes=examples.classes)
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
