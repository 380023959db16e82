"""Metrics of a classifier on test photos, of two classes or many."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.stats import binomtest
from sklearn.metrics import balanced_accuracy_score, log_loss, precision_recall_fscore_support, roc_auc_score

from transfer_learning.evaluation.predictions import Predictions
from transfer_learning.settings.schema import Evaluate

MANY = 10  # classes; with more of them the five most probable ones are looked at too
TOP = 5


def predict(probabilities: np.ndarray, *, threshold: float) -> np.ndarray:
    """Choose the most probable class; of two classes the second from `threshold` on.

    Args:
        probabilities: (n, classes) in [0, 1].

    Returns:
        (n,) indices.
    """
    if probabilities.shape[1] == 2:
        return (probabilities[:, 1] >= threshold).astype(int)
    return probabilities.argmax(axis=1)


def measure(
    labels: np.ndarray, probabilities: np.ndarray, *, threshold: float, confidence: float, bins: int
) -> dict[str, object]:
    """Compute loss, accuracy with its Wilson interval, precision, recall, F1, ROC AUC and calibration error.

    Precision, recall, F1 and ROC AUC are those of the second of two classes, and means over all classes (each against
    the rest) where there are more. Balanced accuracy is the mean recall of all classes (Brodersen et al. 2010).

    Args:
        labels: (n,) indices, every class present.
        probabilities: (n, classes) in [0, 1].

    Returns:
        Numbers by name, as reports/test/metrics.json holds them.
    """
    predicted = predict(probabilities, threshold=threshold)
    classes, scores = probabilities.shape[1], _scores(probabilities)
    found: dict[str, object] = {
        "photos": len(labels),
        "correct": int((predicted == labels).sum()),
        "loss": loss(labels, probabilities),
        **of_classes(labels, predicted, classes=classes, confidence=confidence),
        "roc_auc": float(roc_auc_score(labels, scores, multi_class="ovr")),
        "calibration_error": calibration_error(*judged(labels, probabilities), bins=bins),
    }
    if classes > MANY:
        ahead = (probabilities > probabilities[np.arange(len(labels)), labels][:, None]).sum(axis=1)
        found[f"top_{TOP}_accuracy"] = float((ahead < TOP).mean())
    return found


def of_test(found: Predictions, before: np.ndarray, temperature: float, options: Evaluate) -> dict[str, object]:
    """All metrics of the test photos: those of `measure`, what calibration did, and what is left of the sure ones.

    Args:
        found: as the model is used.
        before: probabilities (n, classes) before calibration.
    """
    bins = options.calibration_bins
    measured = measure(
        found.labels, found.probabilities, threshold=options.threshold, confidence=options.confidence, bins=bins
    )
    if options.temperature_scaling:
        measured |= {
            "temperature": temperature,
            "loss_uncalibrated": loss(found.labels, before),
            "calibration_error_uncalibrated": calibration_error(*judged(found.labels, before), bins=bins),
        }
    if options.reject_below:
        measured |= of_the_sure(found.labels, found.predicted, found.unsure(options.reject_below))
    return measured


def loss(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean cross-entropy (negative log-likelihood) of labels (n,) by probabilities (n, classes)."""
    return float(log_loss(labels, _scores(probabilities), labels=range(probabilities.shape[1])))


def _scores(probabilities: np.ndarray) -> np.ndarray:
    """Probabilities as scikit-learn takes them: (n,) of the second of two classes, else (n, classes)."""
    exact = probabilities.astype(np.float64)
    exact /= exact.sum(axis=1, keepdims=True)  # float32 sums differ from 1 in the seventh digit
    return exact[:, 1] if exact.shape[1] == 2 else exact


def of_the_sure(labels: np.ndarray, predicted: np.ndarray, unsure: np.ndarray) -> dict[str, float]:
    """What is left when unsure predictions are rejected (selective classification, El-Yaniv and Wiener 2010).

    Args:
        labels: (n,) indices.
        predicted: (n,) indices.
        unsure: (n,) whether a prediction is rejected.

    Returns:
        `rejected`, the share of the photos, and `selective_accuracy`, that of the others, which is left out where
        there are none.
    """
    right = (predicted == labels)[~unsure]
    rest = {"selective_accuracy": float(right.mean())} if len(right) else {}
    return {"rejected": float(unsure.mean()), **rest}


def of_classes(labels: np.ndarray, predicted: np.ndarray, *, classes: int, confidence: float) -> dict[str, float]:
    """Those of `measure` that follow from the predicted classes alone.

    Args:
        labels: (n,) indices, every class present.
        predicted: (n,) indices.
    """
    right = int((predicted == labels).sum())
    low, high = wilson_interval(right, len(labels), confidence=confidence)
    average = "binary" if classes == 2 else "macro"
    precision, recall, f1, _ = precision_recall_fscore_support(labels, predicted, average=average, zero_division=0.0)
    return {
        "accuracy": right / len(labels),
        "accuracy_low": low,
        "accuracy_high": high,
        "balanced_accuracy": float(balanced_accuracy_score(labels, predicted)),
        "precision": float(precision),
        "recall": float(recall),
        "f1": float(f1),
    }


def in_words(metrics: Mapping[str, object], *, confidence: float) -> str:
    """What the test photos say, for people: the accuracy with its interval, calibration, unsure photos."""
    said = [
        f"test accuracy {metrics['accuracy']:.1%}: {metrics['correct']} of {metrics['photos']} photos, "
        f"{confidence:.0%} interval {metrics['accuracy_low']:.1%} to {metrics['accuracy_high']:.1%}"
    ]
    if "temperature" in metrics:
        said.append(
            f"temperature {metrics['temperature']:.3f}: calibration error "
            f"{metrics['calibration_error_uncalibrated']:.3f} -> {metrics['calibration_error']:.3f}, "
            f"loss {metrics['loss_uncalibrated']:.3f} -> {metrics['loss']:.3f}"
        )
    return "\n".join([*said, *([sure] if (sure := sure_in_words(metrics)) else [])])


def sure_in_words(metrics: Mapping[str, object]) -> str:
    """How many test photos are unsure, and how right the others are; empty where none was to be rejected."""
    if "rejected" not in metrics:
        return ""
    rest = f"{metrics['selective_accuracy']:.1%} of the others are right" if "selective_accuracy" in metrics else ""
    return f"unsure on {metrics['rejected']:.1%} of the test photos; {rest or 'there are no others'}"


def per_class(labels: np.ndarray, predicted: np.ndarray, classes: list[str]) -> pd.DataFrame:
    """One row a class: class, photos, correct, precision, recall and f1, each in [0, 1] at six decimals."""
    precision, recall, f1, photos = precision_recall_fscore_support(
        labels, predicted, labels=range(len(classes)), zero_division=0.0
    )
    correct = [int((predicted[labels == index] == index).sum()) for index in range(len(classes))]
    table = pd.DataFrame({"class": classes, "photos": photos, "correct": correct})
    return table.assign(precision=precision.round(6), recall=recall.round(6), f1=f1.round(6))


def wilson_interval(right: int, n: int, *, confidence: float) -> tuple[float, float]:
    """Wilson's score interval of a proportion (Wilson 1927)."""
    interval = binomtest(right, n).proportion_ci(confidence_level=confidence, method="wilson")
    return float(interval.low), float(interval.high)


def mcnemar(lost: int, gained: int) -> float:
    """p-value in (0, 1] of the two-sided exact McNemar test (McNemar 1947).

    Args:
        lost: photos that only the first model has right.
        gained: those that only the second one has right.
    """
    return float(binomtest(lost, lost + gained).pvalue) if lost + gained else 1.0


def judged(labels: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What calibration compares: whether it came true (n,), and how probable it was said to be (n,).

    Of two classes that is the second one; of more the most probable one (Guo et al. 2017).
    """
    if probabilities.shape[1] == 2:
        return labels, probabilities[:, 1]
    return (probabilities.argmax(axis=1) == labels).astype(int), probabilities.max(axis=1)


def calibration_bins(true: np.ndarray, probabilities: np.ndarray, *, bins: int) -> list[tuple[float, float, int]]:
    """Per equally wide bin that is not empty: mean probability, share that came true, number of photos."""
    index = np.minimum((probabilities * bins).astype(int), bins - 1)
    return [
        (float(probabilities[chosen].mean()), float(true[chosen].mean()), int(chosen.sum()))
        for chosen in (index == number for number in range(bins))
        if chosen.any()
    ]


def calibration_error(true: np.ndarray, probabilities: np.ndarray, *, bins: int) -> float:
    """Expected calibration error (Naeini et al. 2015): |mean - share| of each bin, by photos; see `judged`."""
    rows = calibration_bins(true, probabilities, bins=bins)
    return sum(abs(mean - share) * number for mean, share, number in rows) / len(true)
