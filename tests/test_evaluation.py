"""Metrics against formulas written out, and figures that are real pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from transfer_learning import evaluation, figures

LABELS = np.array([0, 0, 0, 0, 1, 1, 1, 1])
PROBABILITIES = np.array([0.05, 0.15, 0.35, 0.85, 0.45, 0.75, 0.95, 0.98])


def measure(**changes: object) -> dict[str, object]:
    options = {"threshold": 0.5, "confidence": 0.95, "bins": 10} | changes
    return evaluation.measure(LABELS, PROBABILITIES, **options)  # type: ignore[arg-type]


def test_metrics_equal_their_formulas() -> None:
    metrics = measure()
    loss = -np.mean(np.log(np.where(LABELS == 1, PROBABILITIES, 1 - PROBABILITIES)))
    pairs = [(p > n) + 0.5 * (p == n) for p in PROBABILITIES[4:] for n in PROBABILITIES[:4]]
    assert metrics["correct"] == 6
    assert metrics["accuracy"] == 0.75
    assert metrics["loss"] == pytest.approx(loss)
    assert (metrics["precision"], metrics["recall"], metrics["f1"]) == (0.75, 0.75, 0.75)
    assert metrics["roc_auc"] == pytest.approx(np.mean(pairs))


def test_threshold_moves_the_predictions() -> None:
    assert measure(threshold=0.4)["recall"] == 1.0
    assert measure(threshold=0.99)["recall"] == 0.0


def test_wilson_interval_equals_its_formula() -> None:
    z, n, p = 1.959963984540054, 200, 0.975
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    assert evaluation.wilson_interval(195, 200, confidence=0.95) == pytest.approx((centre - half, centre + half))


def test_calibration_error_is_the_weighted_gap() -> None:
    # two bins: below one half 4 of 8 (one is class 1), above 4 of 8 (three are)
    low, high = PROBABILITIES[PROBABILITIES < 0.5], PROBABILITIES[PROBABILITIES >= 0.5]
    expected = (len(low) * abs(low.mean() - 0.25) + len(high) * abs(high.mean() - 0.75)) / 8
    assert evaluation.calibration_error(LABELS, PROBABILITIES, bins=2) == pytest.approx(expected)
    assert evaluation.calibration_error(np.array([0, 1]), np.array([0.0, 1.0]), bins=10) == 0


def test_every_figure_is_drawn_and_is_the_same_twice(tmp_path: Path) -> None:
    history = pd.DataFrame({"epoch": range(4), "loss": [0.7, 0.5, 0.4, 0.3], "accuracy": [0.5, 0.7, 0.8, 0.9]}).assign(
        val_loss=lambda t: t["loss"], val_accuracy=lambda t: t["accuracy"]
    )
    tuned = history.assign(epoch=history["epoch"] + 4)
    predicted = (PROBABILITIES >= 0.5).astype(int)
    photos = np.random.default_rng(0).integers(0, 255, (8, 24, 24, 3), dtype=np.uint8)
    layers = [("32 x 32 x 3", 0, 0), ("16 x 16 x 8", 216, 0), ("8 x 8 x 8", 576, 576)]
    classes = ["cats", "dogs"]
    for folder in (tmp_path / "a", tmp_path / "b"):
        figures.learning_curves(folder / "frozen.png", history)
        figures.learning_curves(folder / "curves.png", history, tuned)
        figures.confusion(folder / "confusion.png", LABELS, predicted, classes)
        figures.roc(folder / "roc.png", LABELS, PROBABILITIES, 0.9, "dogs")
        figures.reliability(folder / "reliability.png", LABELS, PROBABILITIES, bins=5, error=0.1, positive="dogs")
        figures.predictions(folder / "predictions.png", photos, LABELS, PROBABILITIES, predicted, classes)
        figures.architecture(folder / "architecture.png", layers, title="a network")
    for first in sorted((tmp_path / "a").iterdir()):
        assert first.read_bytes() == (tmp_path / "b" / first.name).read_bytes()
        assert len(np.unique(np.asarray(Image.open(first).convert("L")))) > 10
    assert len(list((tmp_path / "a").iterdir())) == 7
