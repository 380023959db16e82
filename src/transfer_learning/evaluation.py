"""Metrics of a binary classifier on test photos."""

from __future__ import annotations

import numpy as np
from scipy.stats import binomtest
from sklearn.metrics import log_loss, precision_recall_fscore_support, roc_auc_score


def measure(
    labels: np.ndarray, probabilities: np.ndarray, *, threshold: float, confidence: float, bins: int
) -> dict[str, object]:
    """Compute loss, accuracy with its Wilson interval, precision, recall, F1, ROC AUC and calibration error.

    Args:
        labels: (n,) in {0, 1}, both present.
        probabilities: (n,) in [0, 1], of class 1; precision, recall and F1 are those of class 1.

    Returns:
        Numbers by name, as reports/test/metrics.json holds them.
    """
    predicted = probabilities >= threshold
    right = int((predicted == labels).sum())
    low, high = wilson_interval(right, len(labels), confidence=confidence)
    precision, recall, f1, _ = precision_recall_fscore_support(labels, predicted, average="binary", zero_division=0.0)
    return {
        "photos": len(labels),
        "correct": right,
        "loss": float(log_loss(labels, probabilities.astype(np.float64), labels=[0, 1])),
        "accuracy": right / len(labels),
        "accuracy_low": low,
        "accuracy_high": high,
        "precision": float(precision),
        "recall": float(recall),
        "f1": float(f1),
        "roc_auc": float(roc_auc_score(labels, probabilities)),
        "calibration_error": calibration_error(labels, probabilities, bins=bins),
    }


def wilson_interval(right: int, n: int, *, confidence: float) -> tuple[float, float]:
    """Wilson's score interval of a proportion (Wilson 1927)."""
    interval = binomtest(right, n).proportion_ci(confidence_level=confidence, method="wilson")
    return float(interval.low), float(interval.high)


def calibration_bins(labels: np.ndarray, probabilities: np.ndarray, *, bins: int) -> list[tuple[float, float, int]]:
    """Per equally wide bin that is not empty: mean probability, share of class 1, number of photos."""
    index = np.minimum((probabilities * bins).astype(int), bins - 1)
    return [
        (float(probabilities[chosen].mean()), float(labels[chosen].mean()), int(chosen.sum()))
        for chosen in (index == number for number in range(bins))
        if chosen.any()
    ]


def calibration_error(labels: np.ndarray, probabilities: np.ndarray, *, bins: int) -> float:
    """Expected calibration error of the probability of class 1 (Naeini et al. 2015): |mean - share|, by photos."""
    rows = calibration_bins(labels, probabilities, bins=bins)
    return sum(abs(mean - share) * number for mean, share, number in rows) / len(labels)
