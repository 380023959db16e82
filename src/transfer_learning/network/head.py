"""What every head has in common: its name in the weights' files, its number of logits, and what it makes of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from transfer_learning.core.weights import Weights

HEAD = "head"
PROBE, PROBE_METRICS = Path("models/probe.weights.h5"), Path("reports/probe/metrics.json")  # of the linear probe


def logits(classes: int) -> int:
    """Number of logits: one for two classes, whose sigmoid is the probability of class 1; else one a class."""
    return 1 if classes == 2 else classes


def probabilities(embeddings: np.ndarray, weights: Weights) -> np.ndarray:
    """Probabilities (n, classes) float64 by a head from its weights.

    Args:
        embeddings: (n, channels) pooled features.
    """
    from scipy.special import expit, softmax  # the stages that only train start without it

    kernel, bias = (array.astype(np.float64) for array in weights[HEAD])
    found = embeddings.astype(np.float64) @ kernel + bias
    if found.shape[1] == 1:
        second = expit(found)
        return np.concatenate([1 - second, second], axis=1)
    return np.asarray(softmax(found, axis=1))
