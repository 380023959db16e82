"""Probabilities that come true as often as they say: one temperature divides all logits (Guo et al. 2017)."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import expit, logsumexp, softmax

SPREAD = float(np.log(2))  # standard deviation of the prior of log T: most networks' temperatures are from 1/2 to 2
COLDEST, HOTTEST = 0.05, 20.0
DECIMALS = 6  # of a temperature, so that what metrics.json says is what the model has


def probabilities(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Probabilities (n, classes) float64 of logits (n, 1), of the second of two classes, or (n, classes)."""
    scaled = logits.astype(np.float64) / temperature
    if scaled.shape[1] == 1:
        return np.concatenate([expit(-scaled), expit(scaled)], axis=1)
    return np.asarray(softmax(scaled, axis=1))


def fit(labels: np.ndarray, logits: np.ndarray) -> float:
    """The temperature that makes these labels the most probable, which ought to be of photos not trained on.

    log T has a normal prior with mean 0 and standard deviation SPREAD. Hundreds of photos outweigh it. A few, or
    photos that are all predicted right, do not: there the likelihood alone would take T to 0 and every probability to
    0 or 1, on the word of photos that hold no mistake to learn the rate of mistakes from.

    Args:
        labels: (n,) indices.
        logits: (n, 1) or (n, classes), as for `probabilities`.

    Returns:
        T from COLDEST to HOTTEST, of which a larger one brings probabilities closer to each other; the order of a
        photo's classes stays. The same for the same numbers.
    """
    scores = logits.astype(np.float64)
    if scores.shape[1] == 1:
        scores = np.concatenate([np.zeros_like(scores), scores], axis=1)
    own = scores[np.arange(len(labels)), labels].sum()

    def cost(log_inverse: float) -> float:
        inverse = np.exp(log_inverse)
        likelihood = inverse * own - logsumexp(inverse * scores, axis=1).sum()
        return float(log_inverse**2 / (2 * SPREAD**2) - likelihood)

    grid = np.linspace(-np.log(HOTTEST), -np.log(COLDEST), 121)  # with the prior there may be more than one minimum
    lowest = int(np.argmin([cost(place) for place in grid]))
    bounds = grid[max(lowest - 1, 0)], grid[min(lowest + 1, len(grid) - 1)]
    found = minimize_scalar(cost, bounds=bounds, method="bounded", options={"xatol": 1e-9})
    return round(float(np.exp(-found.x)), DECIMALS)
