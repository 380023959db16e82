"""What an epoch trains on: the order of the photos, and targets that are balanced, mixed and smoothed.

All that is drawn follows from seed, epoch and step alone, so that training can go on in the middle with the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from transfer_learning.training_schema import Phase

MakeBatch = Callable[[int, np.ndarray, np.ndarray], tuple[np.ndarray, ...]]
"""(step from 1, inputs (n, ...), labels (n,)) to what `fit` takes: inputs, targets and, for some, sample weights."""


def targets_of(labels: np.ndarray, *, classes: int) -> np.ndarray:
    """What the logits are trained towards, float32: (n, 1) in {0, 1} for two classes, else one-hot (n, classes)."""
    if classes == 2:
        return labels[:, None].astype(np.float32)
    return np.asarray(labels[:, None] == np.arange(classes), np.float32)


def plain(classes: int) -> MakeBatch:
    """Inputs as they are with their targets."""
    return lambda step, inputs, labels: (inputs, targets_of(labels, classes=classes))


def order_of(labels: np.ndarray, *, balance: str, seed: int, epoch: int) -> np.ndarray:
    """Draw the order of an epoch: n indices of photos.

    With `balance` "sampling" every class has the same number of places, or one more, and fills them with each of its
    photos in turn: a photo of a large class is not in every epoch, one of a small class is in it several times, in the
    same view. Else every photo is in it once.
    """
    generator = np.random.default_rng([seed, epoch])
    if balance != "sampling":
        return generator.permutation(len(labels))
    classes = int(labels.max()) + 1
    places = len(labels) // classes + (generator.permutation(classes) < len(labels) % classes)
    drawn = [
        np.resize(generator.permutation(np.flatnonzero(labels == label)), number) for label, number in enumerate(places)
    ]
    return generator.permutation(np.concatenate(drawn))


def class_weights(labels: np.ndarray) -> np.ndarray:
    """Weights (classes,) float32 that make classes count the same: n / (classes * photos of the class), as
    scikit-learn's "balanced" (King and Zeng 2001)."""
    counts = np.bincount(labels)
    return (len(labels) / (len(counts) * counts)).astype(np.float32)


def examples(phase: Phase, labels: np.ndarray, *, classes: int, seed: int, epoch: int) -> MakeBatch:
    """What an epoch of a phase trains on: weighted by class, mixed and smoothed as its settings say.

    Mixup (Zhang et al. 2018) takes a share from Beta(alpha, alpha) for each batch and mixes it with itself in another
    order, as their code does. Inputs are what the trained part takes: of stored activations or pooled features it is
    manifold mixup (Verma et al. 2019) at that layer, of photos the original. With class weights the mixed target and
    its weight give the same mixture of both weighted losses.

    Args:
        labels: (n,) of all training photos; the class weights are theirs.
    """
    weights = class_weights(labels) if phase.balance == "class_weights" else None

    def batch(step: int, inputs: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, ...]:
        targets = targets_of(labels, classes=classes)
        weight = np.ones(len(labels), np.float32) if weights is None else weights[labels]
        if phase.mixup:
            generator = np.random.default_rng([seed, epoch, step])  # a step of 0 would be the generator of the order
            share = np.float32(generator.beta(phase.mixup, phase.mixup))
            other = generator.permutation(len(labels))
            inputs = share * inputs + (1 - share) * inputs[other]
            mixed = share * weight + (1 - share) * weight[other]
            own = (share * weight / mixed)[:, None]
            targets, weight = own * targets + (1 - own) * targets[other], mixed
        if phase.label_smoothing:
            targets = (1 - phase.label_smoothing) * targets + phase.label_smoothing / classes
        return (inputs, targets.astype(np.float32)) + ((weight,) if weights is not None else ())

    return batch
